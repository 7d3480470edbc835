"""The Flower app of the server, and how it tells from a process of its own how far it is."""

import json
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from unlearn_core.errors import UnlearnError
from unlearn_core.federated.coordinator import conduct
from unlearn_core.federated.flower.transport import transport_over
from unlearn_core.progress import Progress, Report
from unlearn_core.store.files import write_text

PROGRESS, ERROR = "server_progress.jsonl", "server_error.txt"
"""Files of a run's folder by which a server in a process of its own tells how far it is, and why it stopped."""


def make_server_app(report: Report | None = None) -> ServerApp:
    """A server that does the job in the folder named by the run config, and tells the listener, or a file in the folder."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        folder = Path(str(context.run_config["folder"]))
        try:
            conduct(folder, transport_over(grid, folder, context), report or FileReport(folder / PROGRESS))
        except UnlearnError as error:
            if report is None:  # nobody else in this process would tell the person
                write_text(folder / ERROR, str(error))
            raise

    return app


class FileReport:
    """A `Report` across processes: one JSON line a step, for `read_reports`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, progress: Progress) -> None:
        """Appends one step."""
        line = [progress.stage, progress.done, progress.total, dict(progress.metrics)]
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def read_reports(path: Path, start: int) -> tuple[list[Progress], int]:
    """What was appended behind a position, and the position behind the last whole line."""
    if not path.is_file():
        return [], start
    with path.open("rb") as file:
        file.seek(start)
        appended = file.read()
    whole = appended[: appended.rfind(b"\n") + 1]
    return [Progress(*json.loads(line)) for line in whole.splitlines()], start + len(whole)
