"""Starting, stopping, resuming and looking after runs; each works in a process of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.running.worker import CANCELLED, GRACE, HANDED_LOCK, execute
from unlearn_core.store.files import explained, remove_drafts
from unlearn_core.store.locks import holder, is_locked, lock, write_holder
from unlearn_core.store.manifest import verify
from unlearn_core.store.records import saved_verdict
from unlearn_core.store.runs import RunRecord, RunState, RunStore

__all__ = ["cancel", "execute", "refresh", "resume", "submit"]

COMMAND = (sys.executable, "-m", "unlearn_core", "execute")
"""What a run's process is started with; the run's id follows."""

NICENESS = 5
"""How far a run's process stands back behind the app."""

_MOST_CRASHES = 3
_PACKAGE_PARENT = Path(__file__).resolve().parents[2]
_INTERRUPTED = (
    "The run's process ended before it was done: it was killed, ran out of memory, or the machine stopped. "
    "Resume it to go on."
)
_POISON = f"The run's process died {_MOST_CRASHES} times without a word. The log may say why."


def submit(
    store: RunStore,
    kind: str,
    request: Mapping[str, Any],
    token: str,
    device: str = "cpu",
    name: str = "",
    *,
    command: Sequence[str] = COMMAND,
) -> RunRecord:
    """The run of this token, with a process that works on it; a token used before starts nothing new."""
    record = store.create(kind, request, token, device, name)
    if record.state is RunState.QUEUED:
        _settle(store, record.id, command)
    return store.get(record.id)


def cancel(store: RunStore, run_id: str) -> RunRecord:
    """Asks a run to stop, which it does within two seconds; without effect on one that has finished."""
    store.request_cancel(run_id)
    _look_after(store, run_id)
    if not store.get(run_id).state.final:
        # From outside, as `import torch` can keep the run's own watcher from acting for seconds. No daemon:
        # a command line that cancels and returns must not leave the run at work.
        threading.Thread(target=_insist, args=(store, run_id)).start()
    return store.get(run_id)


def resume(store: RunStore, run_id: str, *, command: Sequence[str] = COMMAND) -> RunRecord:
    """Starts another attempt at a run that failed, was cancelled or interrupted.

    Raises:
        UnlearnError: The run has succeeded, or has crashed too often.
    """
    store.ensure_folder(run_id)
    # Long enough for a process that has just been cancelled to be gone.
    with lock(store.folders.lock_file(run_id), wait=2.0) as held:
        record = store.get(run_id)
        if not record.state.final:
            return record
        if held is None:
            raise UnlearnError(f"The last process of run {run_id} is still ending; try again in a moment.")
        if record.crashes >= _MOST_CRASHES:
            raise UnlearnError(f"{_POISON} Start it anew with other settings instead of resuming {run_id}.")
        if not store.requeue(run_id):
            raise UnlearnError(f"Run {run_id} is {record.state}; there is nothing to resume.")
        _launch(store, store.get(run_id), held, command)
    return store.get(run_id)


def refresh(store: RunStore, *, command: Sequence[str] = COMMAND) -> tuple[str, ...]:
    """Gives every run without a living process its due: a final state, or a process. Cheap; call it often.

    Returns:
        The ids of the runs that changed.

    Raises:
        UnlearnError: The state of a run could not be written; all others have had their due.
    """
    store.recover()
    changed, errors = [], []
    for run_id in [record.id for record in store.unfinished()]:
        try:
            if _look_after(store, run_id, command):
                changed.append(run_id)
        except UnlearnError as error:
            # One run with a damaged folder must not keep the others waiting; one just deleted is no error.
            errors += [error] if store.exists(run_id) else []
    if errors:
        raise errors[0]
    return tuple(changed)


def _insist(store: RunStore, run_id: str) -> None:
    """Sees to it that a run that is to stop does."""
    until = time.monotonic() + 2 * GRACE
    # The run may be deleted meanwhile; of anything else, the next `refresh` tells.
    with suppress(UnlearnError):
        while time.monotonic() < until and not store.get(run_id).state.final:
            _look_after(store, run_id)
            time.sleep(0.05)


def _look_after(store: RunStore, run_id: str, command: Sequence[str] = COMMAND) -> bool:
    path = store.folders.lock_file(run_id)
    if not is_locked(path):
        return _settle(store, run_id, command)
    if _overdue(store.folders.cancel_file(run_id)):
        _kill(path)
    return False


def _settle(store: RunStore, run_id: str, command: Sequence[str]) -> bool:
    """Decides about an unfinished run that no process works on; whether it was one."""
    store.ensure_folder(run_id)
    with lock(store.folders.lock_file(run_id), wait=0.1) as held:
        record = store.get(run_id)
        if held is None or record.state.final:
            return False
        remove_drafts(store.folder(run_id))
        folder, crashes = store.folder(run_id), record.crashes + (record.attempt > 0)
        saved = saved_verdict(folder, record.attempt)
        if not verify(folder):
            store.finish(run_id, RunState.SUCCEEDED)
        elif saved is not None:
            store.finish(run_id, *saved)
        elif store.folders.cancel_file(run_id).exists():
            store.finish(run_id, RunState.CANCELLED, CANCELLED)
        elif record.state is RunState.RUNNING:
            store.finish(run_id, RunState.INTERRUPTED, _INTERRUPTED, crashes)
        elif crashes >= _MOST_CRASHES:
            store.finish(run_id, RunState.FAILED, _POISON, crashes)
        else:
            _launch(store, record, held, command, crashes)
        return True


def _launch(store: RunStore, record: RunRecord, held: int, command: Sequence[str], crashes: int = -1) -> None:
    """Starts the process of a queued run and hands it the run's lock, which is never free in between."""
    store.count_attempt(record.id, record.crashes if crashes < 0 else crashes)
    log = store.folder(record.id) / "log.txt"
    with explained(log), log.open("ab") as output:
        try:
            child = subprocess.Popen(
                [*command, record.id],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=_PACKAGE_PARENT,
                env=_environment(store, held),
                pass_fds=(held,),
                start_new_session=True,
            )
        except OSError as error:
            store.finish(
                record.id, RunState.FAILED, f"The run's process {command[0]} can't be started: {error}."
            )
            return
    write_holder(held, child.pid)
    # The page must stay quick while a run computes. Relative: nobody may lower what he was given.
    niceness = os.getpriority(os.PRIO_PROCESS, 0) + NICENESS
    os.setpriority(os.PRIO_PROCESS, child.pid, min(niceness, 19))
    threading.Thread(target=child.wait, daemon=True).start()


def _environment(store: RunStore, held: int) -> dict[str, str]:
    path = os.pathsep.join(p for p in (str(_PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")) if p)
    return {
        **os.environ,
        "LETHE_HOME": str(store.root),
        "PYTHONPATH": path,
        # The same request must give the same numbers.
        "PYTHONHASHSEED": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        # Threads that wait without spinning: on a busy machine spinning made a step ten times as slow.
        "OMP_WAIT_POLICY": "PASSIVE",
        HANDED_LOCK: str(held),
    }


def _overdue(cancelled: Path) -> bool:
    try:
        return time.time() - cancelled.stat().st_mtime > GRACE
    except FileNotFoundError:
        return False


def _kill(path: Path) -> None:
    """Ends a process that not even its own watcher could end; it leads its session, as `_launch` made it."""
    pid = holder(path)
    try:
        if pid is not None and is_locked(path) and os.getsid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
