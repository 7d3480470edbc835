"""Where the files of all runs are: a folder each, with its lock and its wish to stop, and a lock for each device."""

import io
import secrets
import shutil
import zipfile
from pathlib import Path

from unlearn_core.errors import UnlearnError
from unlearn_core.store.files import explained, is_draft
from unlearn_core.store.records import is_run_id

_NOT_EXPORTED = {"lock", "cancel"}


class RunFolders:
    """The folders of all runs under one root.

    Args:
        root: Made where it isn't there.

    Raises:
        UnlearnError: From every method: a text is no run id, or a folder can't be read or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._runs, self._device_locks, self._deleted = root / "runs", root / "locks", root / "deleted"
        for folder in (self._runs, self._device_locks):
            with explained(folder):
                folder.mkdir(parents=True, exist_ok=True)

    def folder(self, run_id: str) -> Path:
        """Where the run's files are."""
        if not is_run_id(run_id):
            raise UnlearnError(f"{run_id!r} is no run id; `runs list` shows the ids there are.")
        return self._runs / run_id

    def ids(self) -> set[str]:
        """The runs that have a folder."""
        return {path.name for path in self._runs.iterdir() if is_run_id(path.name)}

    def lock_file(self, run_id: str) -> Path:
        """Whoever works on the run holds the lock of this file."""
        return self.folder(run_id) / "lock"

    def device_lock_file(self, device: str) -> Path:
        """Whichever run computes on the device holds the lock of this file."""
        return self._device_locks / f"{device.replace(':', '-')}.lock"

    def cancel_file(self, run_id: str) -> Path:
        """This file is there when somebody wants the run to stop."""
        return self.folder(run_id) / "cancel"

    def log(self, run_id: str, last: int = 65_536) -> str:
        """The end of what the run's process printed, at most `last` bytes of it."""
        path = self.folder(run_id) / "log.txt"
        if not path.exists():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - last))
            return file.read().decode("utf-8", "replace")

    def remove_files(self, run_id: str, *names: str) -> None:
        """Removes files of a run, where they are there."""
        for path in (self.folder(run_id) / name for name in names):
            with explained(path):
                path.unlink(missing_ok=True)

    def throw_away(self, run_id: str) -> None:
        """Moves a run's folder out of the way in one step; `empty_bin` then removes it."""
        with explained(self._deleted):
            self._deleted.mkdir(exist_ok=True)
            if self.folder(run_id).exists():
                self.folder(run_id).replace(self._deleted / f"{run_id}-{secrets.token_hex(4)}")

    def empty_bin(self) -> None:
        """Removes what was thrown away, as far as it can be."""
        for folder in self._deleted.iterdir():
            shutil.rmtree(folder, ignore_errors=True)


def zipped(folder: Path) -> bytes:
    """A run's folder as a zip file, without what only its process needs."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(folder.rglob("*")):
            if _is_exported(path):
                archive.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")
    return packed.getvalue()


def _is_exported(path: Path) -> bool:
    plain = path.is_file() and not path.is_symlink()
    return plain and path.name not in _NOT_EXPORTED and not is_draft(path)
