"""The runs: what was asked for, how far it is, what came of it; a folder each, with an index over them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.home import home
from unlearn_core.store import manifest
from unlearn_core.store.files import read_json, remove_drafts, write_bytes
from unlearn_core.store.folders import RunFolders, zipped
from unlearn_core.store.locks import lock
from unlearn_core.store.progress import events, read_progress
from unlearn_core.store.records import RunRecord, RunState, new_row, person_text
from unlearn_core.store.table import RunTable

__all__ = ["RunRecord", "RunState", "RunStore", "events"]

_UNFINISHED = frozenset(state for state in RunState if not state.final)
_RESUMABLE = frozenset(state for state in RunState if state.resumable)


class RunStore:
    """All runs under one folder.

    A run's folder is the truth: `request.json` never changes, `record.json` follows the state, and
    `manifest.json` is there only when the run succeeded. The SQLite index is made anew from them when lost.

    Args:
        root: The folder; `home()` when None.

    Attributes:
        folders: Where the runs' files, locks and logs are.

    Raises:
        UnlearnError: From every method: the folder can't be read or written, or the run does not exist.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or home()).absolute()
        self.folders = RunFolders(self.root)
        self._table = RunTable(self.folders)

    def create(
        self, kind: str, request: Mapping[str, Any], token: str, device: str = "cpu", name: str = ""
    ) -> RunRecord:
        """The run of this token: a new one in the queue, or the one that the token was first used for."""
        self._table.add(new_row(kind, request, token, device, name))
        return self.get(self._table.record_of_token(token).id)

    def get(self, run_id: str) -> RunRecord:
        """The run, with its result where its files are as it wrote them."""
        record = self._with_progress(self._table.record(run_id))
        if record.state is not RunState.SUCCEEDED:
            return record
        damage = manifest.verify_once(self.folder(run_id))
        result = None if damage else read_json(self.folder(run_id) / "result.json")
        return replace(record, result=result, damage=damage)

    def list(self, kind: str | None = None, limit: int = 1000) -> tuple[RunRecord, ...]:
        """The newest runs first, without their results."""
        query = "SELECT * FROM runs WHERE ? IS NULL OR kind = ? ORDER BY seq DESC LIMIT ?"
        return tuple(map(self._with_progress, self._table.records(query, kind, kind, limit)))

    def of_tokens(self, tokens: Sequence[str]) -> tuple[RunRecord, ...]:
        """The runs that these tokens were used for, oldest first."""
        marks = ", ".join("?" * len(tokens))
        return self._table.records(f"SELECT * FROM runs WHERE token IN ({marks}) ORDER BY seq", *tokens)

    def unfinished(self) -> tuple[RunRecord, ...]:
        """The runs that wait or work, oldest first."""
        return self._table.records("SELECT * FROM runs WHERE state IN ('queued', 'running') ORDER BY seq")

    def exists(self, run_id: str) -> bool:
        """Whether the index has the run."""
        return bool(self._table.records("SELECT * FROM runs WHERE id = ?", run_id))

    def folder(self, run_id: str) -> Path:
        """Where the run's files are."""
        return self.folders.folder(run_id)

    def rename(self, run_id: str, name: str) -> None:
        """Gives the run another name."""
        self._table.change(run_id, name=person_text(name, 200))

    def annotate(self, run_id: str, note: str) -> None:
        """Replaces the person's note."""
        self._table.change(run_id, note=person_text(note, 20_000))

    def delete(self, run_id: str) -> None:
        """Removes the run and its files.

        Raises:
            UnlearnError: A process is at work on it.
        """
        self.ensure_folder(run_id)
        with lock(self.folders.lock_file(run_id), wait=0.2) as held:
            if held is None:
                raise UnlearnError(f"Run {run_id} is still at work; cancel it first, then delete it.")
            self._table.drop(run_id)
        self.folders.empty_bin()

    def request_cancel(self, run_id: str) -> None:
        """Asks the run's process to stop; without effect on a run that has finished."""
        if not self._table.record(run_id).state.final:
            write_bytes(self.folders.cancel_file(run_id), b"", durable=False)

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
        state = self._table.record(run_id).state
        if state is not RunState.SUCCEEDED:
            raise UnlearnError(f"Run {run_id} is {state}; only a run that succeeded has files to show.")
        return manifest.artifact(self.folder(run_id), name)

    def files(self, run_id: str) -> dict[str, int]:
        """The files that `artifact` gives, with their sizes in bytes."""
        if self._table.record(run_id).state is not RunState.SUCCEEDED:
            return {}
        return {name: entry.size for name, entry in manifest.entries(self.folder(run_id)).items()}

    def export(self, run_id: str) -> bytes:
        """The folder of a finished run as a zip file; `record.json` in it says how the run ended."""
        if not self._table.record(run_id).state.final:
            raise UnlearnError(f"Run {run_id} has not finished; wait for it or cancel it, then export it.")
        return zipped(self.folder(run_id))

    def count_attempt(self, run_id: str, crashes: int) -> None:
        """Notes that a process is about to be started for the run, and how many have died so far."""
        self._table.change(run_id, attempt=self._table.record(run_id).attempt + 1, crashes=crashes)

    def begin(self, run_id: str) -> None:
        """Notes that the run has its device and works."""
        self._table.change(run_id, _UNFINISHED, state=RunState.RUNNING, started=time.time())

    def finish(self, run_id: str, state: RunState, error: str = "", crashes: int | None = None) -> bool:
        """Gives an unfinished run its final state; the first verdict stands. Whether this was it."""
        verdict = {"state": state, "error": person_text(error, 20_000), "finished": time.time()}
        if crashes is not None:
            verdict["crashes"] = crashes
        if not self._table.change(run_id, _UNFINISHED, **verdict):
            return False
        if state is not RunState.SUCCEEDED:
            # Partial results must not look like results.
            self.folders.remove_files(run_id, manifest.MANIFEST)
        return True

    def requeue(self, run_id: str) -> bool:
        """Puts a run that did not succeed back into the queue, at its old place. Whether it was one.

        The caller holds the run's lock. What the workflow wrote stays: it may go on from there.
        """
        if self._table.record(run_id).state not in _RESUMABLE:
            return False
        self.folders.remove_files(run_id, manifest.MANIFEST, "result.json", "progress.json", "cancel")
        remove_drafts(self.folder(run_id))
        return self._table.change(run_id, _RESUMABLE, state=RunState.QUEUED, error="", finished=None)

    def ensure_folder(self, run_id: str) -> None:
        """Makes the folder of a run, unless it is there; whoever made the run may have died before."""
        self._table.ensure_folder(run_id)

    def recover(self) -> None:
        """Adds the runs that have a folder but no row: the index lost them."""
        self._table.recover()

    def _with_progress(self, record: RunRecord) -> RunRecord:
        return replace(record, progress=read_progress(self.folder(record.id)))
