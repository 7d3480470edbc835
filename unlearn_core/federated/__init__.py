"""Learning and unlearning with images that never leave their clients.

The learning code (`client`, `server`, `course`) exchanges plain data and knows nothing of a network. Only `apps`,
`wire`, `replies`, `secure` and `local_grid` speak through Flower, `aggregation` takes its robust mean, and `deployment`
runs its commands.
It is installed with `pip install -r requirements-federated.txt`.
"""

from importlib.util import find_spec
from pathlib import Path

from unlearn_core.errors import UnlearnError
from unlearn_core.federated.course import JOB as JOB
from unlearn_core.federated.course import OUTCOME as OUTCOME
from unlearn_core.federated.course import REPORTED as REPORTED
from unlearn_core.federated.course import START as START
from unlearn_core.federated.course import Job as Job
from unlearn_core.federated.course import split_of as split_of
from unlearn_core.federated.course import write_job as write_job
from unlearn_core.federated.partition import PARTITIONS as PARTITIONS
from unlearn_core.federated.partition import draw as draw
from unlearn_core.federated.partition import holdings as holdings
from unlearn_core.federated.partition import parse_partition as parse_partition
from unlearn_core.federated.privacy import Privacy as Privacy
from unlearn_core.federated.request import PARAMS as PARAMS
from unlearn_core.federated.request import FederatedRequest as FederatedRequest
from unlearn_core.federated.request import client_settings as client_settings
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
        from unlearn_core.federated.local_grid import run_local

        run_local(folder, clients, seed, report)
        return
    from unlearn_core.federated.deployment import run_deployed

    run_deployed(folder, clients, report, superlink)
