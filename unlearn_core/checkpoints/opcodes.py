"""What a pickle of tensors would build, found out without unpickling anything.

A pickle is a program for a small stack machine. This module runs that program on descriptions alone: a
tensor becomes its size, a storage becomes a name and a length, and whatever files of tensors have no need
of is refused by name. The stack and its marks behave exactly as those of torch's own weights-only unpickler,
so what passes here is what torch builds afterwards, and it can't be large, deep or callable.
"""

import io
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unlearn_core.errors import UnlearnError

MAX_OPCODES = 300_000  # DenseNet-121 with an average and two moments of Adam takes 80,000
MAX_STACK = 20_000
MAX_DEPTH = 1_000
MAX_RANK = 8
MAX_DIM = 2**31 - 1

# Bytes of one element of each dense storage. Complex, quantised and 8-bit float storages aren't weights here.
STORAGES: Mapping[str, int] = {
    "torch DoubleStorage": 8,
    "torch FloatStorage": 4,
    "torch HalfStorage": 2,
    "torch BFloat16Storage": 2,
    "torch LongStorage": 8,
    "torch IntStorage": 4,
    "torch ShortStorage": 2,
    "torch CharStorage": 1,
    "torch ByteStorage": 1,
    "torch BoolStorage": 1,
}
SAVE_HINT = "Save the tensors alone: torch.save(model.state_dict(), FILE)."
_DAMAGED = "its pickle is damaged. Download or save it again."


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the file: which, of what kind, how many."""

    key: str
    kind: str
    numel: int

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return self.numel * STORAGES[self.kind]


@dataclass(frozen=True)
class Described:
    """Stands for a tensor of this size."""

    size: tuple[int, ...]


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
    except ValueError as error:  # what genops raises for anything cut off or unknown
        raise UnlearnError(_DAMAGED) from error
    raise UnlearnError(_DAMAGED)


@dataclass(frozen=True)
class _Global:
    """A function or class that the pickle names, never looked up."""

    name: str


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
            raise UnlearnError(_DAMAGED)
        return self.stack.pop()

    def top(self) -> Any:
        """Looks at the top of the stack."""
        if not self.stack:
            raise UnlearnError(_DAMAGED)
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        """Takes all that lies above the last mark."""
        if not self.below:
            raise UnlearnError(_DAMAGED)
        items, self.stack = self.stack, self.below.pop()
        return items

    def label(self) -> str:
        """The last text on the stack: in a dictionary of tensors, the name of the tensor being built."""
        for stack in (self.stack, *reversed(self.below)):
            for value in reversed(stack):
                if isinstance(value, str):
                    return shown(value)
        return "a tensor"


def shown(text: str) -> str:
    """Text from a file as a message may repeat it: ASCII, quoted, short."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda m, _: m.stack.append(value)


def _fresh(make: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    return lambda m, _: m.stack.append(make())


def _push(m: _Machine, arg: Any) -> None:
    m.stack.append(arg)


def _proto(m: _Machine, arg: Any) -> None:
    if arg != 2:
        raise UnlearnError(f"it was written with pickle protocol {arg}, not with torch's own 2. {SAVE_HINT}")


def _mark(m: _Machine, _: Any) -> None:
    m.below.append(m.stack)
    m.stack = []


def _put(m: _Machine, arg: Any) -> None:
    m.memo[arg] = m.top()


def _get(m: _Machine, arg: Any) -> None:
    if arg not in m.memo:
        raise UnlearnError(_DAMAGED)
    m.stack.append(m.memo[arg])


def _tuple(m: _Machine, _: Any) -> None:
    items = m.pop_mark()
    m.stack.append(tuple(items))


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
        raise UnlearnError(_DAMAGED)
    m.top().extend(items)


def _setitem(m: _Machine, _: Any) -> None:
    value, key = m.pop(), m.pop()
    _fill(m.top(), [(key, value)])


def _setitems(m: _Machine, _: Any) -> None:
    items = m.pop_mark()
    if len(items) % 2:
        raise UnlearnError(_DAMAGED)
    _fill(m.top(), list(zip(items[::2], items[1::2], strict=True)))


def _fill(target: Any, pairs: list[tuple[Any, Any]]) -> None:
    if not isinstance(target, dict):
        raise UnlearnError(_DAMAGED)
    for key, value in pairs:
        # Hashing a tuple of tuples of tuples can take for ever; names and numbers can't.
        if type(key) not in (str, int):
            raise UnlearnError(f"it has a dictionary key of the type {type(key).__name__}. {SAVE_HINT}")
        target[key] = value


def _global(m: _Machine, arg: Any) -> None:
    if arg not in STORAGES and arg not in _CALLS:
        raise UnlearnError(_refusal(arg))
    m.stack.append(_Global(arg))


def _refusal(arg: str) -> str:
    name = shown(arg.replace(" ", "."))
    if arg.startswith("numpy"):
        return f"it holds numpy values ({name}). Write them as plain numbers, float(x), and save it again."
    if arg.startswith(("torch._utils _rebuild", "torch._tensor _rebuild")) or arg.endswith("Storage"):
        return (
            f"it holds numbers of a kind that is not read ({name}). Only dense tensors of plain floats, "
            "integers and booleans are; convert it, for instance with .float(), and save it again."
        )
    return (
        f"it holds more than tensors: opening it would call {name}, and Lethe runs no code from files. "
        f"{SAVE_HINT}"
    )


def _reduce(m: _Machine, _: Any) -> None:
    args, function = m.pop(), m.pop()
    if not isinstance(function, _Global) or function.name not in _CALLS or type(args) is not tuple:
        raise UnlearnError(_DAMAGED)
    m.stack.append(_CALLS[function.name](m, args))


def _build(m: _Machine, _: Any) -> None:
    state, target = m.pop(), m.top()
    # torch writes a state dict's versions this way. Any other name could stand in for a method of the dict.
    if type(target) is not OrderedDict or type(state) is not dict or set(state) - {"_metadata"}:
        raise UnlearnError(f"it sets attributes of an object. {SAVE_HINT}")


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
    known = isinstance(kind, _Global) and kind.name in STORAGES
    if not known or type(key) is not str or type(location) is not str or not _is_count(numel):
        raise UnlearnError(f"{m.label()} is not stored as torch stores tensors. {SAVE_HINT}")
    storage = Storage(key, kind.name, numel)
    if m.storages.setdefault(key, storage) != storage:
        raise UnlearnError(f"the storage of {m.label()} is declared twice with different sizes. {SAVE_HINT}")
    m.stack.append(storage)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48


def _ordered_dict(m: _Machine, args: tuple[Any, ...]) -> Any:
    made: OrderedDict[Any, Any] = OrderedDict()
    if args:
        pairs = args[0]
        if len(args) > 1 or type(pairs) is not list or any(type(p) not in (list, tuple) for p in pairs):
            raise UnlearnError(_DAMAGED)
        if any(len(pair) != 2 for pair in pairs):
            raise UnlearnError(_DAMAGED)
        _fill(made, [(key, value) for key, value in pairs])
    return made


def _old_tensor(m: _Machine, args: tuple[Any, ...]) -> Described:
    if len(args) != 4:
        raise UnlearnError(_DAMAGED)
    return _described(m, args)


def _tensor(m: _Machine, args: tuple[Any, ...]) -> Described:
    if len(args) != 6 or type(args[4]) is not bool or type(args[5]) is not OrderedDict or args[5]:
        raise UnlearnError(f"{m.label()} carries more than numbers. {SAVE_HINT}")
    return _described(m, args[:4])


def _parameter(m: _Machine, args: tuple[Any, ...]) -> Described:
    right = len(args) == 3 and isinstance(args[0], Described) and type(args[1]) is bool
    if not right or type(args[2]) is not OrderedDict or args[2]:
        raise UnlearnError(f"{m.label()} carries more than numbers. {SAVE_HINT}")
    described: Described = args[0]
    return described


def _described(m: _Machine, args: tuple[Any, ...]) -> Described:
    """The tensor, after its window on the storage was found to lie inside and to repeat nothing."""
    storage, offset, size, stride = args
    numbers = type(size) is tuple and type(stride) is tuple and len(size) == len(stride)
    if not numbers or not isinstance(storage, Storage) or not all(map(_is_count, (offset, *size, *stride))):
        raise UnlearnError(f"{m.label()} is not described as torch describes tensors. {SAVE_HINT}")
    if len(size) > MAX_RANK or max(size, default=0) > MAX_DIM:
        raise UnlearnError(
            f"{m.label()} has an impossible shape ({len(size)} dimensions, largest {max(size)})."
        )
    numel, last = 1, offset
    for d, s in zip(size, stride, strict=True):
        numel *= d
        last += (d - 1) * s
    if numel and max(last + 1, numel) > storage.numel:
        raise UnlearnError(
            f"{m.label()} needs {max(last + 1, numel):,} values but the file holds {storage.numel:,} for it. "
            "Save it with .contiguous() or .clone(), or download it again."
        )
    return Described(size)


# No numpy: torch's weights-only unpickler refuses its scalars too, unless a program vouches for them.
_CALLS: Mapping[str, Callable[[_Machine, tuple[Any, ...]], Any]] = {
    "collections OrderedDict": _ordered_dict,
    "torch._utils _rebuild_tensor": _old_tensor,  # written before torch 0.4
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
}
_STEPS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _proto,
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"), _push),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _constant(()),
    "EMPTY_LIST": _fresh(list),
    "EMPTY_DICT": _fresh(dict),
    "MARK": _mark,
    "TUPLE": _tuple,
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _setitem,
    "SETITEMS": _setitems,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": _global,
    "REDUCE": _reduce,
    "BUILD": _build,
    "BINPERSID": _persistent,
}
