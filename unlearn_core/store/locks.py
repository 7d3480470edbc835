"""Locks that the operating system frees when their holder dies, however it dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unlearn_core.store.files import explained

_held: set[int] = set()


@contextmanager
def lock(path: Path, wait: float = 0.0) -> Iterator[int | None]:
    """The descriptor that holds the lock, or None where somebody else still holds it after `wait` seconds.

    A descriptor handed to a child process keeps the lock when this block ends: the kernel frees it when the
    last copy is closed.
    """
    held = _take(path, wait)
    try:
        yield held
    finally:
        if held is not None:
            _close(held)


@contextmanager
def adopted(path: Path, handed_over: int) -> Iterator[int | None]:
    """A lock that the parent process took and handed down; None where the descriptor isn't that lock."""
    genuine = _same_file(path, handed_over)
    if genuine:
        # The work's own children must not keep the lock when this process dies.
        os.set_inheritable(handed_over, False)
        _held.add(handed_over)
    try:
        yield handed_over if genuine else None
    finally:
        if genuine:
            _close(handed_over)


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock."""
    if not path.exists():
        return False
    with explained(path):
        probe = os.open(path, os.O_RDONLY)
    try:
        # Shared, so that two who ask at once don't take each other for a holder.
        fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(probe)
    return False


def write_holder(held: int, pid: int) -> None:
    """Notes in the lock's file which process holds it."""
    os.ftruncate(held, 0)
    os.pwrite(held, str(pid).encode(), 0)


def holder(path: Path) -> int | None:
    """The process that noted itself in the lock's file; only true while the lock is held."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _take(path: Path, wait: float) -> int | None:
    with explained(path):
        wanted = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    until = time.monotonic() + wait
    while not _try(wanted):
        if time.monotonic() >= until:
            os.close(wanted)
            return None
        time.sleep(0.01)
    _held.add(wanted)
    return wanted


def _try(wanted: int) -> bool:
    try:
        fcntl.flock(wanted, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _close(held: int) -> None:
    _held.discard(held)
    os.close(held)


def _forget_in_forked_child() -> None:
    """A forked helper (a data loader) would keep the lock alive after its parent's death."""
    for held in _held:
        os.close(held)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_forked_child)
