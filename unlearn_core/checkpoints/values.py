"""What a pickle of tensors may name, and what each name stands for: the allow-list, as descriptions alone.

Nothing here is ever called, imported or looked up by its name. A tensor becomes its window on a storage, a container that
carries no code becomes a plain dictionary or list, and a value that no weights hang on becomes `Skipped`.
"""

import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unlearn_core.errors import UnlearnError

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
DAMAGED = "its pickle is damaged. Download or save it again."


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the file: which, of what kind, how many.

    Attributes:
        key: Its name in the file.
        kind: A key of `STORAGES`.
        numel: How many numbers.
        inline: The bytes themselves where the pickle holds them, as it does of a numpy array.
    """

    key: str
    kind: str
    numel: int
    inline: bytes | None = field(default=None, repr=False)

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return self.numel * STORAGES[self.kind]


@dataclass
class Described:
    """Stands for a tensor or a numpy array of this size: its window on a storage; none where its numbers can't be weights."""

    size: tuple[int, ...]
    storage: Storage | None = field(default=None, compare=False)
    offset: int = field(default=0, compare=False)
    stride: tuple[int, ...] = field(default=(), compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """The same, under the name that tensors have for it."""
        return self.size

    @property
    def numel(self) -> int:
        """How many numbers the tensor holds."""
        count = 1
        for side in self.size:
            count *= side
        return count

    @property
    def nbytes(self) -> int:
        """Bytes of a copy of it."""
        return self.numel * STORAGES[self.storage.kind] if self.storage else 0


@dataclass(frozen=True)
class Skipped:
    """Stands for a value that carries no code and no weights: a path, a data type, a date."""

    kind: str


@dataclass(frozen=True)
class Named:
    """A function or class that the pickle names, never looked up."""

    name: str


class Attributes(dict[str, Any]):
    """The attributes of an object whose class has no code that matters, such as argparse.Namespace."""


@dataclass
class NumpyType:
    """A numpy data type: its code, such as f4, and whether its bytes lie in the usual order."""

    code: str
    little: bool = True


def shown(text: str) -> str:
    """Text from a file as a message may repeat it: ASCII, quoted, short."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")


def fill(target: Any, pairs: list[tuple[Any, Any]]) -> None:
    """Puts pairs into a dictionary, in place.

    Raises:
        UnlearnError: It is none, or a key is something else than a name, a number or a short tuple of these.
    """
    if not isinstance(target, dict):
        raise UnlearnError(DAMAGED)
    for key, value in pairs:
        # Hashing a tuple of tuples of tuples can take for ever; names and numbers can't.
        if not _plain_key(key) and not (type(key) is tuple and len(key) <= 8 and all(map(_plain_key, key))):
            raise UnlearnError(f"it has a dictionary key of the type {type(key).__name__}. {SAVE_HINT}")
        target[key] = value


def _plain_key(key: Any) -> bool:
    return key is None or type(key) in (str, int, float, bool, bytes, Skipped)


def is_count(value: Any) -> bool:
    """Whether it is a whole number that can count something in a file."""
    return type(value) is int and 0 <= value < 2**48


def refusal(name: str) -> str:
    """Why a pickle that names this is refused, with what to do."""
    dotted = shown(name.replace(" ", "."))
    if name.startswith(("torch._utils _rebuild", "torch._tensor _rebuild")) or name.endswith("Storage"):
        return (
            f"it holds numbers of a kind that is not read ({dotted}). Only dense tensors of plain floats, "
            "integers and booleans are; convert it, for instance with .float(), and save it again."
        )
    return (
        f"it holds more than tensors: opening it would call {dotted}, and Lethe runs no code from files. "
        f"{SAVE_HINT}"
    )


def called(name: str, args: tuple[Any, ...], label: str) -> Any:
    """What a call of a listed name stands for.

    Args:
        name: Module and name, as the pickle has them.
        args: Its arguments, themselves descriptions.
        label: What a message calls the tensor that is being built.

    Raises:
        UnlearnError: The name isn't one that may be called, or the arguments aren't such as it gets.
    """
    if name in CALLS:
        return CALLS[name](args, label)
    if name in MAPPINGS:
        return _mapping(args, label)
    if name in SKIPPED:
        return Skipped(name.replace(" ", "."))
    raise UnlearnError(refusal(name))


def instance(name: str, args: tuple[Any, ...], label: str) -> Any:
    """What a new object of a listed class stands for, before its state is set.

    Raises:
        UnlearnError: The class isn't on the list.
    """
    if name in OBJECTS:
        return Attributes()
    return called(name, args, label)


def build(target: Any, state: Any) -> None:
    """Sets an object's state, in place.

    Raises:
        UnlearnError: Its kind has no state that a file of tensors sets.
    """
    if isinstance(target, Described) and target.storage is None:
        _build_array(target, state)
    elif isinstance(target, NumpyType):
        target.little = type(state) is not tuple or len(state) < 2 or state[1] != ">"
    elif isinstance(target, Attributes):
        _build_attributes(target, state)
    elif not isinstance(target, Skipped) and not _versions(target, state):
        raise UnlearnError(f"it sets attributes of an object. {SAVE_HINT}")


def _versions(target: Any, state: Any) -> bool:
    """Whether this is how torch writes a state dict's versions; any other name could stand in for a method of the dict."""
    return type(target) is OrderedDict and type(state) is dict and not set(state) - {"_metadata"}


def _build_attributes(target: Attributes, state: Any) -> None:
    if type(state) is tuple and len(state) == 2:  # attributes and slots
        state = {**(state[0] or {}), **(state[1] or {})} if _plain_states(state) else None
    if not isinstance(state, dict) or not all(type(key) is str for key in state):
        raise UnlearnError(f"it sets attributes of an object. {SAVE_HINT}")
    target.update(state)


def _plain_states(states: tuple[Any, ...]) -> bool:
    return all(state is None or type(state) is dict for state in states)


def _mapping(args: tuple[Any, ...], label: str) -> OrderedDict[Any, Any]:
    made: OrderedDict[Any, Any] = OrderedDict()
    if (
        not args or args == (None,) or isinstance(args[0], Named | Skipped)
    ):  # defaultdict's factory, never called
        args = args[1:]
    if args:
        pairs = list(args[0].items()) if isinstance(args[0], dict) else args[0]
        if len(args) > 1 or type(pairs) is not list or any(type(p) not in (list, tuple) for p in pairs):
            raise UnlearnError(DAMAGED)
        if any(len(pair) != 2 for pair in pairs):
            raise UnlearnError(DAMAGED)
        fill(made, [(key, value) for key, value in pairs])
    return made


def _sequence(args: tuple[Any, ...], label: str) -> list[Any]:
    items = args[0] if args else []
    if not isinstance(items, list | tuple):
        raise UnlearnError(DAMAGED)
    return list(items)


def _bytes(args: tuple[Any, ...], label: str) -> bytes:
    """Bytes as protocol 2 writes them: a text of characters below 256, to be encoded."""
    if len(args) != 2 or type(args[0]) is not str or args[1] not in ("latin1", "latin-1"):
        raise UnlearnError(DAMAGED)
    try:
        return args[0].encode("latin1")
    except UnicodeEncodeError as error:
        raise UnlearnError(DAMAGED) from error


def _old_tensor(args: tuple[Any, ...], label: str) -> Described:
    if len(args) != 4:
        raise UnlearnError(DAMAGED)
    return _window(args, label)


def _tensor(args: tuple[Any, ...], label: str) -> Described:
    plain = len(args) in (6, 7) and type(args[4]) is bool
    if not plain or type(args[5]) is not OrderedDict or args[5]:
        raise UnlearnError(f"{label} carries more than numbers. {SAVE_HINT}")
    return _window(args[:4], label)


def _parameter(args: tuple[Any, ...], label: str) -> Described:
    right = len(args) in (3, 4) and isinstance(args[0], Described) and type(args[1]) is bool
    if not right or type(args[2]) is not OrderedDict or args[2]:
        raise UnlearnError(f"{label} carries more than numbers. {SAVE_HINT}")
    described: Described = args[0]
    return described


def _of_type(args: tuple[Any, ...], label: str) -> Any:
    """A tensor with attributes, or of a class of PyTorch's own: the tensor without them."""
    plain = len(args) == 4 and isinstance(args[0], Named) and isinstance(args[1], Named | Skipped)
    if not plain or type(args[2]) is not tuple or args[0].name not in _REBUILDERS:
        raise UnlearnError(f"{label} carries more than numbers. {SAVE_HINT}")
    return called(args[0].name, args[2], label)


def _window(args: tuple[Any, ...], label: str) -> Described:
    """The tensor, after its window on the storage was found to lie inside and to repeat nothing."""
    storage, offset, size, stride = args
    numbers = type(size) is tuple and type(stride) is tuple and len(size) == len(stride)
    if not numbers or not isinstance(storage, Storage) or not all(map(is_count, (offset, *size, *stride))):
        raise UnlearnError(f"{label} is not described as torch describes tensors. {SAVE_HINT}")
    if len(size) > MAX_RANK or max(size, default=0) > MAX_DIM:
        raise UnlearnError(f"{label} has an impossible shape ({len(size)} dimensions, largest {max(size)}).")
    described = Described(size, storage, offset, stride)
    numel = described.numel
    last = offset + sum((d - 1) * s for d, s in zip(size, stride, strict=True))
    if numel and max(last + 1, numel) > storage.numel:
        raise UnlearnError(
            f"{label} needs {max(last + 1, numel):,} values but the file holds {storage.numel:,} for it. "
            "Save it with .contiguous() or .clone(), or download it again."
        )
    return described


def _numpy_type(args: tuple[Any, ...], label: str) -> NumpyType:
    if not args or type(args[0]) is not str:
        raise UnlearnError(DAMAGED)
    return NumpyType(args[0])


def _numpy_scalar(args: tuple[Any, ...], label: str) -> Any:
    kind, raw = (*args, None, None)[:2]
    if not isinstance(kind, NumpyType):
        raise UnlearnError(DAMAGED)
    form = _FORMS.get(kind.code, ("", ""))[1]
    if type(raw) is not bytes or not form or struct.calcsize(form) != len(raw):
        return Skipped("numpy scalar")
    return struct.unpack(("<" if kind.little else ">") + form, raw)[0]


def _numpy_array(args: tuple[Any, ...], label: str) -> Described:
    return Described((0,))


def _build_array(target: Described, state: Any) -> None:
    """A numpy array's state: version, shape, type, whether the first axis runs fastest, bytes."""
    if type(state) is not tuple or len(state) != 5:
        raise UnlearnError(DAMAGED)
    _, size, kind, fortran, raw = state
    if type(size) is not tuple or not all(map(is_count, size)) or len(size) > MAX_RANK:
        raise UnlearnError(DAMAGED)
    storage = _FORMS.get(kind.code, ("", ""))[0] if isinstance(kind, NumpyType) and kind.little else ""
    target.size = size
    if not storage or type(raw) is not bytes or len(raw) != target.numel * STORAGES[storage]:
        return  # texts, objects, dates: no weights
    target.storage = Storage("", storage, target.numel, raw)
    target.stride = _strides(size, bool(fortran))


def _strides(size: tuple[int, ...], fortran: bool) -> tuple[int, ...]:
    strides, step = [], 1
    for side in size if fortran else reversed(size):
        strides.append(step)
        step *= max(1, side)
    return tuple(strides if fortran else reversed(strides))


# numpy's code of a type: torch's storage of the same numbers, and struct's letter.
_FORMS: Mapping[str, tuple[str, str]] = {
    "f8": ("torch DoubleStorage", "d"),
    "f4": ("torch FloatStorage", "f"),
    "f2": ("torch HalfStorage", "e"),
    "i8": ("torch LongStorage", "q"),
    "i4": ("torch IntStorage", "i"),
    "i2": ("torch ShortStorage", "h"),
    "i1": ("torch CharStorage", "b"),
    "u1": ("torch ByteStorage", "B"),
    "b1": ("torch BoolStorage", "?"),
    "u2": ("", "H"),
    "u4": ("", "I"),
    "u8": ("", "Q"),
}
_REBUILDERS: Mapping[str, Callable[[tuple[Any, ...], str], Any]] = {
    "torch._utils _rebuild_tensor": _old_tensor,  # written before torch 0.4
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
    "torch._utils _rebuild_parameter_with_state": _parameter,
}
CALLS: Mapping[str, Callable[[tuple[Any, ...], str], Any]] = {
    **_REBUILDERS,
    "torch._tensor _rebuild_from_type_v2": _of_type,
    "torch Size": lambda args, label: tuple(_sequence(args, label)),
    "collections deque": _sequence,
    **dict.fromkeys(
        ("__builtin__ set", "builtins set", "builtins frozenset", "__builtin__ frozenset"), _sequence
    ),
    "_codecs encode": _bytes,
    **{f"numpy{core} scalar": _numpy_scalar for core in (".core.multiarray", "._core.multiarray")},
    **{f"numpy{core} _reconstruct": _numpy_array for core in (".core.multiarray", "._core.multiarray")},
    "numpy dtype": _numpy_type,
}
MAPPINGS = frozenset(
    {
        "collections OrderedDict",
        "collections Counter",
        "collections defaultdict",
        "pytorch_lightning.utilities.parsing AttributeDict",
        "lightning_fabric.utilities.data AttributeDict",
        "lightning.fabric.utilities.data AttributeDict",
        "lightning.pytorch.utilities.parsing AttributeDict",
        "easydict EasyDict",
        "addict.addict Dict",
        "yacs.config CfgNode",
    }
)
OBJECTS = MAPPINGS | {"argparse Namespace", "types SimpleNamespace"}
_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path", "PurePath")
_DTYPES = (
    *("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"),
    *("complex64", "complex128", "float8_e4m3fn", "float8_e5m2", "quint8", "qint8"),
)
_LAYOUTS = ("strided", "sparse_coo", "contiguous_format", "channels_last", "preserve_format")
SKIPPED = frozenset(
    {
        *(f"{module} {name}" for module in ("pathlib", "pathlib._local") for name in _PATHS),
        *(f"torch {name}" for name in (*_DTYPES, *_LAYOUTS, "device")),
        "torch.serialization _get_layout",
        *(f"datetime {name}" for name in ("datetime", "date", "time", "timedelta", "timezone")),
        *(
            f"{module} {name}"
            for module in ("builtins", "__builtin__")
            for name in ("complex", "bytearray", "bytes")
        ),
        *(
            f"{module} {name}"
            for module in ("builtins", "__builtin__")
            for name in ("slice", "range", "xrange")
        ),
        "uuid UUID",
        "decimal Decimal",
        "fractions Fraction",
    }
)
# Types that stand as an argument or a factory and are called by nobody here.
TYPES = frozenset(
    {
        *(
            f"{m} {t}"
            for m in ("builtins", "__builtin__")
            for t in ("int", "float", "str", "bool", "list", "dict")
        ),
        *(f"{m} {t}" for m in ("builtins", "__builtin__") for t in ("tuple", "object")),
        "torch Tensor",
        "torch.nn.parameter Parameter",
        "torch.nn.parameter Buffer",
        "numpy ndarray",
    }
)
LISTED = frozenset(STORAGES) | frozenset(CALLS) | MAPPINGS | OBJECTS | SKIPPED | TYPES
