"""Flower's commands: the superlink, a supernode, and `flwr`, which hands runs to a superlink and asks after them."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.federated.flower.processes import GuardedProcesses


class Flwr:
    """The command `flwr` at one superlink.

    Args:
        processes: Runs the command.
        connection: The superlink's name in Flower's `config.toml`.
    """

    def __init__(self, processes: GuardedProcesses, connection: str) -> None:
        self.processes, self.connection = processes, connection

    def run(self, app: Path) -> str:
        """Hands an app to the superlink; the run's id there.

        Raises:
            UnlearnError: The superlink doesn't take it.
        """
        answer = self._answer("run", str(app), self.connection, "--format", "json")
        if not answer.get("success"):
            raise UnlearnError(f"Flower didn't take the run: {answer.get('error-message', answer)}")
        return str(answer["run-id"])

    def status(self, run_id: str) -> str:
        """What the superlink says of a run; empty where it says nothing."""
        answer = self._answer("list", self.connection, "--run-id", run_id, "--format", "json")
        runs = answer.get("runs", [])
        return str(runs[0].get("status", "")) if runs else ""

    def stop_command(self, run_id: str) -> list[str]:
        """The words that end a run at the superlink."""
        return [tool("flwr"), "stop", run_id, self.connection]

    def _answer(self, *words: str) -> Mapping[str, Any]:
        output, complaint = self.processes.output_of([tool("flwr"), *words])
        try:
            answer: dict[str, Any] = json.loads(output[output.find("{") :])
        except ValueError:
            reason = (complaint or output).strip()[-300:]
            raise UnlearnError(f"flwr {words[0]} failed: {reason}") from None
        return answer


def superlink(port: int) -> list[str]:
    """The words that start a superlink for this machine alone."""
    return [
        tool("flower-superlink"),
        "--insecure",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--disable-runtime-dependency-installation",
    ]


def supernode(link: int, port: int, client: int, clients: int) -> list[str]:
    """The words that start one of so many clients, on a port of its own, at the superlink on port `link`."""
    return [
        tool("flower-supernode"),
        "--insecure",
        "--superlink",
        f"127.0.0.1:{link}",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--node-config",
        f"partition-id={client} num-partitions={clients}",
    ]


def tool(name: str) -> str:
    """The path of one of Flower's commands, beside this Python or on the path.

    Raises:
        UnlearnError: It isn't installed.
    """
    beside = Path(sys.executable).parent / name
    path = str(beside) if beside.is_file() else shutil.which(name)
    if not path:
        raise UnlearnError(f"{name} isn't installed here: pip install -r requirements-federated.txt")
    return path
