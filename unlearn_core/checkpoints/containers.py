"""The three containers of weights: torch's zip, torch's old plain stream, safetensors.

Each is checked from the outside, and its tensors are known by size before a number is read: a container gives the bytes of
the storages that somebody asks for, and of no others, each read once and compared with its checksum where there is one.
Nothing is handed to torch's own reader, which skips checksums, inflates bombs and believes any declared size.
"""

import io
import json
import os
import re
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from unlearn_core.checkpoints.opcodes import examine
from unlearn_core.checkpoints.values import MAX_RANK, SAVE_HINT, STORAGES, Described, Storage, is_count, shown
from unlearn_core.errors import UnlearnError

# A pickle of torch's magic number, in any protocol.
LEGACY_START = re.compile(rb"\x80[\x02-\x05](?:\x95.{8})?\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL)
ZIP_START = b"PK\x03\x04"
MAX_FILE = 2 * 2**30
MAX_ENTRIES = 20_000
MAX_DIRECTORY = 8 * 2**20
MAX_PICKLE = 16 * 2**20
MAX_HEADER = 16 * 2**20
AGAIN = "Download or save it again."
_HARMLESS_FLAGS = 0x0808  # names in UTF-8; sizes follow the data


@dataclass(frozen=True)
class Container:
    """What a file holds, without its numbers.

    Attributes:
        value: The object, with `Described` in place of tensors.
        size: Bytes of the file.
        read: The bytes of one storage; raises UnlearnError where they are damaged.
        checked: Whether a checksum goes with the numbers.
        metadata: Plain texts beside the tensors.
    """

    value: Any
    size: int
    read: Callable[[Storage], bytearray]
    checked: bool
    metadata: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def opened(path: Path) -> Iterator[Container]:
    """The container in a file, open for as long as its numbers are read; its bytes decide what it is, not its name.

    Raises:
        UnlearnError: It is no plain file, too large, damaged, tricky, or asks for more than tensors.
    """
    with _plain_file(path) as file:
        start = file.read(1024)
        if start.startswith(ZIP_START):
            yield _zip(file)
        elif LEGACY_START.match(start):
            yield _legacy(file, start)
        elif _looks_like_safetensors(file, start):
            yield _safetensors(file)
        else:
            raise UnlearnError(_what_it_is(start))


@contextmanager
def _plain_file(path: Path) -> Iterator[BinaryIO]:
    if path.is_dir():
        raise UnlearnError("it is a folder. Give the file of weights in it.")
    try:
        # A pipe or a device would otherwise be waited for; what was opened is looked at, not what the name leads to later.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise UnlearnError("there is no such file. Check the path.") from error
    except OSError as error:
        raise UnlearnError(f"it can't be read ({error.strerror}).") from error
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise UnlearnError("there is no such file of weights: it is a pipe or a device. Check the path.")
        if about.st_size > MAX_FILE:
            raise UnlearnError(f"it has {about.st_size:,} bytes; at most {MAX_FILE:,} are read.")
        yield file


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _zip(file: BinaryIO) -> Container:
    """The object in a file of `torch.save`.

    Raises:
        UnlearnError: The zip is damaged or tricky, or its pickle asks for more than tensors.
    """
    archive = _opened_zip(file)
    folder = _check_entries(archive)
    entries = {entry.filename: entry for entry in archive.infolist()}
    _check_byte_order(archive, entries.get(f"{folder}/byteorder"))
    contents = examine(io.BytesIO(_checked_part(archive, entries[f"{folder}/data.pkl"])))
    for key, storage in contents.storages.items():
        entry = entries.get(f"{folder}/data/{key}")
        _require_size(key, storage, entry.file_size if entry else 0)

    def read(storage: Storage) -> bytearray:
        return _checked_part(archive, entries[f"{folder}/data/{storage.key}"])

    return Container(contents.value, _size(file), read, checked=True, metadata=_plain_values(contents.value))


def _opened_zip(file: BinaryIO) -> zipfile.ZipFile:
    size = _size(file)
    file.seek(max(0, size - 98))
    tail = file.read()
    # The end record must be the last thing, so that all readers find the same directory.
    if tail[-22:-18] != b"PK\x05\x06":
        raise UnlearnError(f"its end is missing, so it was cut off or changed. {AGAIN}")
    length = int.from_bytes(tail[-10:-6], "little")
    if len(tail) == 98 and tail[56:60] == b"PK\x06\x07":  # the larger record of zip64 takes its place
        length = int.from_bytes(tail[40:48], "little")
    file.seek(max(0, size - min(length, MAX_DIRECTORY) - 98))
    # Each entry of the directory has this mark: counted before anything is built from them.
    if length > MAX_DIRECTORY or file.read().count(b"PK\x01\x02") > MAX_ENTRIES:
        raise UnlearnError(f"it has more than {MAX_ENTRIES:,} parts. {SAVE_HINT}")
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, OSError) as error:
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
        raise UnlearnError(f"it is a zip file, but not one that torch.save writes. {_zip_hint(names)}")
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


def _zip_hint(names: set[str]) -> str:
    if any(name.endswith((".pt", ".pth", ".th", ".safetensors")) for name in names):
        return "Unpack it first, and give the file of weights in it."
    return SAVE_HINT


def _check_byte_order(archive: zipfile.ZipFile, entry: zipfile.ZipInfo | None) -> None:
    if entry is not None and (entry.file_size > 16 or _checked_part(archive, entry).strip() != b"little"):
        raise UnlearnError(f"it was written on a machine with another order of bytes. {AGAIN}")


def _checked_part(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytearray:
    content, length = bytearray(entry.file_size), 0
    try:
        with archive.open(entry) as part:  # the end compares the checksum; torch itself does not
            while block := part.read(2**20):
                content[length : length + len(block)] = block
                length += len(block)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, RuntimeError, OSError) as error:
        raise UnlearnError(
            f"the checksum of its part {shown(entry.filename)} is wrong, so it is damaged. {AGAIN}"
        ) from error
    if length != len(content):
        raise UnlearnError(f"its part {shown(entry.filename)} is cut off. {AGAIN}")
    return content


def _require_size(key: str, storage: Storage, size: int) -> None:
    if size != storage.nbytes:
        raise UnlearnError(
            f"its storage {shown(key)} should have {storage.nbytes:,} bytes but has {size:,}. {AGAIN}"
        )


def _legacy(file: BinaryIO, start: bytes) -> Container:
    """The object in a file of `torch.save` before 1.6: five pickles in a row, then the raw storages.

    It has no checksums, so only cuts and values that no weight has can be noticed, not every flipped bit.

    Raises:
        UnlearnError: It is cut off or also a tar file, or a pickle asks for more than tensors.
    """
    if is_tar(start):
        raise UnlearnError(f"it is a tar file, a form that torch gave up in 2017. {SAVE_HINT}")
    size = _size(file)
    file.seek(0)
    # Its pickles lie at the front: no tensor's number is needed to run them.
    stream = io.BytesIO(file.read(min(size, 2 * MAX_PICKLE)))
    examine(stream)  # the magic number, known from the start of the file
    version, system = examine(stream).value, examine(stream).value
    if version != 1001 or type(system) is not dict or system.get("little_endian", True) is not True:
        raise UnlearnError(f"it is not a version of torch's old format that is known. {SAVE_HINT}")
    contents = examine(stream)
    keys = examine(stream).value
    places = _raw_storages(file, stream.tell(), keys, contents.storages, size)

    def read(storage: Storage) -> bytearray:
        return _bytes_at(file, places[storage.key], storage.nbytes)

    return Container(contents.value, size, read, checked=False, metadata=_plain_values(contents.value))


def _raw_storages(
    file: BinaryIO, at: int, keys: Any, storages: Mapping[str, Storage], size: int
) -> dict[str, int]:
    """Where each storage's numbers begin."""
    listed = type(keys) is list and all(type(key) is str for key in keys)
    if not listed or len(keys) != len(storages) or set(keys) != set(storages):
        raise UnlearnError(f"its list of storages does not fit its tensors. {AGAIN}")
    places = {}
    for key in keys:
        file.seek(at)
        if int.from_bytes(file.read(8), "little") != storages[key].numel:
            raise UnlearnError(f"its storage {shown(key)} is cut off or damaged. {AGAIN}")
        places[key] = at + 8
        at += 8 + storages[key].nbytes
    if at != size:
        raise UnlearnError(f"it should have {at:,} bytes and has {size:,}. {AGAIN}")
    return places


def _bytes_at(file: BinaryIO, at: int, count: int) -> bytearray:
    content = bytearray(count)
    file.seek(at)
    if file.readinto(content) != count:  # type: ignore[attr-defined]
        raise UnlearnError(f"it was cut off while it was read. {AGAIN}")
    return content


def is_tar(start: bytes) -> bool:
    """Whether a tar reader would accept the start of the file."""
    try:
        tarfile.TarInfo.frombuf(start[:512], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _plain_values(loaded: Any) -> dict[str, str]:
    if not isinstance(loaded, Mapping):
        return {}
    kept = {
        k: v for k, v in loaded.items() if isinstance(k, str) and re.fullmatch(r"[\w.\-]{1,256}", k, re.ASCII)
    }
    return {k: str(v)[:200] for k, v in kept.items() if isinstance(v, str | int | float)}


_SAFETENSORS = {
    "F64": "torch DoubleStorage",
    "F32": "torch FloatStorage",
    "F16": "torch HalfStorage",
    "BF16": "torch BFloat16Storage",
    "I64": "torch LongStorage",
    "I32": "torch IntStorage",
    "I16": "torch ShortStorage",
    "I8": "torch CharStorage",
    "U8": "torch ByteStorage",
    "BOOL": "torch BoolStorage",
}


def _looks_like_safetensors(file: BinaryIO, start: bytes) -> bool:
    length = int.from_bytes(start[:8], "little")
    return len(start) >= 10 and 2 <= length <= _size(file) - 8 and start[8:9] == b"{"


def _safetensors(file: BinaryIO) -> Container:
    """Tensors and metadata of a safetensors file, which has no checksums.

    Raises:
        UnlearnError: The header or a size is wrong, or there are too many tensors.
    """
    size = _size(file)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER:
        raise UnlearnError(f"its header has {length:,} bytes; at most {MAX_HEADER:,} are read. {AGAIN}")
    try:
        header = json.loads(file.read(length))
        metadata = header.pop("__metadata__", None) or {}
        texts = {str(k): str(v) for k, v in metadata.items()}
        if len(header) > MAX_ENTRIES:
            raise UnlearnError(f"it holds {len(header):,} tensors; at most {MAX_ENTRIES:,} are read.")
        places = {str(name): _entry(str(name), entry) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnlearnError(f"its header is no sound safetensors header. {AGAIN}") from error
    _check_ends(places, size - 8 - length)
    first = {d.storage.key: 8 + length + begin for d, begin, _ in places.values() if d.storage}

    def read(storage: Storage) -> bytearray:
        return _bytes_at(file, first[storage.key], storage.nbytes)

    tensors = {name: described for name, (described, _, _) in places.items()}
    return Container(tensors, size, read, checked=False, metadata=texts)


def _entry(name: str, entry: Mapping[str, Any]) -> tuple[Described, int, int]:
    """One tensor of the header, with where its bytes begin and end."""
    (begin, end), shape = entry["data_offsets"], tuple(entry["shape"])
    if not all(map(is_count, (begin, end, *shape))) or len(shape) > MAX_RANK:
        raise UnlearnError(f"the tensor {shown(name)} has an impossible shape or place. {AGAIN}")
    if entry["dtype"] not in _SAFETENSORS:
        raise UnlearnError(
            f"the tensor {shown(name)} is of the kind {shown(str(entry['dtype']))}; only plain floats, integers and "
            "booleans are read. Convert it, for instance with .float(), and save again."
        )
    kind = _SAFETENSORS[entry["dtype"]]
    described = Described(shape)
    numel = described.numel
    if end - begin != numel * STORAGES[kind]:
        raise UnlearnError(f"the tensor {shown(name)} has another size than its header says. {AGAIN}")
    steps = [1]
    for side in reversed(shape[1:]):
        steps.append(steps[-1] * max(1, side))
    described.storage = Storage(name, kind, numel)
    described.stride = tuple(reversed(steps)) if shape else ()
    return described, begin, end


def _check_ends(places: Mapping[str, tuple[Described, int, int]], size: int) -> None:
    """The tensors' bytes follow on each other, to the end of the file, with no hole and nothing twice."""
    at = 0
    for begin, end in sorted((begin, end) for _, begin, end in places.values()):
        if begin != at:
            raise UnlearnError(f"its tensors overlap or leave holes between them. {AGAIN}")
        at = end
    if at != size:
        raise UnlearnError(f"it should have {at:,} bytes of numbers and has {size:,}. {AGAIN}")


def _what_it_is(start: bytes) -> str:
    """Why bytes that are no weights are refused, with what to do."""
    if not start:
        return f"it is empty. {AGAIN}"
    for mark, reason in _FOREIGN.items():
        if start.startswith(mark):
            return reason
    if b"<html" in start.lower() or start.lstrip()[:9].lower() == b"<!doctype":
        return "it is a web page, probably an error page saved in place of the weights. Download it again."
    if is_tar(start):
        return f"it is a tar file. Unpack it first, or if torch wrote it before 2017: {SAVE_HINT}"
    if start.startswith(b"\x80"):
        return f"it is a plain Python pickle, which could run code when opened. {SAVE_HINT}"
    return f"it is neither a file of torch.save nor a safetensors file. {SAVE_HINT}"


_FOREIGN = {
    b"version https://git-lfs": "it is a Git LFS pointer, not the weights. Run `git lfs pull` there.",
    b"\x89PNG": "it is a picture (PNG). Give the file of weights.",
    b"\xff\xd8\xff": "it is a picture (JPEG). Give the file of weights.",
    b"\x1f\x8b": "it is compressed with gzip. Unpack it first.",
    b"\x89HDF": "it is an HDF5 file, as Keras writes. Give a file of torch.save or safetensors.",
}
