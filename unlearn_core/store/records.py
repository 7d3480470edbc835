"""A run as data: in memory, as a row of the index, and as the files of its folder."""

import base64
import enum
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.store.files import plain_json, read_json, write_json
from unlearn_core.store.index import DamagedRow, Row
from unlearn_core.store.manifest import verify

_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[a-z2-7]{16}")
_DEVICE = re.compile(r"[a-z]{1,16}(:[0-9]{1,3})?")
_KIND = re.compile(r"[a-z_]{1,40}")
_SCHEMA = 1
_NEVER_CHANGES = ("seq", "id", "kind", "token", "device", "created")
_FOLLOWS = ("state", "error", "name", "note", "attempt", "crashes", "started", "finished")


class RunState(enum.StrEnum):
    """Where a run stands. `succeeded` only where its process ended well and its manifest verifies."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def final(self) -> bool:
        """Whether nothing more happens to the run by itself."""
        return self not in {RunState.QUEUED, RunState.RUNNING}

    @property
    def resumable(self) -> bool:
        """Whether another attempt may be made."""
        return self.final and self is not RunState.SUCCEEDED


@dataclass(frozen=True)
class RunRecord:
    """One run, as it stands now. Times are seconds since 1970, UTC.

    Attributes:
        id: UTC second and 80 random bits; the name of its folder.
        kind: Which workflow.
        request: What was asked for; plain values.
        token: Made when the form was drawn: one token, one run.
        device: Where it computes ("cpu", "cuda:0"); one running job each.
        state: Where it stands.
        error: Why it did not succeed, a sentence; else empty.
        name: What the person calls it; any text, at most 200 characters.
        note: What the person wrote about it; any text.
        attempt: How many times a process was started for it.
        crashes: How many of these died without a word.
        created: When it was asked for.
        started: When the last attempt began to work, after waiting for the device.
        finished: When it reached its final state.
        progress: The last progress (stage, done, total, seconds, rate, eta, metrics, time), or None.
        result: What the workflow returned; only from `RunStore.get`, only when the manifest verifies.
        damage: What is wrong with the files of a succeeded run; only from `RunStore.get`.
    """

    id: str
    kind: str
    request: dict[str, Any]
    token: str
    device: str
    state: RunState
    error: str
    name: str
    note: str
    attempt: int
    crashes: int
    created: float
    started: float | None
    finished: float | None
    progress: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    damage: tuple[str, ...] = ()


def new_run_id() -> str:
    """The UTC second and 80 random bits; never made of a person's text."""
    second = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return f"{second}-{base64.b32encode(secrets.token_bytes(10)).decode().lower()}"


def is_run_id(text: str) -> bool:
    """Whether the text has the form of a run id."""
    return _ID.fullmatch(text) is not None


def person_text(text: str, limit: int) -> str:
    """A person's text as it is kept: cut at `limit` characters, storable as UTF-8."""
    return text[:limit].encode("utf-8", "replace").decode("utf-8")


def new_row(kind: str, request: Mapping[str, Any], token: str, device: str, name: str) -> dict[str, Any]:
    """The row of a run that nobody has worked on.

    Raises:
        UnlearnError: The device is none.
        ValueError: Kind or token are not what our own code gives.
    """
    if not _KIND.fullmatch(kind) or not 0 < len(token) <= 200:
        raise ValueError(f"kind {kind!r} or token {token!r} has the wrong form")
    if not _DEVICE.fullmatch(device) or device == "auto":  # the queue is one of devices that are there
        raise UnlearnError(f"{device!r} is no device; choose one such as cpu, mps or cuda:0.")
    return {
        "id": new_run_id(),
        "token": token,
        "kind": kind,
        "request": json.dumps(plain_json(request)),
        # One card has two names; the queue must see that it is one.
        "device": "cuda:0" if device == "cuda" else device,
        "name": person_text(name, 200),
        "note": "",
        "state": RunState.QUEUED,
        "error": "",
        "attempt": 0,
        "crashes": 0,
        "created": time.time(),
        "started": None,
        "finished": None,
    }


def record_of(row: Row) -> RunRecord:
    """The run in a row of the index.

    Raises:
        DamagedRow: The row holds what Lethe never writes.
    """
    values = dict(row)
    del values["seq"]
    try:
        _check_row(values)
        return RunRecord(
            **{**values, "request": json.loads(values["request"]), "state": RunState(values["state"])}
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise DamagedRow(f"run {values.get('id')!r}: {error}") from error


def write_folder(folder: Path, row: Row) -> None:
    """Writes `request.json`, which never changes, and the first `record.json`."""
    fixed = {name: row[name] for name in _NEVER_CHANGES}
    request = {"schema": _SCHEMA, **fixed, "request": json.loads(row["request"])}
    write_record(folder, row)
    write_json(folder / "request.json", request)


def write_record(folder: Path, row: Row) -> None:
    """Writes what changes about a run beside its files, so that they tell it without the index."""
    write_json(folder / "record.json", {"schema": _SCHEMA, **{name: row[name] for name in _FOLLOWS}})


def row_of_folder(folder: Path) -> dict[str, Any]:
    """The row that a run's files tell. A damaged folder gives a failed run that says so."""
    blank = {**new_row("damaged", {}, folder.name, "cpu", ""), "seq": None, "id": folder.name}
    try:
        saved = read_json(folder / "request.json")
        fixed = {name: saved[name] for name in _NEVER_CHANGES}
        row = {**blank, **fixed, "id": folder.name, "request": json.dumps(saved["request"])}
        _check_row(row)
    except (UnlearnError, KeyError, TypeError, ValueError) as error:
        lost = f"The request.json of this run is damaged ({error!s:.500}). Delete the run and ask again."
        return {**blank, "state": RunState.FAILED, "error": lost, "created": _second(folder.name)}
    return {**row, **_saved_or_lost(folder)}


def saved_record(folder: Path) -> dict[str, Any] | None:
    """What `record.json` says, or None where it is missing or damaged."""
    try:
        saved = read_json(folder / "record.json")
        saved = {name: saved[name] for name in _FOLLOWS}
        saved["state"] = RunState(saved["state"])
        _check_types(saved)
    except (UnlearnError, KeyError, TypeError, ValueError):
        return None
    return saved


def saved_verdict(folder: Path, attempt: int) -> tuple[RunState, str] | None:
    """How that attempt ended, other than well, where the folder knows it and the index lost it."""
    saved = saved_record(folder)
    if saved is None or not saved["state"].resumable or saved["attempt"] < attempt:
        return None
    return saved["state"], saved["error"]


def _saved_or_lost(folder: Path) -> dict[str, Any]:
    saved = saved_record(folder)
    if saved is None:
        sealed = not verify(folder)
        state = RunState.SUCCEEDED if sealed else RunState.INTERRUPTED
        return {"state": state, "error": "" if sealed else "The record of this run was lost. Resume it."}
    if saved["state"] is RunState.SUCCEEDED and (problems := verify(folder)):
        error = f"The files of this run are damaged: {' '.join(problems)} Run it again."
        return {**saved, "state": RunState.FAILED, "error": error}
    return saved


def _check_row(row: Mapping[str, Any]) -> None:
    texts = {"kind": _KIND, "device": _DEVICE, "id": _ID}
    if not all(form.fullmatch(row[name]) for name, form in texts.items()):
        raise ValueError(f"{row['id']!r}, {row['kind']!r} or {row['device']!r} has the wrong form")
    if not isinstance(json.loads(row["request"]), dict) or not _is_text(row["token"]):
        raise ValueError("the request or token has the wrong form")
    if not _is_time(row["created"]) or not (row.get("seq") is None or _is_count(row["seq"])):
        raise ValueError("its time or place in the order has the wrong form")
    RunState(row["state"])
    _check_types(row)


def _check_types(row: Mapping[str, Any]) -> None:
    texts = all(_is_text(row[name]) for name in ("error", "name", "note"))
    counts = all(_is_count(row[name]) for name in ("attempt", "crashes"))
    times = all(row[name] is None or _is_time(row[name]) for name in ("started", "finished"))
    if not (texts and counts and times):
        raise ValueError("a text, count or time has the wrong form")


def _is_text(value: Any) -> bool:
    # Half a UTF-16 pair can stand in JSON but not in the index.
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1e12


def _second(run_id: str) -> float:
    """When the run of this id was made, in seconds since 1970; 0 where the id names no real time."""
    try:
        return time.mktime(time.strptime(run_id[:16], "%Y%m%dT%H%M%SZ")) - time.timezone
    except (ValueError, OverflowError):
        return 0.0
