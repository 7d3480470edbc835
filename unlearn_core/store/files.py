"""Files that are whole or absent, whatever ends the process that writes them."""

import enum
import errno
import json
import math
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearn_core.errors import UnlearnError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DRAFT = re.compile(r"\.tmp-[0-9a-f]{8}\Z")
# Beginnings of the drafts that the store writes, from any process.
_STORE_WRITES = ("record.json.", "request.json.", "cancel.")


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Puts `data` under `path`, so that a reader sees the old file or the whole new one.

    Args:
        path: Where; its folder is made if need be.
        data: What.
        durable: Whether the file must survive a loss of power. Not worth its time for live progress.

    Raises:
        UnlearnError: The disk is full or the folder can't be written; the file that was there is as it was.
    """
    with _draft(path, durable) as draft:
        draft.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """As `write_bytes`, in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """As `write_bytes`, for what `plain_json` can take."""
    text = json.dumps(plain_json(value), indent=1, allow_nan=False)
    write_bytes(path, text.encode("ascii") + b"\n", durable=durable)


def write_npz(path: Path, arrays: "Mapping[str, NDArray[Any]]", *, compress: bool = True) -> None:
    """As `write_bytes`, for named arrays as one npz.

    Args:
        path: Where.
        arrays: What; `np.load` gives them back under their names.
        compress: Whether to; what is soon replaced isn't worth its time.
    """
    import numpy as np  # job control, which opens the first screen, does without it

    named: dict[str, Any] = dict(arrays)
    with replacing(path) as draft, draft.open("wb") as file:
        (np.savez_compressed if compress else np.savez)(file, **named)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that becomes `path` when the block ends well; for libraries that write files."""
    with _draft(path, durable=True) as draft:
        yield draft


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of ours.

    Raises:
        UnlearnError: The file is missing or damaged.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise UnlearnError(f"{path} is missing.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UnlearnError(f"{path} is damaged: {error}.") from error
    if not isinstance(value, dict):
        raise UnlearnError(f"{path} is damaged: it holds no JSON object.")
    return value


def plain_json(value: Any) -> Any:
    """The value in what JSON has: arrays become lists, and numbers that are not finite become null."""
    if value is None or isinstance(value, bool | int | str) and not isinstance(value, enum.Enum):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): plain_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(v) for v in value]
    return plain_json(_simpler(value))


def remove_drafts(folder: Path) -> None:
    """Removes what a killed worker was in the middle of writing; what others may be writing now stays."""
    for path in folder.rglob("*"):
        if is_draft(path) and path.is_file() and not path.name.startswith(_STORE_WRITES):
            with explained(path):
                path.unlink(missing_ok=True)


def is_draft(path: Path) -> bool:
    """Whether the file is one in the middle of being written."""
    return _DRAFT.search(path.name) is not None


def flush(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns the operating system's refusals to write `path` into sentences."""
    try:
        yield
    except OSError as error:
        raise UnlearnError(_refusal(path, error)) from error


def _refusal(path: Path, error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return f"There is no room to write {path} ({error.strerror}). Free some disk space and try again."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return (
            f"Lethe may not write {path} ({error.strerror}). "
            "Make the folder writable, or set LETHE_HOME to one that is."
        )
    return f"Lethe can't write {path} ({error.strerror or error}). Check the folder and try again."


@contextmanager
def _draft(path: Path, durable: bool) -> Iterator[Path]:
    draft = path.with_name(f"{path.name}.tmp-{secrets.token_hex(4)}")
    with explained(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield draft
            if durable:
                flush(draft)
            os.replace(draft, path)
            if durable:
                flush(path.parent)
        finally:
            draft.unlink(missing_ok=True)


def _simpler(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} can't be written as JSON")
