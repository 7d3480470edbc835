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


class _Watch:
    """What the guard knows.

    Attributes:
        roots: Processes that it was told of.
        known: Process group of each of them and of their descendants.
        commands: What to run at the end.
    """

    def __init__(self) -> None:
        self.roots: set[int] = set()
        self.known: dict[int, int] = {}
        self.commands: list[list[str]] = []

    def obey(self, instruction: "int | list[str]") -> None:
        """Watches a process, watches it no longer (negative), or notes a command."""
        if isinstance(instruction, list):
            self.commands.append(instruction)
        elif instruction > 0:
            self.roots.add(instruction)
        else:
            self.roots.discard(-instruction)
            self.known.pop(-instruction, None)

    def look(self) -> None:
        """Sees who lives, and whom they have started since."""
        self.known = family(self.roots, self.known, _processes())
        self.roots.intersection_update(self.known)


def guard() -> None:
    """Watches until standard input ends, then ends everything that it was told of, with all its descendants."""
    watch, pending, ended = _Watch(), b"", False
    while not ended:
        if select.select([sys.stdin], [], [], _EVERY)[0]:
            read = os.read(sys.stdin.fileno(), 4096)
            ended, pending = not read, pending + read
            *lines, pending = pending.split(b"\n")
            for line in lines:
                watch.obey(json.loads(line))
        watch.look()
    _end(watch.known)
    for command in watch.commands:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LAST, check=False)


def _end(known: dict[int, int]) -> None:
    """Asks all to end, then ends them."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + _GRACE
        _signal(known, sign)
        while _living(known) and time.monotonic() < end:
            time.sleep(0.1)


def family(roots: set[int], known: dict[int, int], processes: dict[int, tuple[int, int]]) -> dict[int, int]:
    """The process group of each living process that is a root, is known, or was started by one of these.

    Who no longer lives is left out: its number may be a stranger's soon.
    """
    members = {pid: group for pid, (_, group) in processes.items() if pid in roots or known.get(pid) == group}
    grew = True
    while grew:
        children = {
            pid: group
            for pid, (parent, group) in processes.items()
            if pid not in members and parent in members
        }
        members.update(children)
        grew = bool(children)
    return members


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
    processes = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended since
            # Behind the name, which may hold spaces and parentheses of its own.
            state, parent, group = Path("/proc", pid, "stat").read_bytes().rpartition(b")")[2].split()[:3]
            if state not in (b"Z", b"X"):
                processes[int(pid)] = (int(parent), int(group))
    return processes


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
