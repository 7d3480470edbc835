"""Reads the tensors of a file that nobody vouches for."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from unlearn_core.checkpoints import containers
from unlearn_core.checkpoints.catalog import HEADER_KEY
from unlearn_core.checkpoints.containers import Container
from unlearn_core.checkpoints.recognition import names_in_use
from unlearn_core.checkpoints.state_dicts import Choice, choose
from unlearn_core.checkpoints.values import MAX_DIM, MAX_RANK, Described, Storage, shown
from unlearn_core.errors import UnlearnError

MAX_TENSOR_BYTES = 4 * 10**9
# A file holds each number once; tied weights come twice. Many views of one storage would grow a small file without end.
_GROWTH = 4
_ALWAYS = 64 * 2**20
_KINDS: Mapping[str, torch.dtype] = {
    "torch DoubleStorage": torch.float64,
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16,
    "torch CharStorage": torch.int8,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,256}")


@dataclass(frozen=True)
class TensorFile:
    """What was read from a file of weights.

    Attributes:
        tensors: By name, contiguous, on the CPU, finite; training prefixes such as "module." are gone.
        chosen: Which part of the file was taken and what was stripped, in words; "" when it was the whole.
        metadata: The plain values beside the tensors (best_prec1, epoch, a safetensors header), as text.
        candidates: The parts that could have been taken, for `which`.
        beside: Small tensors beside the model in the same dictionary, by name.
        checked: Whether the file's checksums vouch for the numbers.
    """

    tensors: dict[str, Tensor]
    chosen: str
    metadata: dict[str, str]
    candidates: tuple[str, ...] = field(default=())
    beside: Mapping[str, Tensor] = field(default_factory=dict)
    checked: bool = True


def read_tensors(path: str | Path, *, which: str = "", name: str = "") -> TensorFile:
    """The tensors of a file; its bytes decide what it is, not its name.

    Read are files of torch.save (.pt, .pth, .th, .tar; zip or the older plain stream) and safetensors. Only the numbers of
    the model itself are read, and none before what they will take is known.

    Args:
        path: The file.
        which: The part to take (such as "ema") where the file holds several; "" takes the plain model.
        name: What messages call the file; its path when "".

    Raises:
        UnlearnError: The file is missing, damaged, too large, holds more than tensors and plain values, or
            a tensor has a strange name, kind or shape, or values that aren't finite.
    """
    try:
        with containers.opened(Path(path)) as container:
            # A card says what the net is: nothing has to be tried, and no other net to be built for it.
            uses = _all_names if HEADER_KEY in container.metadata else names_in_use
            choice = choose(container.value, which, uses)
            _check_forms(choice, container.size)
            beside = {n: t for n, t in choice.beside.items() if t.numel <= _SMALL and _NAME.fullmatch(n)}
            tensors = _read({**choice.tensors, **{f"{_BESIDE}{n}": t for n, t in beside.items()}}, container)
        apart = {n.removeprefix(_BESIDE): tensors.pop(n) for n in list(tensors) if n.startswith(_BESIDE)}
        for tensor_name, tensor in tensors.items():
            _check_values(tensor_name, tensor)
    except UnlearnError as error:
        raise UnlearnError(f"{name or path} can't be opened as a model: {error}") from error
    metadata = dict(container.metadata)
    return TensorFile(tensors, choice.words, metadata, choice.candidates, apart, container.checked)


def _all_names(tensors: Mapping[str, object], ordered: bool) -> frozenset[str]:
    return frozenset(tensors)


_SMALL = 4096  # numbers; statistics of the input have three
_BESIDE = "/"  # no tensor's name has one


def _read(described: Mapping[str, Described], container: Container) -> dict[str, Tensor]:
    """The tensors, each with its own numbers in a row; a storage is read once, and let go before the next."""
    users: dict[str, list[str]] = defaultdict(list)
    for name, window in described.items():
        users[_key_of(window, name)].append(name)
    tensors: dict[str, Tensor] = {}
    for names in users.values():
        storage = described[names[0]].storage
        assert storage is not None  # parts hold only what has one
        numbers = _numbers(storage, container)
        for name in names:
            tensors[name] = _tensor(numbers, described[name], alone=len(names) == 1)
    return {name: tensors[name] for name in described}


def _key_of(window: Described, name: str) -> str:
    storage = window.storage
    return f"{name} alone" if storage is None or storage.inline is not None else storage.key


def _numbers(storage: Storage, container: Container) -> Tensor:
    kind = _KINDS[storage.kind]
    if not storage.numel:
        return torch.empty(0, dtype=kind)
    raw = container.read(storage) if storage.inline is None else bytearray(storage.inline)
    if kind == torch.bool:  # a byte other than 0 and 1 is no truth value that torch computes with
        return torch.frombuffer(raw, dtype=torch.uint8) != 0
    return torch.frombuffer(raw, dtype=kind)


def _tensor(numbers: Tensor, window: Described, *, alone: bool) -> Tensor:
    if not window.numel:
        return torch.empty(window.size, dtype=numbers.dtype)
    view = numbers.as_strided(window.size, window.stride, window.offset)
    if alone and view.is_contiguous() and view.numel() == numbers.numel():
        return view
    return view.clone(memory_format=torch.contiguous_format)


def _check_forms(choice: Choice, size: int) -> None:
    tensors: Mapping[str, Described] = choice.tensors
    if len(tensors) + len(choice.beside) > containers.MAX_ENTRIES:
        raise UnlearnError(f"it holds {len(tensors):,} tensors; at most {containers.MAX_ENTRIES:,} are read.")
    for name, tensor in tensors.items():
        _check_form(name, tensor)
    total = sum(t.nbytes for t in tensors.values())
    most = min(MAX_TENSOR_BYTES, max(_ALWAYS, _GROWTH * size))
    if total > most:
        raise UnlearnError(
            f"its tensors would take {total:,} bytes of memory, from a file of {size:,}; at most {most:,} are taken. "
            "Many of them view the same numbers: save each with .clone()."
        )


def _check_form(name: str, tensor: Described) -> None:
    if not _NAME.fullmatch(name):
        raise UnlearnError(
            f"a tensor is called {shown(name)}; names have up to 256 letters, digits, '_', '-', '.'."
        )
    if len(tensor.size) > MAX_RANK or max(tensor.size, default=0) > MAX_DIM:
        raise UnlearnError(f"the tensor {name} has an impossible shape ({len(tensor.size)} dimensions).")


def _check_values(name: str, tensor: Tensor) -> None:
    if not tensor.is_floating_point():
        return
    # As the model will hold them: what is finite in float64 may be infinite in float32.
    finite = torch.isfinite(tensor.float())
    if not finite.all():
        wrong = tensor.numel() - int(finite.sum())
        raise UnlearnError(
            f"the tensor {name} has {wrong:,} of {tensor.numel():,} values that are NaN or infinite, "
            "so the model can compute nothing. Take an earlier checkpoint."
        )
    if name.endswith("running_var") and tensor.numel() and tensor.min() < 0:
        raise UnlearnError(f"the tensor {name} is a variance and has negative values. {containers.AGAIN}")
