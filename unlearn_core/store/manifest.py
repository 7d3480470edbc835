"""The manifest of a finished run: which files it stands by, with the size and SHA-256 of each."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.store.files import flush, is_draft, read_json, write_json

MANIFEST = "manifest.json"
_SCHEMA = 1
# Files of a run that go on changing after it has finished, or that only its worker needs.
_NOT_SEALED = {MANIFEST, "log.txt", "progress.json", "record.json", "lock", "cancel"}


@dataclass(frozen=True)
class Entry:
    """A file as the manifest tells it.

    Attributes:
        path: Within the run's folder.
        size: In bytes.
        sha256: Of its content.
    """

    path: str
    size: Any
    sha256: Any


def seal(folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes the manifest: the facts, and size and SHA-256 of every final file; the last write of a run."""
    artifacts = [vars(_entry(folder, name)) for name in sorted(_final_files(folder))]
    write_json(folder / MANIFEST, {"schema": _SCHEMA, **facts, "artifacts": artifacts})


def verify(folder: Path) -> tuple[str, ...]:
    """What is wrong with a sealed folder, a sentence each; empty when every file is as it was sealed."""
    return _problems(folder, _digest)


def verify_once(folder: Path) -> tuple[str, ...]:
    """As `verify`, but this process reads a file once as long as its size and time of change stay."""
    return _problems(folder, _digest_cached)


def entries(folder: Path) -> dict[str, Entry]:
    """The files of a sealed folder by name, as its manifest tells them; they themselves aren't looked at.

    Raises:
        UnlearnError: There is no manifest, it is damaged, or a newer version of Lethe wrote it.
    """
    path = folder / MANIFEST
    facts = read_json(path)
    if facts.get("schema") != _SCHEMA:
        raise UnlearnError(
            f"{path} has the schema {facts.get('schema')!r}; this version of Lethe reads {_SCHEMA}."
        )
    artifacts = facts.get("artifacts")
    if not isinstance(artifacts, list) or not all(map(_is_entry, artifacts)):
        raise UnlearnError(f"{path} is damaged: its list of artifacts is not one.")
    return {a["path"]: Entry(a["path"], a.get("size"), a.get("sha256")) for a in artifacts}


def artifact(folder: Path, name: str) -> Path:
    """The path of a file that the manifest lists, once its content has been checked.

    Raises:
        UnlearnError: The manifest is missing or damaged, lists no such file, or the file has changed.
    """
    listed = entries(folder)
    if name not in listed:
        raise UnlearnError(f"Run {folder.name} has no file {name!r}; it has: {', '.join(listed) or 'none'}.")
    problem = _problem(folder, listed[name], _digest_cached)
    if problem:
        raise UnlearnError(f"Run {folder.name}: {problem}")
    return folder / name


def _final_files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        # A link could lead out of the folder; nothing of ours makes one.
        if path.is_file() and not path.is_symlink() and name not in _NOT_SEALED and not is_draft(path):
            yield name


def _entry(folder: Path, name: str) -> Entry:
    path = folder / name
    # Files appended to or written by a library may not have reached the disk yet.
    flush(path)
    return Entry(name, path.stat().st_size, _digest(path))


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        return False
    path = PurePosixPath(entry["path"])
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def _problems(folder: Path, digest: Callable[[Path], str]) -> tuple[str, ...]:
    try:
        listed = entries(folder).values()
    except UnlearnError as error:
        return (str(error),)
    return tuple(p for p in (_problem(folder, entry, digest) for entry in listed) if p)


def _problem(folder: Path, entry: Entry, digest: Callable[[Path], str]) -> str:
    path = folder / entry.path
    if path.is_symlink() or not path.is_file():
        return f"{entry.path} is missing."
    if path.stat().st_size != entry.size or digest(path) != entry.sha256:
        return f"{entry.path} is not the file that the run wrote."
    return ""


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_cached(path: Path) -> str:
    about = path.stat()
    return _digest_at(str(path), about.st_size, about.st_mtime_ns, about.st_ino)


@lru_cache(maxsize=4096)
def _digest_at(path: str, _size: int, _changed: int, _inode: int) -> str:
    return _digest(Path(path))
