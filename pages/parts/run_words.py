"""A run in words: what it is called, how far it is, how it ended and what to do next."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from unlearn_core.running.kinds.registry import KINDS
from unlearn_core.store.queue import ahead, position
from unlearn_core.store.runs import RunRecord, RunState, RunStore
from unlearn_core.unlearning.beside import words_of
from unlearn_core.unlearning.registry import METHODS
from unlearn_core.words import duration, trimmed_percent

STATES = {
    RunState.QUEUED: "waiting",
    RunState.RUNNING: "running",
    RunState.SUCCEEDED: "finished",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
    RunState.INTERRUPTED: "interrupted",
}
_NEXT_STEPS = {
    RunState.FAILED: "Change the settings and start again, or retry as it is; the log on the Runs page has the details.",
    RunState.CANCELLED: "Resume it to go on after the last finished part, or change the settings and start anew.",
    RunState.INTERRUPTED: "Resume it: what was finished before the process died is kept.",
}
ACTIONS = {"train": "training", "unlearn": "unlearning", "retrain": "retraining"}
"""What federated runs do."""


def title_of(record: RunRecord) -> str:
    """What the person called the run, or what it does."""
    what = forgotten(record.request).replace(",", ", ")
    if record.name or not what:
        return record.name or f"{label_of(record.kind)}, {when(record.created)}"
    verb = KINDS[record.kind].verb(record.request) if record.kind in KINDS else "Forget"
    return f"{verb} {what}"


def label_of(kind: str) -> str:
    """What a kind of run is called; of one that nobody knows, what stands in its place."""
    return KINDS[kind].label if kind in KINDS else kind.capitalize()


def forgets(record: RunRecord) -> bool:
    """Whether a run's result has a model before and one after that forgot: unlearning, federated or not."""
    return record.kind in KINDS and KINDS[record.kind].forgets(record.request)


def next_step(record: RunRecord) -> str:
    """What to do about a run that ended badly."""
    if record.state is RunState.FAILED or _keeps_parts(record):
        return _NEXT_STEPS[record.state]
    return "Start it again: a run of this kind begins anew."


def again(record: RunRecord) -> str:
    """The name of the button that does so as it is."""
    if record.state is RunState.FAILED:
        return "Retry"
    return "Resume" if _keeps_parts(record) else "Start again"


def _keeps_parts(record: RunRecord) -> bool:
    return record.kind in KINDS and KINDS[record.kind].keeps_parts


def forgotten(request: Mapping[str, Any]) -> str:
    """What a run was asked to forget, as text."""
    share = random_share(request)
    return (
        f"{trimmed_percent(share)} of images" if share else str(request.get("settings", {}).get("forget", ""))
    )


def random_share(request: Mapping[str, Any]) -> float:
    """The random share of the images that a run was asked to forget; 0 for whole classes."""
    return float(request.get("settings", {}).get("fraction") or 0)


def share_done(progress: Mapping[str, Any] | None) -> float:
    """How much of the present stage is done, in [0, 1]."""
    return min(1.0, progress["done"] / max(1, progress["total"])) if progress else 0.0


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


def waiting_text(store: RunStore, record: RunRecord) -> str:
    """Where in the queue a run stands."""
    unfinished = store.unfinished()
    place = position(unfinished, record.id)
    busy = [r for r in ahead(unfinished, record.id) if r.state is RunState.RUNNING]
    if place <= 1 and not busy:
        return "Starting its process"
    return f"Waiting for {record.device}: place {place} in the queue"


def seconds_of(record: RunRecord) -> float | None:
    """How long the last attempt worked; until now, where it still does."""
    if not record.started:
        return None
    return max(0.0, (record.finished or time.time()) - record.started)


def list_key(records: Sequence[RunRecord]) -> str:
    """A widget key for a table of exactly these runs: ticked rows are places, and mean others once the list changes."""
    return (
        f"runs table {hashlib.blake2b(' '.join(r.id for r in records).encode(), digest_size=8).hexdigest()}"
    )


def when(moment: float) -> str:
    """A time of day, with the date where it isn't today."""
    then = time.localtime(moment)
    today = time.strftime("%Y-%m-%d", then) == time.strftime("%Y-%m-%d")
    return time.strftime("today %H:%M" if today else "%Y-%m-%d %H:%M", then)
