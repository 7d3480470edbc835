"""Flower as real processes: one superlink and a supernode for each client on this machine, or a superlink that runs already.

A guard beside them ends everything when the run ends, however it ends: Flower's helpers outlive a polite stop. Of a
superlink that somebody else started, only the run is ended.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import unlearn_core
from unlearn_core.errors import UnlearnError
from unlearn_core.federated.coordinator import OUTCOME
from unlearn_core.federated.flower.apps import ERROR, PROGRESS, read_reports
from unlearn_core.progress import Progress, Report

_GRACE = 120.0  # seconds for Flower itself to come up, beside the deadlines of the exchanges
_POLL = 0.5

_APP = """[project]
name = "lethe-federated"
version = "1.0.0"
license = "MIT"
dependencies = []

[tool.flwr.app]
publisher = "lethe"

[tool.flwr.app.components]
serverapp = "lethe_app:server"
clientapp = "lethe_app:client"

[tool.flwr.app.config]
folder = {folder}
"""

_CODE = """from unlearn_core.federated.flower.apps import make_client_app, make_server_app

client = make_client_app()
server = make_server_app()
"""


def run_deployed(folder: Path, clients: int, report: Report, superlink: str = "") -> None:
    """Does the job in the folder with a process for the server and one for each client; none of them is left behind.

    Args:
        folder: Where the job is, and its outcome will be; the superlink's machine must see it under the same path.
        clients: How many supernodes to start.
        report: Told what the server reports.
        superlink: A connection in Flower's own `config.toml`, whose supernodes are the clients; empty starts all here.

    Raises:
        UnlearnError: Flower didn't come up, a process died, or the run itself failed.
    """
    if superlink:
        require_private(superlink, flower_home())
    for told in (OUTCOME, PROGRESS, ERROR):  # of an earlier attempt
        (folder / told).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="lethe-") as made, _Group(Path(made), folder, superlink) as group:
        if not superlink:
            ports = _free_ports(clients + 1)
            group.start("superlink", _superlink(ports[0]))
            group.wait_for_port(ports[0], report)
            for client in range(clients):
                group.start(f"supernode-{client}", _supernode(ports[0], ports[1 + client], client, clients))
            group.connect(ports[0])
        run_id = group.submit()
        group.watch(run_id, report)


def flower_home() -> Path:
    """Where Flower keeps its settings."""
    return Path(os.environ.get("FLWR_HOME") or Path.home() / ".flwr")


def require_private(superlink: str, home: Path) -> None:
    """Lets only connections pass over which nobody can listen: encrypted ones, and those within this machine.

    Raises:
        UnlearnError: There is no such connection, or it goes to another machine in clear text.
    """
    path = home / "config.toml"
    try:
        known = tomllib.loads(path.read_text("utf-8"))["superlink"]
        told = {name: value for name, value in known.items() if isinstance(value, dict)}
    except (OSError, KeyError, AttributeError, ValueError):
        told = {}
    if superlink not in told:
        names = ", ".join(told) or "none"
        raise UnlearnError(f"Flower knows no connection {superlink!r}; those in {path} are: {names}.")
    host = str(told[superlink].get("address", "")).rpartition(":")[0].strip("[]")
    if told[superlink].get("insecure") and host not in ("127.0.0.1", "localhost", "::1"):
        raise UnlearnError(
            f"The connection {superlink!r} goes to {host} without encryption; in {path} give it root-certificates "
            "instead of insecure = true."
        )


class _Group:
    """The processes of a deployment, guarded, with their logs in the run's folder."""

    guard: "subprocess.Popen[bytes]"

    def __init__(self, home: Path, folder: Path, superlink: str) -> None:
        self.home, self.folder, self.link = home, folder.resolve(), superlink or "loop"
        self.started: dict[str, subprocess.Popen[bytes]] = {}
        root = str(Path(unlearn_core.__file__).parents[1])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        self.env = {
            **os.environ,
            "FLWR_HOME": str(flower_home() if superlink else home / "flower"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "PYTHONPATH": path,
            # Flower starts its helpers by name.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        }

    def __enter__(self) -> "_Group":
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
            self.guard.wait(timeout=_GRACE)
        processes = (self.guard, *self.started.values())
        for process in processes:
            if process.poll() is None:  # else its number may be another process's
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
        for process in processes:
            process.wait(timeout=_GRACE)

    def start(self, name: str, command: Sequence[str]) -> None:
        """Starts a process in a session of its own, and has it guarded."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.started[name] = subprocess.Popen(
                command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._tell_guard(self.started[name].pid)

    def _tell_guard(self, told: int | list[str]) -> None:
        """A process to watch, or to watch no longer (negative), or a command to run at the end.

        Raises:
            UnlearnError: The guard has died.
        """
        assert self.guard.stdin
        try:
            self.guard.stdin.write(json.dumps(told).encode() + b"\n")
        except BrokenPipeError:
            raise UnlearnError(
                f"The process that ends Flower's when a run is over has ended itself (status {self.guard.wait()}); "
                "without it the run can't go on."
            ) from None

    def wait_for_port(self, port: int, report: Report) -> None:
        """Returns when something listens there."""
        end = time.monotonic() + _GRACE
        while time.monotonic() < end:
            report(Progress("starting Flower", 0, 1))
            self._require_alive()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(_POLL)
        raise UnlearnError(f"Flower's superlink did not come up within {_GRACE:g} s; see superlink.log.")

    def connect(self, port: int) -> None:
        """Tells Flower where the superlink of this group is."""
        flower = self.home / "flower"
        flower.mkdir(exist_ok=True)
        connection = f'[superlink.{self.link}]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
        (flower / "config.toml").write_text(connection)

    def submit(self) -> str:
        """Hands the apps to the superlink; the run's id there. The guard ends the run where nobody else can."""
        app = self.home / "app"
        app.mkdir()
        (app / "pyproject.toml").write_text(_APP.format(folder=json.dumps(str(self.folder))))
        (app / "lethe_app.py").write_text(_CODE)
        told = self._flwr("run", str(app), self.link, "--format", "json")
        if not told.get("success"):
            raise UnlearnError(f"Flower didn't take the run: {told.get('error-message', told)}")
        run_id = str(told["run-id"])
        if not self.started:
            self._tell_guard([_tool("flwr"), "stop", run_id, self.link])
        return run_id

    def watch(self, run_id: str, report: Report) -> None:
        """Tells the listener what the server reports, until the run has ended.

        Raises:
            UnlearnError: The run failed; the sentence is the server's own where it left one.
        """
        position, asked = 0, time.monotonic()
        last = Progress("starting the server", 0, 1)
        while not (self.folder / OUTCOME).is_file():
            self._require_alive()
            told, position = read_reports(self.folder / PROGRESS, position)
            for progress in told:
                report(progress)
                last = Progress(progress.stage, progress.done, progress.total)
            if not told:
                # A wish to cancel is seen only in a report.
                report(last)
            if (self.folder / ERROR).is_file():
                raise UnlearnError((self.folder / ERROR).read_text())
            if time.monotonic() - asked > 10:  # in case the server died without a word
                asked = time.monotonic()
                self._require_running(run_id)
            time.sleep(_POLL)

    def _require_running(self, run_id: str) -> None:
        told = self._flwr("list", self.link, "--run-id", run_id, "--format", "json")
        runs = told.get("runs", [])
        status = str(runs[0].get("status", "")) if runs else ""
        if status.startswith("finished") and not (self.folder / OUTCOME).is_file():
            time.sleep(1)
            if not (self.folder / ERROR).is_file() and not (self.folder / OUTCOME).is_file():
                raise UnlearnError(
                    f"Flower ended the run ({status}) without a result; see superlink.log, or the superlink's own "
                    "log where it runs apart."
                )

    def _require_alive(self) -> None:
        """A superlink of this group must live; a supernode may die."""
        link = self.started.get("superlink")
        if link and link.poll() is not None:
            raise UnlearnError(f"Flower's superlink ended with status {link.returncode}; see superlink.log.")

    def _flwr(self, *words: str) -> Mapping[str, Any]:
        command = subprocess.Popen(
            [_tool("flwr"), *words],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with command:
            try:
                self._tell_guard(command.pid)
                said, complaint = command.communicate(timeout=_GRACE)
            except subprocess.TimeoutExpired:
                command.kill()
                raise UnlearnError(f"flwr {words[0]} gave no answer within {_GRACE:g} s.") from None
            except UnlearnError:
                command.kill()
                raise
        self._tell_guard(-command.pid)  # the number may be another process's soon
        try:
            told: dict[str, Any] = json.loads(said[said.find("{") :])
        except ValueError:
            said = (complaint or said).strip()[-300:]
            raise UnlearnError(f"flwr {words[0]} failed: {said}") from None
        return told


def _superlink(port: int) -> list[str]:
    return [
        _tool("flower-superlink"),
        "--insecure",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--disable-runtime-dependency-installation",
    ]


def _supernode(link: int, port: int, client: int, clients: int) -> list[str]:
    return [
        _tool("flower-supernode"),
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


def _tool(name: str) -> str:
    """The path of one of Flower's commands, beside this Python or on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if not found:
        raise UnlearnError(f"{name} isn't installed here: pip install -r requirements-federated.txt")
    return found


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
