"""The three containers of weights: torch's zip, torch's old plain stream, safetensors.

Each is checked from the outside before torch reads it: `torch.load(weights_only=True)` runs no code, but it
skips checksums, inflates bombs and believes any declared size. The checks bound all of that, so the load runs
in this process; a child process for it would cost an import of torch, 1.6 s measured, for each file.
All work is done on bytes that were read once: a file that changes meanwhile changes nothing.
"""

import io
import json
import re
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Any

import torch

from unlearn_core.checkpoints.opcodes import SAVE_HINT, Storage, examine, shown
from unlearn_core.errors import UnlearnError

LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # a pickle of torch's magic number
ZIP_START = b"PK\x03\x04"
MAX_ENTRIES = 20_000
MAX_PICKLE = 16 * 2**20
AGAIN = "Download or save it again."
_HARMLESS_FLAGS = 0x0808  # names in UTF-8; sizes follow the data


def read_zip(data: bytes) -> Any:
    """The object in a file of `torch.save`.

    Raises:
        UnlearnError: The zip is damaged or tricky, or its pickle asks for more than tensors.
    """
    with _opened_zip(data) as archive:
        folder = _check_entries(archive)
        parts = {entry.filename: _checked_part(archive, entry) for entry in archive.infolist()}
    contents = examine(io.BytesIO(parts[f"{folder}/data.pkl"]))
    _check_storages(parts, folder, contents.storages)
    # torch reads an archive written anew from the checked parts: two readers of one zip may find different
    # directories in it, and then torch would see what was never checked.
    return _load(_rewritten(parts))


def _opened_zip(data: bytes) -> zipfile.ZipFile:
    # Each entry of the directory has this mark: counted before anything is built from them.
    if data.count(b"PK\x01\x02") > MAX_ENTRIES:
        raise UnlearnError(f"it has more than {MAX_ENTRIES:,} parts. {SAVE_HINT}")
    # The end record must be the last thing, so that all readers find the same directory.
    if data[-22:-18] != b"PK\x05\x06":
        raise UnlearnError(f"its end is missing, so it was cut off or changed. {AGAIN}")
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise UnlearnError(f"its zip directory is damaged. {AGAIN}") from error


def _check_entries(archive: zipfile.ZipFile) -> str:
    """The one folder that all entries lie in, after the structure was found sound."""
    entries = archive.infolist()
    # torch's reader takes upper and lower case for the same.
    if len({entry.filename.casefold() for entry in entries}) != len(entries):
        raise UnlearnError(f"it holds a part twice. {SAVE_HINT}")
    folders = {entry.filename.split("/")[0] for entry in entries}
    folder = folders.pop() if len(folders) == 1 else ""
    names = {entry.filename for entry in entries}
    if any(name.startswith(f"{folder}/code/") or name == f"{folder}/constants.pkl" for name in names):
        raise UnlearnError(f"it is a TorchScript program, not a file of tensors. {SAVE_HINT}")
    if f"{folder}/data.pkl" not in names or sum(n.endswith("/data.pkl") for n in names) != 1:
        raise UnlearnError(f"it is a zip file, but not one that torch.save writes. {SAVE_HINT}")
    for entry in entries:
        _check_entry(entry)
    if archive.getinfo(f"{folder}/data.pkl").file_size > MAX_PICKLE:
        raise UnlearnError(f"its pickle is larger than {MAX_PICKLE:,} bytes. {SAVE_HINT}")
    _check_spans(archive)
    return folder


def _check_entry(entry: zipfile.ZipInfo) -> None:
    parts = entry.orig_filename.split("/")  # the other name ends at the first NUL
    if len(parts) < 2 or not all(re.fullmatch(r"[^\\\x00-\x1f]+", p) and p != ".." for p in parts):
        raise UnlearnError(f"its part {shown(entry.filename)} has a name that torch.save does not write.")
    if entry.flag_bits & ~_HARMLESS_FLAGS:
        raise UnlearnError(f"its part {shown(entry.filename)} is encrypted. Save it without a password.")
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise UnlearnError(
            f"its part {shown(entry.filename)} is compressed, which torch.save never does. {SAVE_HINT}"
        )


def _check_spans(archive: zipfile.ZipFile) -> None:
    """No entry lies on another, and the first stands at the start."""
    end = 0
    for entry in sorted(archive.infolist(), key=lambda e: e.header_offset):
        first = end == 0
        if entry.header_offset < end or (first and entry.header_offset != 0):
            raise UnlearnError(f"its parts overlap or do not start at the beginning. {AGAIN}")
        end = entry.header_offset + 30 + len(entry.orig_filename) + entry.file_size
    if end > archive.start_dir:
        raise UnlearnError(f"its parts reach past its end. {AGAIN}")


def _checked_part(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(entry)  # this compares the checksum; torch itself does not
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, RuntimeError) as error:
        raise UnlearnError(
            f"the checksum of its part {shown(entry.filename)} is wrong, so it is damaged. {AGAIN}"
        ) from error


def _rewritten(parts: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _check_storages(parts: Mapping[str, bytes], folder: str, storages: Mapping[str, Storage]) -> None:
    for key, storage in storages.items():
        size = len(parts.get(f"{folder}/data/{key}", b""))
        if size != storage.nbytes:
            raise UnlearnError(
                f"its storage {shown(key)} should have {storage.nbytes:,} bytes but has {size:,}. {AGAIN}"
            )


def read_legacy(data: bytes) -> Any:
    """The object in a file of `torch.save` before 1.6: five pickles in a row, then the raw storages.

    It has no checksums, so only cuts and non-finite values can be noticed, not every flipped bit.

    Raises:
        UnlearnError: It is cut off or also a tar file, or a pickle asks for more than tensors.
    """
    if is_tar(data):
        raise UnlearnError(f"it is a tar file, a form that torch gave up in 2017. {SAVE_HINT}")
    stream = io.BytesIO(data)
    examine(stream)  # the magic number, known from the start of the file
    if examine(stream).value != 1001:
        raise UnlearnError(f"it is not a version of torch's old format that is known. {SAVE_HINT}")
    if type(examine(stream).value) is not dict:
        raise UnlearnError(f"it is not a version of torch's old format that is known. {SAVE_HINT}")
    contents = examine(stream)
    keys = examine(stream).value
    _check_raw_storages(data, stream.tell(), keys, contents.storages)
    return _load(data)


def _check_raw_storages(data: bytes, at: int, keys: Any, storages: Mapping[str, Storage]) -> None:
    listed = type(keys) is list and all(type(key) is str for key in keys)
    if not listed or len(keys) != len(storages) or set(keys) != set(storages):
        raise UnlearnError(f"its list of storages does not fit its tensors. {AGAIN}")
    for key in keys:
        if int.from_bytes(data[at : at + 8], "little") != storages[key].numel:
            raise UnlearnError(f"its storage {shown(key)} is cut off or damaged. {AGAIN}")
        at += 8 + storages[key].nbytes
    if at != len(data):
        raise UnlearnError(f"it should have {at:,} bytes and has {len(data):,}. {AGAIN}")


def is_tar(data: bytes) -> bool:
    """Whether a tar reader would accept the start of the file."""
    try:
        tarfile.TarInfo.frombuf(data[:512], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _load(data: bytes) -> Any:
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the file makes torch raise, the fault is the file's
        reason = str(error).split("\n")[0][:200]
        raise UnlearnError(f"torch can't read it ({type(error).__name__}: {reason}). {SAVE_HINT}") from error


def read_safetensors(data: bytes) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        UnlearnError: The header or a size is wrong, or there are too many tensors.
    """
    import safetensors.torch

    try:
        tensors = safetensors.torch.load(data)
    except Exception as error:  # the library raises its own errors, KeyError and ValueError for bad files
        raise UnlearnError(f"it is no sound safetensors file ({str(error)[:200]}). {AGAIN}") from error
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = header.get("__metadata__") or {}
    return tensors, {str(k): str(v) for k, v in metadata.items()}


def looks_like_safetensors(data: bytes) -> bool:
    """Whether the file starts with a length and a JSON header of that length."""
    length = int.from_bytes(data[:8], "little")
    return len(data) >= 10 and 2 <= length <= len(data) - 8 and data[8:9] == b"{"
