"""How far a run is, for whoever watches it on a page or at a terminal."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unlearn_core.store.queue import ahead, position
from unlearn_core.store.runs import RunRecord, RunState, RunStore
from unlearn_core.unlearning.beside import words_of
from unlearn_core.unlearning.registry import METHODS
from unlearn_core.words import duration


@dataclass(frozen=True)
class Glance:
    """An unfinished run at one moment.

    Attributes:
        share: How much of the present stage is done, in [0, 1].
        text: What it does just now, or what it waits for.
        stopping: Whether somebody wants it to stop.
    """

    share: float
    text: str
    stopping: bool


def glance(store: RunStore, record: RunRecord) -> Glance:
    """How far an unfinished run is."""
    stopping = store.folders.cancel_file(record.id).exists()
    if record.state is RunState.QUEUED:
        return Glance(0.0, _waiting(store, record), stopping)
    method = str(record.request.get("settings", {}).get("method", ""))
    share = share_done(record.progress["done"], record.progress["total"]) if record.progress else 0.0
    return Glance(share, step_text(record.progress, method), stopping)


def share_done(done: int, total: int) -> float:
    """How much of a stage is done, in [0, 1]."""
    return min(1.0, done / max(1, total))


def step_text(progress: Mapping[str, Any] | None, method: str = "") -> str:
    """The stage, its step of steps where it has several, the rate and the time left, all as measured."""
    if not progress:
        return "Starting: opening model and data"
    part = str(progress["metrics"].get("part", ""))
    control = f"control: {words_of(part)}" if part in METHODS and part != method else ""
    steps = f"{progress['done']:,} of {progress['total']:,}" if progress["total"] > 1 else ""
    stage = str(progress["stage"])
    words = [stage[:1].upper() + stage[1:], control, steps]
    if progress.get("rate"):
        words.append(f"{progress['rate']:.3g} steps/s")
    if progress.get("eta") and progress["eta"] >= 1:
        words.append(f"{duration(progress['eta'])} left in this stage")
    return " · ".join(w for w in words if w)


def seconds_of_work(record: RunRecord) -> float | None:
    """How long the last attempt worked; until now, where it still does."""
    if not record.started:
        return None
    return max(0.0, (record.finished or time.time()) - record.started)


def _waiting(store: RunStore, record: RunRecord) -> str:
    """Where in the queue a run stands."""
    unfinished = store.unfinished()
    place = position(unfinished, record.id)
    busy = [r for r in ahead(unfinished, record.id) if r.state is RunState.RUNNING]
    if place <= 1 and not busy:
        return "Starting its process"
    return f"Waiting for {record.device}: place {place} in the queue"
