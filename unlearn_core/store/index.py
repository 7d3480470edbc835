"""The SQLite table of runs: an index over the run folders, which it can be made anew from."""

import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from unlearn_core.errors import UnlearnError
from unlearn_core.store.files import explained
from unlearn_core.store.locks import lock

T = TypeVar("T")
Database = sqlite3.Connection
Row = sqlite3.Row

VERSION = 1
_TABLE = """
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    token TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    request TEXT NOT NULL,
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    note TEXT NOT NULL,
    state TEXT NOT NULL,
    error TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    created REAL NOT NULL,
    started REAL,
    finished REAL
)
"""
# What the disk or another process does to us, and a new database would not mend.
_NOT_DAMAGE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CONSTRAINT,
}
_SHORT_READ = 522
"""SQLITE_IOERR_SHORT_READ: the file is shorter than its header says."""


class DamagedRow(Exception):
    """A row holds what Lethe never writes."""


class RunIndex:
    """The table of runs in one file; damage is noticed, the damaged file kept aside and the table made anew.

    Args:
        path: The database file.
        rows: Gives the rows that the run folders know, oldest first.
        check: Raises `DamagedRow` for a row that can't be read.
    """

    def __init__(
        self,
        path: Path,
        rows: Callable[[], Iterable[Mapping[str, Any]]],
        check: Callable[[Row], object],
    ) -> None:
        self._path = path
        self._rows = rows
        self._check = check
        if not path.exists() or self._problem():
            self._make_anew()

    def read(self, query: Callable[[Database], T]) -> T:
        """What the query gives."""
        return self._mended(query, "BEGIN")

    def write(self, change: Callable[[Database], T]) -> T:
        """What the change gives; it happens whole or not at all, and one at a time."""
        return self._mended(change, "BEGIN IMMEDIATE")

    def _mended(self, work: Callable[[Database], T], begin: str) -> T:
        try:
            return self._transaction(work, begin)
        except (sqlite3.DatabaseError, DamagedRow) as error:
            if not _is_damage(error):
                raise UnlearnError(self._refusal(error)) from error
        self._make_anew()
        try:
            return self._transaction(work, begin)
        except (sqlite3.DatabaseError, DamagedRow) as error:
            raise UnlearnError(self._refusal(error)) from error

    def _transaction(self, work: Callable[[Database], T], begin: str) -> T:
        with self._connection() as db:
            db.execute(begin)
            try:
                done = work(db)
            except BaseException:
                # A damaged or full database may have rolled back by itself.
                if db.in_transaction:
                    db.rollback()
                raise
            db.commit()
            return done

    @contextmanager
    def _connection(self) -> Iterator[Database]:
        with closing(sqlite3.connect(self._path, timeout=5.0, isolation_level=None)) as db:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA synchronous = FULL")
            yield db

    def _make_anew(self) -> None:
        """Puts a damaged file aside and fills a new one; another process may have done so meanwhile."""
        with lock(self._path.with_suffix(".lock"), wait=30.0) as held:
            if held is None:
                raise UnlearnError(
                    f"Another process has been repairing {self._path} for 30 seconds; try again."
                )
            if self._path.exists() and not self._problem():
                return
            # Even without the file itself: a log left beside it would be played onto the new one.
            self._put_aside()
            try:
                self._create()
            except sqlite3.DatabaseError as error:
                raise UnlearnError(self._refusal(error)) from error

    def _problem(self) -> bool:
        """Whether the file is damaged. A file that can't be opened at all, or a newer one, raises."""
        try:
            with self._connection() as db:
                version = db.execute("PRAGMA user_version").fetchone()[0]
                if version > VERSION:
                    raise UnlearnError(
                        f"{self._path} was written by a newer version of Lethe; please update."
                    )
                sound = [row[0] for row in db.execute("PRAGMA integrity_check")] == ["ok"]
                for row in db.execute("SELECT * FROM runs"):
                    self._check(row)
                return version != VERSION or not sound
        except (sqlite3.DatabaseError, DamagedRow) as error:
            if not _is_damage(error):
                raise UnlearnError(self._refusal(error)) from error
            return True

    def _put_aside(self) -> None:
        aside = self._path.parent / "quarantine"
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + "-" + secrets.token_hex(4)
        with explained(aside):
            aside.mkdir(exist_ok=True)
            for suffix in ("-wal", "-shm", ""):
                part = self._path.with_name(self._path.name + suffix)
                if part.exists():
                    os.replace(part, aside / f"{stamp}-{part.name}")

    def _create(self) -> None:
        """Fills a file under another name first: the real name appears only when it is complete."""
        draft = self._path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with closing(sqlite3.connect(draft, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            db.execute(_TABLE)
            for row in self._rows():
                readmit(db, row)
            db.execute(f"PRAGMA user_version = {VERSION}")
            db.commit()
        with explained(self._path):
            os.replace(draft, self._path)

    def _refusal(self, error: Exception) -> str:
        return f"Lethe can't use its list of runs {self._path} ({error}). See that its folder is writable."


def insert(db: Database, row: Mapping[str, Any]) -> bool:
    """Adds a row unless its id or token is there; whether it was added. A taken `seq` becomes the last."""
    in_use = db.execute("SELECT 1 FROM runs WHERE seq = ?", (row.get("seq"),)).fetchone()
    values = {**row, "seq": None if in_use else row.get("seq")}
    columns = ", ".join(values)
    marks = ", ".join("?" * len(values))
    added = db.execute(
        f"INSERT INTO runs ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING", tuple(values.values())
    )
    return added.rowcount == 1


def readmit(db: Database, row: Mapping[str, Any]) -> None:
    """Adds the row of a folder, even where another run has come to use its token."""
    if not insert(db, row):
        insert(db, {**row, "token": row["id"]})


def update(db: Database, run_id: str, values: Mapping[str, Any]) -> None:
    """Changes columns of one row."""
    columns = ", ".join(f"{column} = ?" for column in values)
    db.execute(f"UPDATE runs SET {columns} WHERE id = ?", (*values.values(), run_id))


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code == _SHORT_READ or code & 0xFF not in _NOT_DAMAGE
