"""A small process that outlives a run and leaves nothing of it behind: run by its path, standard library only.

It is told process ids on its standard input, watches what they start (Flower's helpers make sessions of their own), and
ends all of them when the input ends: when the run is over, was cancelled, or died without a chance to clean up. A
negative number is a process that has ended and is watched no longer; a command (a JSON list of words) is run at the end.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_EVERY = 1.0
_GRACE = 2.0
_LAST = 60.0


def guard() -> None:
    """Watches until standard input ends, then ends everything that it was told of, with all its descendants."""
    known: dict[int, int] = {}
    roots: set[int] = set()
    last: list[list[str]] = []
    pending, ended = b"", False
    while not ended:
        if select.select([sys.stdin], [], [], _EVERY)[0]:
            told = os.read(sys.stdin.fileno(), 4096)
            ended, pending = not told, pending + told
            *lines, pending = pending.split(b"\n")
            for told in map(json.loads, lines):
                if isinstance(told, list):
                    last.append(told)
                elif told > 0:
                    roots.add(told)
                else:
                    roots.discard(-told)
                    known.pop(-told, None)
        known = family(roots, known, _processes())
        roots.intersection_update(known)
    for sign in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + _GRACE
        _signal(known, sign)
        while _living(known) and time.monotonic() < end:
            time.sleep(0.1)
    for command in last:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LAST, check=False)


def family(roots: set[int], known: dict[int, int], processes: dict[int, tuple[int, int]]) -> dict[int, int]:
    """The process group of each living process that is a root, is known, or was started by one of these.

    Who no longer lives is left out: its number may be a stranger's soon.
    """
    found = {pid: group for pid, (_, group) in processes.items() if pid in roots or known.get(pid) == group}
    grew = True
    while grew:
        fresh = {
            pid: group for pid, (parent, group) in processes.items() if pid not in found and parent in found
        }
        found.update(fresh)
        grew = bool(fresh)
    return found


def _signal(known: dict[int, int], sign: int) -> None:
    for group in {known[pid] for pid in _living(known)}:
        try:
            os.killpg(group, sign)
        except (ProcessLookupError, PermissionError):
            continue


def _living(known: dict[int, int]) -> list[int]:
    """Those that are still what they were: the same process in the same group."""
    processes = _processes()
    return [pid for pid, group in known.items() if processes.get(pid, (0, 0))[1] == group]


def _processes() -> dict[int, tuple[int, int]]:
    """Parent and group of every living process: from /proc where there is one, as small images come without `ps`."""
    return _read_proc() if Path("/proc/self/stat").exists() else _read_ps()


def _read_proc() -> dict[int, tuple[int, int]]:
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended since
            # Behind the name, which may hold spaces and parentheses of its own.
            state, parent, group = Path("/proc", pid, "stat").read_bytes().rpartition(b")")[2].split()[:3]
            if state not in (b"Z", b"X"):
                found[int(pid)] = (int(parent), int(group))
    return found


def _read_ps() -> dict[int, tuple[int, int]]:
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split() for line in listed.splitlines()]
    return {int(r[0]): (int(r[1]), int(r[2])) for r in rows if not r[3].startswith("Z")}


if __name__ == "__main__":
    # What ends the run by its terminal must not end what cleans up after it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    guard()
