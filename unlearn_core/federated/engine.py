"""The engines that do a federated job: in this process, or with Flower's own processes."""

from importlib.util import find_spec
from pathlib import Path

from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Report


def require_flower() -> None:
    """Says in one sentence what to install, where Flower isn't.

    Raises:
        UnlearnError: Flower isn't installed.
    """
    if find_spec("flwr") is None:
        raise UnlearnError(
            "Federated runs need Flower, which isn't installed here: pip install -r requirements-federated.txt"
        )


def run_engine(
    engine: str, folder: Path, clients: int, seed: int, report: Report, superlink: str = ""
) -> None:
    """Does the job in the folder on an engine: `local` in this process, `flower` with processes of their own.

    With the name of a superlink that runs already, `flower` takes its clients.

    Raises:
        UnlearnError: Flower isn't installed, a superlink was named for another engine, or the run failed.
    """
    require_flower()
    if superlink and engine != "flower":
        raise UnlearnError(f"The superlink {superlink!r} plays no part with engine {engine}; choose flower.")
    if engine == "local":
        from unlearn_core.federated.flower.local_grid import run_local

        run_local(folder, clients, seed, report)
        return
    from unlearn_core.federated.flower.deployment import run_deployed

    run_deployed(folder, clients, report, superlink)
