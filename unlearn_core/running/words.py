"""A run in words: what it is called, what it forgets, how it ended and what to do next."""

import time

from unlearn_core.running.kinds.kind import Request
from unlearn_core.running.kinds.registry import KINDS
from unlearn_core.store.runs import RunRecord, RunState
from unlearn_core.words import trimmed_percent

STATES = {
    RunState.QUEUED: "waiting",
    RunState.RUNNING: "running",
    RunState.SUCCEEDED: "finished",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "cancelled",
    RunState.INTERRUPTED: "interrupted",
}
"""How a run stands, in a word."""

_NEXT_STEPS = {
    RunState.FAILED: "Change the settings and start again, or retry as it is; the log on the Runs page has the details.",
    RunState.CANCELLED: "Resume it to go on after the last finished part, or change the settings and start anew.",
    RunState.INTERRUPTED: "Resume it: what was finished before the process died is kept.",
}


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


def forgotten(request: Request) -> str:
    """What a run was asked to forget, as text."""
    share = random_share(request)
    return (
        f"{trimmed_percent(share)} of images" if share else str(request.get("settings", {}).get("forget", ""))
    )


def random_share(request: Request) -> float:
    """The random share of the images that a run was asked to forget; 0 for whole classes."""
    return float(request.get("settings", {}).get("fraction") or 0)


def when(moment: float) -> str:
    """A time of day, with the date where it isn't today."""
    then = time.localtime(moment)
    today = time.strftime("%Y-%m-%d", then) == time.strftime("%Y-%m-%d")
    return time.strftime("today %H:%M" if today else "%Y-%m-%d %H:%M", then)
