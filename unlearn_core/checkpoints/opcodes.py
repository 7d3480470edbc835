"""What a pickle of tensors would build, found out without unpickling anything.

A pickle is a program for a small stack machine. This module runs that program on descriptions alone (`values`): a tensor
becomes its window on a storage, a storage becomes a name and a length, and whatever files of tensors have no need of is
refused by name. Nothing that it names is imported or called, and it can't be large or deep.
"""

import io
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unlearn_core.checkpoints import values
from unlearn_core.checkpoints.values import (
    DAMAGED,
    SAVE_HINT,
    STORAGES,
    Named,
    Storage,
    fill,
    is_count,
    shown,
)
from unlearn_core.errors import UnlearnError

MAX_OPCODES = 300_000  # DenseNet-121 with an average and two moments of Adam takes 80,000
MAX_STACK = 20_000
MAX_DEPTH = 1_000
_PROTOCOLS = (2, 3, 4, 5)


@dataclass(frozen=True)
class Contents:
    """What one pickle would build.

    Attributes:
        value: The object, with `Described` in place of tensors.
        storages: Every storage that its tensors need, by key.
    """

    value: Any
    storages: Mapping[str, Storage]


def examine(stream: io.BytesIO) -> Contents:
    """What the next pickle of the stream would build; the stream then stands right behind it.

    Raises:
        UnlearnError: It is damaged, too large, too deep, or asks for more than tensors and plain values.
    """
    machine = _Machine()
    try:
        for count, (opcode, arg, _) in enumerate(pickletools.genops(stream)):
            if opcode.name == "STOP":
                return Contents(machine.pop(), machine.storages)
            machine.step(opcode.name, arg)
            if count > MAX_OPCODES:
                raise UnlearnError(f"its pickle has more than {MAX_OPCODES:,} steps. {SAVE_HINT}")
    except (
        ValueError,
        OverflowError,
        MemoryError,
    ) as error:  # what genops raises for anything cut off or unknown
        raise UnlearnError(DAMAGED) from error
    raise UnlearnError(DAMAGED)


@dataclass
class _Machine:
    stack: list[Any] = field(default_factory=list)
    below: list[list[Any]] = field(default_factory=list)  # the stacks under each mark
    memo: dict[int, Any] = field(default_factory=dict)
    storages: dict[str, Storage] = field(default_factory=dict)

    def step(self, name: str, arg: Any) -> None:
        """Does one instruction."""
        if name not in _STEPS:
            raise UnlearnError(
                f"its pickle uses the instruction {name}, which files of tensors don't need. {SAVE_HINT}"
            )
        _STEPS[name](self, arg)
        if len(self.stack) > MAX_STACK or len(self.below) > MAX_DEPTH:
            raise UnlearnError(f"its pickle is nested too deeply. {SAVE_HINT}")

    def pop(self) -> Any:
        """Takes the top of the stack."""
        if not self.stack:
            raise UnlearnError(DAMAGED)
        return self.stack.pop()

    def top(self) -> Any:
        """Looks at the top of the stack."""
        if not self.stack:
            raise UnlearnError(DAMAGED)
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        """Takes all that lies above the last mark."""
        if not self.below:
            raise UnlearnError(DAMAGED)
        items, self.stack = self.stack, self.below.pop()
        return items

    def label(self) -> str:
        """The last text on the stack: in a dictionary of tensors, the name of the tensor being built."""
        for stack in (self.stack, *reversed(self.below)):
            for value in reversed(stack):
                if isinstance(value, str):
                    return shown(value)
        return "a tensor"


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda m, _: m.stack.append(value)


def _fresh(make: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    return lambda m, _: m.stack.append(make())


def _push(m: _Machine, arg: Any) -> None:
    m.stack.append(arg)


def _nothing(m: _Machine, arg: Any) -> None:
    pass


def _proto(m: _Machine, arg: Any) -> None:
    if arg not in _PROTOCOLS:
        raise UnlearnError(f"it was written with pickle protocol {arg}, not with torch's own 2. {SAVE_HINT}")


def _mark(m: _Machine, _: Any) -> None:
    m.below.append(m.stack)
    m.stack = []


def _put(m: _Machine, arg: Any) -> None:
    m.memo[arg] = m.top()


def _memoize(m: _Machine, _: Any) -> None:
    m.memo[len(m.memo)] = m.top()


def _get(m: _Machine, arg: Any) -> None:
    if arg not in m.memo:
        raise UnlearnError(DAMAGED)
    m.stack.append(m.memo[arg])


def _tuple(m: _Machine, _: Any) -> None:
    items = m.pop_mark()
    m.stack.append(tuple(items))


def _list(m: _Machine, _: Any) -> None:
    items = m.pop_mark()
    m.stack.append(items)


def _tuple_of(length: int) -> Callable[[_Machine, Any], None]:
    def step(m: _Machine, _: Any) -> None:
        items = [m.pop() for _ in range(length)]
        m.stack.append(tuple(reversed(items)))

    return step


def _append(m: _Machine, _: Any) -> None:
    _extend(m, [m.pop()])


def _appends(m: _Machine, _: Any) -> None:
    _extend(m, m.pop_mark())


def _extend(m: _Machine, items: list[Any]) -> None:
    if type(m.top()) is not list:
        raise UnlearnError(DAMAGED)
    m.top().extend(items)


def _setitem(m: _Machine, _: Any) -> None:
    value, key = m.pop(), m.pop()
    fill(m.top(), [(key, value)])


def _setitems(m: _Machine, _: Any) -> None:
    items = m.pop_mark()
    if len(items) % 2:
        raise UnlearnError(DAMAGED)
    fill(m.top(), list(zip(items[::2], items[1::2], strict=True)))


def _global(m: _Machine, arg: Any) -> None:
    if arg not in values.LISTED:
        raise UnlearnError(values.refusal(arg))
    m.stack.append(Named(arg))


def _stack_global(m: _Machine, _: Any) -> None:
    name, module = m.pop(), m.pop()
    if type(name) is not str or type(module) is not str:
        raise UnlearnError(DAMAGED)
    _global(m, f"{module} {name}")


def _reduce(m: _Machine, _: Any) -> None:
    args, function = m.pop(), m.pop()
    if not isinstance(function, Named) or type(args) is not tuple:
        raise UnlearnError(DAMAGED)
    m.stack.append(values.called(function.name, args, m.label()))


def _newobj(m: _Machine, _: Any) -> None:
    args, cls = m.pop(), m.pop()
    if not isinstance(cls, Named) or type(args) is not tuple:
        raise UnlearnError(DAMAGED)
    m.stack.append(values.instance(cls.name, args, m.label()))


def _build(m: _Machine, _: Any) -> None:
    state = m.pop()
    values.build(m.top(), state)


def _persistent(m: _Machine, _: Any) -> None:
    pid = m.pop()
    if (
        type(pid) is not tuple
        or len(pid) not in (5, 6)
        or pid[0] != "storage"
        or pid[5:] not in ((), (None,))
    ):
        raise UnlearnError(f"{m.label()} is not stored as torch stores tensors. {SAVE_HINT}")
    _, kind, key, location, numel = pid[:5]
    known = isinstance(kind, Named) and kind.name in STORAGES
    if not known or type(key) is not str or type(location) is not str or not is_count(numel):
        raise UnlearnError(f"{m.label()} is not stored as torch stores tensors. {SAVE_HINT}")
    storage = Storage(key, kind.name, numel)
    if m.storages.setdefault(key, storage) != storage:
        raise UnlearnError(f"the storage of {m.label()} is declared twice with different sizes. {SAVE_HINT}")
    m.stack.append(storage)


_PUSHED = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINBYTES", "SHORT_BINBYTES"),
)
_STEPS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _proto,
    "FRAME": _nothing,
    **dict.fromkeys(_PUSHED, _push),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _constant(()),
    "EMPTY_LIST": _fresh(list),
    "EMPTY_SET": _fresh(list),
    "EMPTY_DICT": _fresh(dict),
    "MARK": _mark,
    "TUPLE": _tuple,
    "FROZENSET": _list,
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": _append,
    "APPENDS": _appends,
    "ADDITEMS": _appends,
    "SETITEM": _setitem,
    "SETITEMS": _setitems,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _memoize,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _newobj,
    "BUILD": _build,
    "BINPERSID": _persistent,
}
