"""The rows of runs and the files that tell the same: both change together, and each can be made from the other."""

import shutil
from collections.abc import Iterator
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.store.folders import RunFolders
from unlearn_core.store.index import Database, Row, RunIndex, insert, readmit, update
from unlearn_core.store.records import (
    RunRecord,
    RunState,
    record_of,
    row_of_folder,
    write_folder,
    write_record,
)


class RunTable:
    """All runs as rows of the index, with `request.json` and `record.json` in step.

    Args:
        folders: Where the files are; the index is made anew from them when lost.
    """

    def __init__(self, folders: RunFolders) -> None:
        self._folders = folders
        self._index = RunIndex(folders.root / "runs.sqlite", self._rows_of_folders, record_of)

    def record(self, run_id: str) -> RunRecord:
        """The run as its row tells it.

        Raises:
            UnlearnError: There is none, or it is no run id.
        """
        self._folders.folder(run_id)
        return self._index.read(lambda db: record_of(_one(db, "id", run_id)))

    def record_of_token(self, token: str) -> RunRecord:
        """The run that the token was first used for."""
        return self._index.read(lambda db: record_of(_one(db, "token", token)))

    def records(self, query: str, *values: Any) -> tuple[RunRecord, ...]:
        """The runs whose rows a query selects."""
        return self._index.read(lambda db: tuple(record_of(row) for row in db.execute(query, values)))

    def add(self, row: dict[str, Any]) -> None:
        """Adds a run with its folder, unless its token was used before; both or neither.

        Raises:
            UnlearnError: The folder can't be written.
        """
        if not self._index.write(lambda db: insert(db, row)):
            return
        try:
            self.ensure_folder(row["id"])
        except UnlearnError:
            # The person is told that nothing was started; so nothing must start later.
            self._index.write(lambda db: self._undo(db, row["id"]))
            raise

    def ensure_folder(self, run_id: str) -> None:
        """Makes the folder of a run, unless it is there; whoever made the row may have died before."""
        folder = self._folders.folder(run_id)

        def lay_down(db: Database) -> None:
            if not (folder / "request.json").exists():
                write_folder(folder, _one(db, "id", run_id))

        self._index.write(lay_down)

    def change(
        self, run_id: str, only_from: frozenset[RunState] = frozenset(RunState), **values: Any
    ) -> bool:
        """Changes the row and `record.json` together; False where the run is in none of the states."""

        def change(db: Database) -> bool:
            if record_of(_one(db, "id", run_id)).state not in only_from:
                return False
            update(db, run_id, values)
            # Inside the transaction, so that two processes can't write their records in the wrong order.
            write_record(self._folders.folder(run_id), _one(db, "id", run_id))
            return True

        return self._index.write(change)

    def drop(self, run_id: str) -> None:
        """Throws folder and row away in one transaction: nobody makes the folder again."""

        def drop(db: Database) -> None:
            self._folders.throw_away(run_id)
            _delete(db, run_id)

        self._index.write(drop)

    def recover(self) -> None:
        """Adds the runs that have a folder but no row: the index lost them."""
        present = self._folders.ids()
        known = self._index.read(lambda db: {row["id"] for row in db.execute("SELECT id FROM runs")})
        for run_id in sorted(present - known):
            self._adopt(run_id)

    def _adopt(self, run_id: str) -> None:
        folder = self._folders.folder(run_id)

        def adopt(db: Database) -> None:
            # It may have been deleted since it was seen.
            if folder.is_dir():
                readmit(db, row_of_folder(folder))

        self._index.write(adopt)

    def _undo(self, db: Database, run_id: str) -> None:
        shutil.rmtree(self._folders.folder(run_id), ignore_errors=True)
        _delete(db, run_id)

    def _rows_of_folders(self) -> Iterator[dict[str, Any]]:
        rows = [row_of_folder(self._folders.folder(run_id)) for run_id in self._folders.ids()]
        return iter(sorted(rows, key=lambda row: (row["seq"] or 0, row["created"], row["id"])))


def _delete(db: Database, run_id: str) -> None:
    db.execute("DELETE FROM runs WHERE id = ?", (run_id,))


def _one(db: Database, column: str, value: str) -> Row:
    row: Row | None = db.execute(f"SELECT * FROM runs WHERE {column} = ?", (value,)).fetchone()
    if row is None:
        raise UnlearnError(f"There is no run {value!r}; `runs list` shows the runs there are.")
    return row
