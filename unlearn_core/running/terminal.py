"""A run as somebody at a terminal watches it: started, followed by a bar to its end, cancelled by the interrupt key."""

import secrets
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, Report, silent
from unlearn_core.running import jobs
from unlearn_core.running.orders import Order, place
from unlearn_core.running.watching import share_done
from unlearn_core.store.runs import RunRecord, RunState, RunStore
from unlearn_core.words import duration


class Stopped(UnlearnError):
    """A run that somebody cancelled, or whose process was ended."""


def follow_new(kind: str, request: Mapping[str, Any], device: str) -> RunRecord:
    """A new run, watched to its end; in the queue of the device that `auto` stands for here, as on the pages."""
    store = RunStore()
    [record] = place(store, [Order(kind, request, device)], secrets.token_hex(16))
    return follow(store, record.id)


def follow(store: RunStore, run_id: str) -> RunRecord:
    """The run when it has ended; the interrupt key cancels it.

    Raises:
        UnlearnError: It didn't succeed; the message is its own.
    """
    show = printer()
    print(f"Run {run_id}", file=sys.stderr)
    try:
        while not (record := store.get(run_id)).state.final:
            jobs.refresh(store)
            if now := record.progress:
                show(Progress(now["stage"], now["done"], now["total"], now))
            time.sleep(0.2)
    except KeyboardInterrupt:
        jobs.cancel(store, run_id)
        raise Stopped(f"Cancelled run {run_id}.") from None
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if record.state is not RunState.SUCCEEDED:
        wrong = UnlearnError if record.state is RunState.FAILED else Stopped
        raise wrong(record.error or f"Run {run_id} is {record.state.value}.")
    return record


def printer() -> Report:
    """A `Report` that draws a progress bar on a terminal, and nothing elsewhere."""
    return _draw_bar if sys.stderr.isatty() else silent


def _draw_bar(progress: Progress) -> None:
    width = min(40, shutil.get_terminal_size().columns // 3)
    filled = round(width * share_done(progress.done, progress.total))
    eta = progress.metrics.get("eta")
    left = f", {duration(eta)} left" if eta else ""
    bar = "#" * filled + "-" * (width - filled)
    line = f"\r\x1b[K{progress.stage:26.26} [{bar}] {progress.done}/{progress.total}{left}"
    print(line, end="", file=sys.stderr, flush=True)
