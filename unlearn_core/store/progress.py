"""How far a run is, in files that a page can read at any moment."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress
from unlearn_core.store.files import explained, plain_json, read_json, write_json

_EVERY = 0.25
"""Seconds between two writes of `progress.json`."""


class ProgressLog:
    """Keeps `progress.json` (the present step) and `events.jsonl` (the history for curves) of a run.

    An event is kept when the stage, the metric "epoch" or the set of metric names differs from the event
    before, or when the metrics hold a true "keep": as few lines as a curve needs, however many reports.

    Args:
        folder: The run's.
        attempt: Which attempt this is, noted in every event.
    """

    def __init__(self, folder: Path, attempt: int) -> None:
        self._progress_file = folder / "progress.json"
        self._events_file = folder / "events.jsonl"
        self._attempt = attempt
        self._stage: str | None = None
        self._metrics: dict[str, Any] = {}
        self._began = 0.0
        self._first = 0
        self._written = (0.0, -1)
        self._last_event: tuple[Any, ...] = ()
        _cut_torn_line(self._events_file)

    def __call__(self, progress: Progress) -> None:
        """Notes one step; a `Report`."""
        now = time.monotonic()
        new_stage = progress.stage != self._stage
        if new_stage:
            self._stage, self._began, self._first, self._metrics = progress.stage, now, progress.done, {}
        self._metrics.update(progress.metrics)
        last_step = progress.done >= progress.total and progress.done != self._written[1]
        if new_stage or last_step or now - self._written[0] >= _EVERY:
            self._written = (now, progress.done)
            write_json(self._progress_file, self._plain(progress, now), durable=False)
        self._note_event(progress)

    def _plain(self, progress: Progress, now: float) -> dict[str, Any]:
        seconds = now - self._began
        steps = progress.done - self._first
        rate = steps / seconds if steps > 0 and seconds > 0 else None
        return {
            "stage": progress.stage,
            "done": progress.done,
            "total": progress.total,
            "seconds": seconds,
            "rate": rate,
            "eta": max(0, progress.total - progress.done) / rate if rate else None,
            "metrics": self._metrics,
            "time": time.time(),
        }

    def _note_event(self, progress: Progress) -> None:
        event = (progress.stage, progress.metrics.get("epoch"), frozenset(progress.metrics))
        if event == self._last_event and not progress.metrics.get("keep"):
            return
        self._last_event = event
        self._append(
            {
                "time": time.time(),
                "attempt": self._attempt,
                "stage": progress.stage,
                "done": progress.done,
                "total": progress.total,
                "metrics": progress.metrics,
            }
        )

    def _append(self, event: Mapping[str, Any]) -> None:
        line = json.dumps(plain_json(event), allow_nan=False) + "\n"
        with explained(self._events_file), self._events_file.open("ab", buffering=0) as file:
            file.write(line.encode("ascii"))


def read_progress(folder: Path) -> dict[str, Any] | None:
    """The last progress of a run: stage, done, total, seconds, rate (a second), eta, metrics, time."""
    try:
        return read_json(folder / "progress.json")
    except UnlearnError:
        # Not there yet; or of another attempt, just being removed.
        return None


def events(folder: Path) -> list[dict[str, Any]]:
    """The history of a run, oldest first; a line that a killed process left torn is no event."""
    try:
        lines = (folder / "events.jsonl").read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [event for event in map(_event, lines) if event is not None]


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _cut_torn_line(path: Path) -> None:
    """Cuts what stands after the last whole line, lest the next event be joined to it."""
    with explained(path):
        if path.exists():
            whole = path.read_bytes().rfind(b"\n") + 1
            with path.open("r+b") as file:
                file.truncate(whole)
