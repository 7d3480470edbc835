"""The inside of a run's process: waits for its turn, works, can be stopped, leaves whole results or none."""

import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from unlearn_core import __version__
from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, Report, RunCancelled
from unlearn_core.store.files import write_json
from unlearn_core.store.locks import adopted, is_locked, lock, write_holder
from unlearn_core.store.manifest import seal, verify
from unlearn_core.store.progress import ProgressLog
from unlearn_core.store.queue import ahead
from unlearn_core.store.runs import RunRecord, RunState, RunStore

RunWorkflow = Callable[[str, dict[str, Any], Path, Report], dict[str, Any]]
"""Does the work: (kind, request, folder for its files, report) -> the result in plain values."""

HANDED_LOCK = "LETHE_RUN_LOCK"
"""Names the descriptor through which the parent hands down the run's lock."""

GRACE = 1.2
"""Seconds between the wish to cancel and the hard end, so that all is over within two."""

CANCELLED = "The run was cancelled. What it had written by then is no result."
_LOOK = 0.1
_PACKAGES = ("torch", "torchvision", "numpy", "torch-pruning", "safetensors", "scikit-learn", "pillow")


def execute(store: RunStore, run_id: str, run_workflow: RunWorkflow) -> int:
    """Works on a queued run until it has a final state; the exit status of the process.

    Args:
        store: Where the run is.
        run_id: Which.
        run_workflow: Called once the device is free; what it imports is imported only then.

    Raises:
        UnlearnError: Another process has the run, or it isn't queued, or its state can't be written.
    """
    with _run_lock(store, run_id) as held:
        if held is None:
            raise UnlearnError(f"Another process is at work on run {run_id}; wait for it or cancel it.")
        record = store.get(run_id)
        if record.state is not RunState.QUEUED:
            raise UnlearnError(f"Run {run_id} is {record.state}; resume it to run it again.")
        write_holder(held, os.getpid())
        with _ended_when_deaf(store, run_id), ExitStack() as device:
            state, error = _verdict(store, record, run_workflow, device)
            store.finish(run_id, state, error)
    return 0 if store.get(run_id).state is RunState.SUCCEEDED else 1


def _run_lock(store: RunStore, run_id: str) -> AbstractContextManager[int | None]:
    path = store.folders.lock_file(run_id)
    handed_down = os.environ.pop(HANDED_LOCK, "")
    return adopted(path, int(handed_down)) if handed_down.isdigit() else lock(path, wait=1.0)


def _verdict(
    store: RunStore, record: RunRecord, run_workflow: RunWorkflow, device: ExitStack
) -> tuple[RunState, str]:
    """How the work ended; the device stays taken until `device` is closed."""
    try:
        _wait_for_turn(store, record, device)
        store.begin(record.id)
        _work(store, record, run_workflow)
    except (RunCancelled, KeyboardInterrupt):
        return RunState.CANCELLED, CANCELLED
    except Exception as error:  # the border of the process: whatever went wrong becomes the run's state
        _log(store.folder(record.id), traceback.format_exc())
        return RunState.FAILED, _sentence(error, record)
    return RunState.SUCCEEDED, ""


def _wait_for_turn(store: RunStore, record: RunRecord, device: ExitStack) -> None:
    """Returns once this run has its device: the runs before it there are done or have no living process."""
    path = store.folders.device_lock_file(record.device)
    cancelled = store.folders.cancel_file(record.id)
    while not cancelled.exists():
        with ExitStack() as attempt:
            taken = attempt.enter_context(lock(path)) is not None
            if taken and not any(
                is_locked(store.folders.lock_file(r.id)) for r in ahead(store.unfinished(), record.id)
            ):
                device.push(attempt.pop_all())
                return
        time.sleep(_LOOK)
    raise RunCancelled


def _work(store: RunStore, record: RunRecord, run_workflow: RunWorkflow) -> None:
    folder, started, clock = store.folder(record.id), time.time(), time.monotonic()
    report = _report(store.folders.cancel_file(record.id), ProgressLog(folder, record.attempt))
    result = run_workflow(record.kind, record.request, folder, report)
    write_json(folder / "result.json", result)
    if store.folders.cancel_file(record.id).exists():
        raise RunCancelled
    seal(
        folder,
        {
            "run": record.id,
            "kind": record.kind,
            "request": record.request,
            "state": RunState.SUCCEEDED,
            "attempt": record.attempt,
            "device": record.device,
            "created": record.created,
            "started": started,
            "finished": time.time(),
            "seconds": time.monotonic() - clock,
            "versions": _versions(),
        },
    )
    problems = verify(folder)
    if problems:
        raise UnlearnError(f"The files of the run changed while it was finishing: {' '.join(problems)}")


def _report(cancelled: Path, note: Report) -> Report:
    looked = 0.0

    def report(progress: Progress) -> None:
        nonlocal looked
        now = time.monotonic()
        if now - looked >= _LOOK:
            looked = now
            if cancelled.exists():
                raise RunCancelled
        note(progress)

    return report


@contextmanager
def _ended_when_deaf(store: RunStore, run_id: str) -> Iterator[None]:
    """Ends the process where the work inside heeds no cancel, whoever asked and is gone: a long call, say."""
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(store, run_id, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(store: RunStore, run_id: str, done: threading.Event) -> None:
    while not done.wait(_LOOK):
        if store.folders.cancel_file(run_id).exists():
            break
    if done.wait(GRACE):
        return
    first = True
    try:
        first = store.finish(run_id, RunState.CANCELLED, CANCELLED)
    finally:
        # Even if the state can't be written: the flag is there, and `refresh` will see a free lock.
        if first:
            _end_now()


def _end_now() -> None:
    """Ends this process, with its helpers where it has a session of its own."""
    if os.getsid(0) == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _sentence(error: Exception, record: RunRecord) -> str:
    if isinstance(error, UnlearnError):
        return str(error)
    name = type(error).__name__
    if name in {"MemoryError", "OutOfMemoryError"} or "out of memory" in str(error).lower():
        return (
            f"The run needed more memory than {record.device} has to give. "
            "Choose a smaller batch size, fewer images or a smaller model and start it again."
        )
    return f"The run stopped because of an unexpected fault ({name}). The log has the details."


def _log(folder: Path, text: str) -> None:
    path = folder / "log.txt"
    # A full disk may be the very fault; then its sentence in the state is what matters.
    with suppress(OSError), path.open("a", encoding="utf-8", errors="replace") as file:
        file.write(text)


def _versions() -> dict[str, str]:
    """What computed the result, asked of the installed packages without importing them."""
    from importlib import metadata  # slow, and nobody needs it to start a run

    installed = {
        d.metadata["Name"].lower(): d.version for d in metadata.distributions() if d.metadata["Name"]
    }
    packages = {name: installed[name] for name in _PACKAGES if name in installed}
    return {
        "lethe": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        **packages,
    }
