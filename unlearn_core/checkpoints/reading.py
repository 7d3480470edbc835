"""Reads the tensors of a file that nobody vouches for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unlearn_core.checkpoints import containers
from unlearn_core.checkpoints.opcodes import MAX_DIM, MAX_RANK, SAVE_HINT, shown
from unlearn_core.checkpoints.state_dicts import choose
from unlearn_core.errors import UnlearnError

MAX_FILE = 2 * 2**30
MAX_TENSOR_BYTES = 4 * 10**9
DTYPES = (
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,256}")


@dataclass(frozen=True)
class TensorFile:
    """What was read from a file of weights.

    Attributes:
        tensors: By name, contiguous, on the CPU, finite; training prefixes such as "module." are gone.
        chosen: Which part of the file was taken and what was stripped, in words; "" when it was the whole.
        metadata: The plain values beside the tensors (best_prec1, epoch, a safetensors header), as text.
        candidates: The parts that could have been taken, for `which`.
    """

    tensors: dict[str, Tensor]
    chosen: str
    metadata: dict[str, str]
    candidates: tuple[str, ...] = field(default=())


def read_tensors(path: str | Path, *, which: str = "", name: str = "") -> TensorFile:
    """The tensors of a file; its bytes decide what it is, not its name.

    Read are files of torch.save (.pt, .pth, .th, .tar; zip or the older plain stream) and safetensors.

    Args:
        path: The file.
        which: The part to take (such as "ema") where the file holds several; "" takes the plain model.
        name: What messages call the file; its path when "".

    Raises:
        UnlearnError: The file is missing, damaged, too large, holds more than tensors and plain values, or
            a tensor has a strange name, kind or shape, or values that aren't finite.
    """
    try:
        found = _taken_apart(_bytes_of(Path(path)), which)
        _check_tensors(found.tensors)
    except UnlearnError as error:
        raise UnlearnError(f"{name or path} can't be opened as a model: {error}") from error
    copies = {n: t.detach().clone(memory_format=torch.contiguous_format) for n, t in found.tensors.items()}
    return TensorFile(copies, found.chosen, found.metadata, found.candidates)


def _bytes_of(path: Path) -> bytes:
    if path.is_dir():
        raise UnlearnError("it is a folder. Give the file of weights in it.")
    if not path.is_file():
        raise UnlearnError("there is no such file. Check the path.")
    size = path.stat().st_size
    if size > MAX_FILE:
        raise UnlearnError(f"it has {size:,} bytes; at most {MAX_FILE:,} are read.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnlearnError(f"it can't be read ({error.strerror}).") from error


def _taken_apart(data: bytes, which: str) -> TensorFile:
    if data.startswith(containers.ZIP_START):
        return _chosen(containers.read_zip(data), which)
    if data.startswith(containers.LEGACY_START):
        return _chosen(containers.read_legacy(data), which)
    if containers.looks_like_safetensors(data):
        tensors, metadata = containers.read_safetensors(data)
        return TensorFile(_chosen(tensors, which).tensors, "", metadata)
    raise UnlearnError(_what_it_is(data))


def _chosen(loaded: Any, which: str) -> TensorFile:
    choice = choose(loaded, which)
    return TensorFile(choice.tensors, choice.words, _plain_values(loaded), choice.candidates)


def _plain_values(loaded: Any) -> dict[str, str]:
    if not isinstance(loaded, Mapping):
        return {}
    kept = {k: v for k, v in loaded.items() if isinstance(k, str) and _NAME.fullmatch(k)}
    return {k: str(v)[:200] for k, v in kept.items() if isinstance(v, str | int | float)}


def _what_it_is(data: bytes) -> str:
    """Why bytes that are no weights are refused, with what to do."""
    if not data:
        return f"it is empty. {containers.AGAIN}"
    for start, reason in _FOREIGN.items():
        if data.startswith(start):
            return reason
    if b"<html" in data[:1024].lower() or data.lstrip()[:9].lower() == b"<!doctype":
        return "it is a web page, probably an error page saved in place of the weights. Download it again."
    if containers.is_tar(data):
        return f"it is a tar file. Unpack it first, or if torch wrote it before 2017: {SAVE_HINT}"
    if data.startswith(b"\x80"):
        return f"it is a plain Python pickle, which could run code when opened. {SAVE_HINT}"
    return f"it is neither a file of torch.save nor a safetensors file. {SAVE_HINT}"


_FOREIGN = {
    b"version https://git-lfs": "it is a Git LFS pointer, not the weights. Run `git lfs pull` there.",
    b"\x89PNG": "it is a picture (PNG). Give the file of weights.",
    b"\xff\xd8\xff": "it is a picture (JPEG). Give the file of weights.",
    b"\x1f\x8b": "it is compressed with gzip. Unpack it first.",
    b"\x89HDF": "it is an HDF5 file, as Keras writes. Give a file of torch.save or safetensors.",
}


def _check_tensors(tensors: Mapping[str, Tensor]) -> None:
    if len(tensors) > containers.MAX_ENTRIES:
        raise UnlearnError(f"it holds {len(tensors):,} tensors; at most {containers.MAX_ENTRIES:,} are read.")
    for name, tensor in tensors.items():
        _check_form(name, tensor)
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    if total > MAX_TENSOR_BYTES:
        raise UnlearnError(f"its tensors need {total:,} bytes; at most {MAX_TENSOR_BYTES:,} are read.")
    for name, tensor in tensors.items():
        _check_values(name, tensor)


def _check_form(name: str, tensor: Tensor) -> None:
    if not _NAME.fullmatch(name):
        raise UnlearnError(
            f"a tensor is called {shown(name)}; names have up to 256 letters, digits, '_', '-', '.'."
        )
    if tensor.layout != torch.strided or tensor.dtype not in DTYPES or tensor.device.type != "cpu":
        raise UnlearnError(
            f"the tensor {name} is of the kind {tensor.dtype}, {tensor.layout}; only dense tensors of plain "
            "floats, integers and booleans are read. Convert it, for instance with .float(), and save again."
        )
    if tensor.dim() > MAX_RANK or max(tensor.shape, default=0) > MAX_DIM:
        raise UnlearnError(f"the tensor {name} has an impossible shape ({tensor.dim()} dimensions).")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise UnlearnError(f"the tensor {name} repeats its values. Save it with .contiguous() or .clone().")


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
