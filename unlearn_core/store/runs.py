"""The runs: what was asked for, how far it is, what came of it; a folder each, with an index over them."""

import io
import secrets
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.home import home
from unlearn_core.store import files as artifacts
from unlearn_core.store.files import explained, read_json, write_bytes
from unlearn_core.store.index import Database, Row, RunIndex, insert, readmit, update
from unlearn_core.store.locks import lock
from unlearn_core.store.progress import events, read_progress
from unlearn_core.store.records import (
    RunRecord,
    RunState,
    is_run_id,
    new_row,
    person_text,
    record_of,
    row_of_folder,
    saved_record,
    write_folder,
    write_record,
)

__all__ = ["RunRecord", "RunState", "RunStore", "events"]

_UNFINISHED = frozenset({RunState.QUEUED, RunState.RUNNING})
_RESUMABLE = frozenset({RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED})
_NOT_EXPORTED = {"lock", "cancel"}


class RunStore:
    """All runs under one folder.

    A run's folder is the truth: `request.json` never changes, `record.json` follows the state, and
    `manifest.json` is there only when the run succeeded. The SQLite index is made anew from them when lost.

    Args:
        root: The folder; `home()` when None.

    Raises:
        UnlearnError: From every method: the folder can't be read or written, or the run does not exist.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or home()).absolute()
        self._runs = self.root / "runs"
        self._device_locks = self.root / "locks"
        for folder in (self._runs, self._device_locks):
            with explained(folder):
                folder.mkdir(parents=True, exist_ok=True)
        self._index = RunIndex(self.root / "runs.sqlite", self._rows_of_folders, record_of)

    def create(
        self, kind: str, request: Mapping[str, Any], token: str, device: str = "cpu", name: str = ""
    ) -> RunRecord:
        """The run of this token: a new one in the queue, or the one that the token was first used for."""
        row = new_row(kind, request, token, device, name)
        added = self._index.write(lambda db: insert(db, row))
        if added:
            try:
                self.ensure_folder(row["id"])
            except UnlearnError:
                # The person is told that nothing was started; so nothing must start later.
                self._index.write(lambda db: self._undo(db, row["id"]))
                raise
        return self.get(self._index.read(lambda db: _one(db, "token", token)["id"]))

    def get(self, run_id: str) -> RunRecord:
        """The run, with its result where its files are as it wrote them."""
        record = replace(self._light(run_id), progress=read_progress(self.folder(run_id)))
        if record.state is not RunState.SUCCEEDED:
            return record
        damage = artifacts.verify_once(self.folder(run_id))
        result = None if damage else read_json(self.folder(run_id) / "result.json")
        return replace(record, result=result, damage=damage)

    def list(self, kind: str | None = None, limit: int = 1000) -> tuple[RunRecord, ...]:
        """The newest runs first, without their results."""
        query = "SELECT * FROM runs WHERE ? IS NULL OR kind = ? ORDER BY seq DESC LIMIT ?"
        found = self._records(query, kind, kind, limit)
        return tuple(replace(record, progress=read_progress(self._runs / record.id)) for record in found)

    def of_tokens(self, tokens: Sequence[str]) -> tuple[RunRecord, ...]:
        """The runs that these tokens were used for, oldest first."""
        places = ", ".join("?" * len(tokens))
        return self._records(f"SELECT * FROM runs WHERE token IN ({places}) ORDER BY seq", *tokens)

    def unfinished(self) -> tuple[RunRecord, ...]:
        """The runs that wait or work, oldest first."""
        return self._records("SELECT * FROM runs WHERE state IN ('queued', 'running') ORDER BY seq")

    def ahead(self, run_id: str) -> tuple[RunRecord, ...]:
        """The unfinished runs that go before this one on its device, oldest first."""
        waiting = self.unfinished()
        places = [place for place, record in enumerate(waiting) if record.id == run_id]
        return tuple(r for p in places for r in waiting[:p] if r.device == waiting[p].device)

    def place_in_queue(self, run_id: str) -> int:
        """1 for the next to run on its device, 2 for the one after it; 0 when the run doesn't wait."""
        if self._light(run_id).state is not RunState.QUEUED:
            return 0
        return 1 + sum(r.state is RunState.QUEUED for r in self.ahead(run_id))

    def folder(self, run_id: str) -> Path:
        """Where the run's files are."""
        if not is_run_id(run_id):
            raise UnlearnError(f"{run_id!r} is no run id; `runs list` shows the ids there are.")
        return self._runs / run_id

    def lock_file(self, run_id: str) -> Path:
        """Whoever works on the run holds the lock of this file."""
        return self.folder(run_id) / "lock"

    def device_lock_file(self, device: str) -> Path:
        """Whichever run computes on the device holds the lock of this file."""
        return self._device_locks / f"{device.replace(':', '-')}.lock"

    def cancel_file(self, run_id: str) -> Path:
        """This file is there when somebody wants the run to stop."""
        return self.folder(run_id) / "cancel"

    def rename(self, run_id: str, name: str) -> None:
        """Gives the run another name."""
        self._change(run_id, name=person_text(name, 200))

    def annotate(self, run_id: str, note: str) -> None:
        """Replaces the person's note."""
        self._change(run_id, note=person_text(note, 20_000))

    def delete(self, run_id: str) -> None:
        """Removes the run and its files.

        Raises:
            UnlearnError: A process is at work on it.
        """
        self.ensure_folder(run_id)
        with lock(self.lock_file(run_id), wait=0.2) as held:
            if held is None:
                raise UnlearnError(f"Run {run_id} is still at work; cancel it first, then delete it.")
            self._index.write(lambda db: self._throw_away(db, run_id))
        for remains in (self.root / "deleted").iterdir():
            shutil.rmtree(remains, ignore_errors=True)

    def request_cancel(self, run_id: str) -> None:
        """Asks the run's process to stop; without effect on a run that has finished."""
        if not self._light(run_id).state.final:
            write_bytes(self.cancel_file(run_id), b"", durable=False)

    def result(self, run_id: str) -> dict[str, Any]:
        """What the workflow returned.

        Raises:
            UnlearnError: The run has not succeeded, or its files are no longer what it wrote.
        """
        record = self.get(run_id)
        if record.damage:
            raise UnlearnError(
                f"The files of run {run_id} are damaged: {' '.join(record.damage)} Run it again."
            )
        if record.result is None:
            raise UnlearnError(f"Run {run_id} is {record.state}; only a run that succeeded has a result.")
        return record.result

    def artifact(self, run_id: str, name: str) -> Path:
        """A file of a run that succeeded, its content checked against the manifest."""
        state = self._light(run_id).state
        if state is not RunState.SUCCEEDED:
            raise UnlearnError(f"Run {run_id} is {state}; only a run that succeeded has files to show.")
        return artifacts.artifact(self.folder(run_id), name)

    def files(self, run_id: str) -> dict[str, int]:
        """The files that `artifact` gives, with their sizes in bytes."""
        if self._light(run_id).state is not RunState.SUCCEEDED:
            return {}
        return {a["path"]: a["size"] for a in artifacts.manifest(self.folder(run_id))["artifacts"]}

    def log(self, run_id: str, last: int = 65_536) -> str:
        """The end of what the run's process printed, at most `last` bytes of it."""
        path = self.folder(run_id) / "log.txt"
        if not path.exists():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - last))
            return file.read().decode("utf-8", "replace")

    def export(self, run_id: str) -> bytes:
        """The folder of a finished run as a zip file; `record.json` in it says how the run ended."""
        if not self._light(run_id).state.final:
            raise UnlearnError(f"Run {run_id} has not finished; wait for it or cancel it, then export it.")
        folder, packed = self.folder(run_id), io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for path in sorted(folder.rglob("*")):
                if _is_exported(path):
                    archive.write(path, f"{run_id}/{path.relative_to(folder).as_posix()}")
        return packed.getvalue()

    def count_attempt(self, run_id: str, crashes: int) -> None:
        """Notes that a process is about to be started for the run, and how many have died so far."""
        self._change(run_id, attempt=self._light(run_id).attempt + 1, crashes=crashes)

    def begin(self, run_id: str) -> None:
        """Notes that the run has its device and works."""
        self._change(run_id, _UNFINISHED, state=RunState.RUNNING, started=time.time())

    def finish(self, run_id: str, state: RunState, error: str = "", crashes: int | None = None) -> bool:
        """Gives an unfinished run its final state; the first verdict stands. Whether this was it."""
        verdict = {"state": state, "error": person_text(error, 20_000), "finished": time.time()}
        if crashes is not None:
            verdict["crashes"] = crashes
        if not self._change(run_id, _UNFINISHED, **verdict):
            return False
        if state is not RunState.SUCCEEDED:
            # Partial results must not look like results.
            self._remove(run_id, artifacts.MANIFEST)
        return True

    def requeue(self, run_id: str) -> bool:
        """Puts a run that did not succeed back into the queue, at its old place. Whether it was one.

        The caller holds the run's lock. What the workflow wrote stays: it may go on from there.
        """
        if self._light(run_id).state not in _RESUMABLE:
            return False
        self._remove(run_id, artifacts.MANIFEST, "result.json", "progress.json", "cancel")
        artifacts.remove_drafts(self.folder(run_id))
        return self._change(run_id, _RESUMABLE, state=RunState.QUEUED, error="", finished=None)

    def ensure_folder(self, run_id: str) -> None:
        """Makes the folder of a run, unless it is there; whoever made the row may have died before."""

        def lay_down(db: Database) -> None:
            if not (self.folder(run_id) / "request.json").exists():
                write_folder(self.folder(run_id), _one(db, "id", run_id))

        self._index.write(lay_down)

    def recover(self) -> None:
        """Adds the runs that have a folder but no row: the index lost them."""
        found = {path.name for path in self._runs.iterdir() if is_run_id(path.name)}
        known = self._index.read(lambda db: {row["id"] for row in db.execute("SELECT id FROM runs")})
        for run_id in sorted(found - known):
            self._adopt(run_id)

    def saved_verdict(self, run_id: str) -> tuple[RunState, str] | None:
        """How the present attempt ended, other than well, where the folder knows it and the index lost it."""
        saved = saved_record(self.folder(run_id))
        if (
            saved is None
            or saved["state"] not in _RESUMABLE
            or saved["attempt"] < self._light(run_id).attempt
        ):
            return None
        return saved["state"], saved["error"]

    def exists(self, run_id: str) -> bool:
        """Whether the index has the run."""
        return bool(self._records("SELECT * FROM runs WHERE id = ?", run_id))

    def _light(self, run_id: str) -> RunRecord:
        self.folder(run_id)
        return self._index.read(lambda db: record_of(_one(db, "id", run_id)))

    def _records(self, query: str, *values: Any) -> tuple[RunRecord, ...]:
        return self._index.read(lambda db: tuple(record_of(row) for row in db.execute(query, values)))

    def _change(
        self, run_id: str, only_from: frozenset[RunState] = frozenset(RunState), **values: Any
    ) -> bool:
        """Changes the row and `record.json` together; False where the run is in none of the states."""

        def change(db: Database) -> bool:
            if record_of(_one(db, "id", run_id)).state not in only_from:
                return False
            update(db, run_id, values)
            # Inside the transaction, so that two processes can't write their records in the wrong order.
            write_record(self.folder(run_id), _one(db, "id", run_id))
            return True

        return self._index.write(change)

    def _undo(self, db: Database, run_id: str) -> None:
        shutil.rmtree(self.folder(run_id), ignore_errors=True)
        db.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    def _throw_away(self, db: Database, run_id: str) -> None:
        """Moves the folder away and drops the row in one transaction: nobody makes the folder again."""
        deleted = self.root / "deleted"
        with explained(deleted):
            deleted.mkdir(exist_ok=True)
            if self.folder(run_id).exists():
                self.folder(run_id).replace(deleted / f"{run_id}-{secrets.token_hex(4)}")
        db.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    def _remove(self, run_id: str, *names: str) -> None:
        for path in (self.folder(run_id) / name for name in names):
            with explained(path):
                path.unlink(missing_ok=True)

    def _adopt(self, run_id: str) -> None:
        def adopt(db: Database) -> None:
            # It may have been deleted since it was seen.
            if self.folder(run_id).is_dir():
                readmit(db, row_of_folder(self.folder(run_id)))

        self._index.write(adopt)

    def _rows_of_folders(self) -> Iterator[dict[str, Any]]:
        rows = [row_of_folder(path) for path in self._runs.iterdir() if is_run_id(path.name)]
        return iter(sorted(rows, key=lambda row: (row["seq"] or 0, row["created"], row["id"])))


def _is_exported(path: Path) -> bool:
    plain = path.is_file() and not path.is_symlink()
    return plain and path.name not in _NOT_EXPORTED and not artifacts.is_draft(path)


def _one(db: Database, column: str, value: str) -> Row:
    row: Row | None = db.execute(f"SELECT * FROM runs WHERE {column} = ?", (value,)).fetchone()
    if row is None:
        raise UnlearnError(f"There is no run {value!r}; `runs list` shows the runs there are.")
    return row
