"""Processes that end with their run, however it ends: a guard beside them outlives whoever started them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from unlearn_core.errors import UnlearnError

GRACE = 120.0
"""Seconds for a command of Flower's own, and for the guard to end everything."""


class GuardedProcesses:
    """Processes that are ended when the block ends, and their children with them.

    Args:
        logs: Folder of their logs.
        env: Their environment.

    Attributes:
        started: Those that were started, by name.
    """

    guard: "subprocess.Popen[bytes]"

    def __init__(self, logs: Path, env: Mapping[str, str]) -> None:
        self.logs, self.env = logs, env
        self.started: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "GuardedProcesses":
        command = [sys.executable, str(Path(__file__).with_name("guard.py"))]
        self.guard = subprocess.Popen(
            command,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Has the guard end everything; what a guard that died has left is ended here, by its process groups.

        What has made a session of its own isn't in these groups: Flower's helpers look for themselves whether what
        started them still lives.
        """
        assert self.guard.stdin
        self.guard.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.guard.wait(timeout=GRACE)
        processes = (self.guard, *self.started.values())
        for process in processes:
            if process.poll() is None:  # else its number may be another process's
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
        for process in processes:
            process.wait(timeout=GRACE)

    def start(self, name: str, command: Sequence[str]) -> None:
        """Starts a process in a session of its own, and has it guarded."""
        with (self.logs / f"{name}.log").open("wb") as log:
            self.started[name] = subprocess.Popen(
                command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._instruct(self.started[name].pid)

    def output_of(self, command: Sequence[str]) -> tuple[str, str]:
        """What a command wrote until its end, on standard output and standard error; guarded meanwhile.

        Raises:
            UnlearnError: It takes too long, or the guard has died.
        """
        with subprocess.Popen(
            command,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                self._instruct(process.pid)
                output = process.communicate(timeout=GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                words = " ".join([Path(command[0]).name, *command[1:2]])
                raise UnlearnError(f"{words} gave no answer within {GRACE:g} s.") from None
            except UnlearnError:
                process.kill()
                raise
        self._instruct(-process.pid)  # the number may be another process's soon
        return output

    def run_at_end(self, command: Sequence[str]) -> None:
        """Has the guard run a command once everything has ended."""
        self._instruct(list(command))

    def _instruct(self, instruction: int | list[str]) -> None:
        """Gives the guard a process to watch, or to watch no longer (negative), or a command to run at the end.

        Raises:
            UnlearnError: The guard has died.
        """
        assert self.guard.stdin
        try:
            self.guard.stdin.write(json.dumps(instruction).encode() + b"\n")
        except BrokenPipeError:
            raise UnlearnError(
                f"The process that ends Flower's when a run is over has ended itself (status {self.guard.wait()}); "
                "without it the run can't go on."
            ) from None
