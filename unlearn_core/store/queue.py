"""The order in which unfinished runs get their device: the oldest first."""

from collections.abc import Sequence

from unlearn_core.store.records import RunRecord, RunState


def ahead(unfinished: Sequence[RunRecord], run_id: str) -> tuple[RunRecord, ...]:
    """The runs that go before this one on its device, oldest first; none where it isn't among them.

    Args:
        unfinished: The runs that wait or work, oldest first.
        run_id: One of them.
    """
    ids = [record.id for record in unfinished]
    if run_id not in ids:
        return ()
    i = ids.index(run_id)
    return tuple(record for record in unfinished[:i] if record.device == unfinished[i].device)


def position(unfinished: Sequence[RunRecord], run_id: str) -> int:
    """1 for the next to run on its device, 2 for the one after it; 0 when the run doesn't wait."""
    waiting = {record.id for record in unfinished if record.state is RunState.QUEUED}
    if run_id not in waiting:
        return 0
    return 1 + sum(record.id in waiting for record in ahead(unfinished, run_id))
