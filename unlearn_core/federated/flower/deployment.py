"""Flower as real processes: one superlink and a supernode for each client on this machine, or a superlink that runs already.

A guard beside them ends everything when the run ends, however it ends: Flower's helpers outlive a polite stop. Of a
superlink that somebody else started, only the run is ended.
"""

import contextlib
import json
import os
import socket
import sys
import tempfile
import time
from pathlib import Path

import unlearn_core
from unlearn_core.errors import UnlearnError
from unlearn_core.federated.flower.commands import Flwr, superlink, supernode
from unlearn_core.federated.flower.connections import flower_home, require_private, write_connection
from unlearn_core.federated.flower.processes import GRACE, GuardedProcesses
from unlearn_core.federated.flower.server_app import ERROR, PROGRESS, read_reports
from unlearn_core.federated.outcome import OUTCOME
from unlearn_core.progress import Progress, Report

_LOOPBACK = "loop"  # what Flower calls a superlink that was started here
_POLL = 0.5
_STATUS_EVERY = (
    10.0  # seconds between two questions whether the run still runs, in case the server died without a word
)

_APP = """[project]
name = "lethe-federated"
version = "1.0.0"
license = "MIT"
dependencies = []

[tool.flwr.app]
publisher = "lethe"

[tool.flwr.app.components]
serverapp = "lethe_server:app"
clientapp = "lethe_client:app"

[tool.flwr.app.config]
folder = {folder}
"""

# Apart, as a client's machine need not have what the server imports.
_SERVER = """from unlearn_core.federated.flower.server_app import make_server_app

app = make_server_app()
"""
_CLIENT = """from unlearn_core.federated.flower.client_app import make_client_app

app = make_client_app()
"""


def run_deployed(folder: Path, clients: int, report: Report, connection: str = "") -> None:
    """Does the job in the folder with a process for the server and one for each client; none of them is left behind.

    Args:
        folder: Where the job is, and its outcome will be; the superlink's machine must see it under the same path.
        clients: How many supernodes to start.
        report: Told what the server reports.
        connection: A superlink in Flower's own `config.toml`, whose supernodes are the clients; empty starts all here.

    Raises:
        UnlearnError: Flower didn't come up, a process died, or the run itself failed.
    """
    if connection:
        require_private(connection, flower_home())
    for name in (OUTCOME, PROGRESS, ERROR):  # of an earlier attempt
        (folder / name).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="lethe-") as temporary:
        home = flower_home() if connection else Path(temporary) / "flower"
        with GuardedProcesses(folder.resolve(), _environment(home)) as processes:
            deployment = _Deployment(folder.resolve(), processes, connection or _LOOPBACK, report)
            if not connection:
                deployment.start(clients, home)
            run_id = deployment.submit(Path(temporary) / "app")
            if connection:  # nobody else there would end the run
                processes.run_at_end(deployment.flwr.stop_command(run_id))
            deployment.watch(run_id)


def _environment(home: Path) -> dict[str, str]:
    """What Flower's processes need to find their settings, each other and this package."""
    root = str(Path(unlearn_core.__file__).parents[1])
    return {
        **os.environ,
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "PYTHONPATH": os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p),
        # Flower starts its helpers by name.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }


class _Deployment:
    """A run at a superlink: started, submitted and watched."""

    def __init__(self, folder: Path, processes: GuardedProcesses, connection: str, report: Report) -> None:
        self.folder, self.processes, self.report = folder, processes, report
        self.flwr = Flwr(processes, connection)

    def start(self, clients: int, home: Path) -> None:
        """Starts a superlink and its supernodes, and tells Flower of it."""
        link, *ports = _free_ports(1 + clients)
        self.processes.start("superlink", superlink(link))
        self._wait_for_port(link)
        for client, port in enumerate(ports):
            self.processes.start(f"supernode-{client}", supernode(link, port, client, clients))
        write_connection(home, self.flwr.connection, link)

    def submit(self, app: Path) -> str:
        """Hands the apps to the superlink, written into a folder; the run's id there."""
        app.mkdir()
        (app / "pyproject.toml").write_text(_APP.format(folder=json.dumps(str(self.folder))))
        (app / "lethe_server.py").write_text(_SERVER)
        (app / "lethe_client.py").write_text(_CLIENT)
        return self.flwr.run(app)

    def watch(self, run_id: str) -> None:
        """Tells the listener what the server reports, until the run has ended.

        Raises:
            UnlearnError: The run failed; the sentence is the server's own where it left one.
        """
        position, last_status = 0, time.monotonic()
        last = Progress("starting the server", 0, 1)
        while not self._has(OUTCOME):
            self._require_superlink()
            reports, position = read_reports(self.folder / PROGRESS, position)
            # A wish to cancel is seen only in a report.
            for progress in reports or [last]:
                self.report(progress)
                last = Progress(progress.stage, progress.done, progress.total)
            if self._has(ERROR):
                raise UnlearnError((self.folder / ERROR).read_text())
            if time.monotonic() - last_status > _STATUS_EVERY:
                last_status = time.monotonic()
                self._require_running(run_id)
            time.sleep(_POLL)

    def _wait_for_port(self, port: int) -> None:
        """Returns when something listens there."""
        end = time.monotonic() + GRACE
        while time.monotonic() < end:
            self.report(Progress("starting Flower", 0, 1))
            self._require_superlink()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(_POLL)
        raise UnlearnError(f"Flower's superlink did not come up within {GRACE:g} s; see superlink.log.")

    def _require_running(self, run_id: str) -> None:
        """Ends the wait for a server that ended without a word; its files may lag a little behind its end."""
        status = self.flwr.status(run_id)
        if status.startswith("finished") and not self._has(OUTCOME):
            time.sleep(1)
            if not self._has(ERROR) and not self._has(OUTCOME):
                raise UnlearnError(
                    f"Flower ended the run ({status}) without a result; see superlink.log, or the superlink's own "
                    "log where it runs apart."
                )

    def _require_superlink(self) -> None:
        """A superlink that was started here must live; a supernode may die."""
        link = self.processes.started.get("superlink")
        if link and link.poll() is not None:
            raise UnlearnError(f"Flower's superlink ended with status {link.returncode}; see superlink.log.")

    def _has(self, name: str) -> bool:
        return (self.folder / name).is_file()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
