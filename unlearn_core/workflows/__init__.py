"""The work of a background run, one file a kind: from a plain request to artifacts and a plain result.

Every function takes the request, the run's folder and a `Report`; writes its artifacts into the folder, each whole or not
at all; and returns what the run's page shows. Repeated on the same machine and versions, it gives the same numbers.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from unlearn_core.errors import UnlearnError
from unlearn_core.federated import FederatedRequest as FederatedRequest
from unlearn_core.progress import Report
from unlearn_core.workflows.ends import inputs_of as inputs_of
from unlearn_core.workflows.ends import names_in as names_in
from unlearn_core.workflows.ends import open_both as open_both
from unlearn_core.workflows.federated import federated as federated
from unlearn_core.workflows.score import ScoreRequest as ScoreRequest
from unlearn_core.workflows.score import score as score
from unlearn_core.workflows.sparsify import SparsifyRequest as SparsifyRequest
from unlearn_core.workflows.sparsify import sparsify as sparsify
from unlearn_core.workflows.train import TrainRequest as TrainRequest
from unlearn_core.workflows.train import train as train
from unlearn_core.workflows.unlearn import DEFAULT_CONTROLS as DEFAULT_CONTROLS
from unlearn_core.workflows.unlearn import UnlearnRequest as UnlearnRequest
from unlearn_core.workflows.unlearn import stored_reference as stored_reference
from unlearn_core.workflows.unlearn import unlearn as unlearn

Workflow = Callable[[Mapping[str, Any], Path, Report], dict[str, Any]]

WORKFLOWS: Mapping[str, Workflow] = {
    "train": train,
    "score": score,
    "unlearn": unlearn,
    "sparsify": sparsify,
    "federated": federated,
}


def run_workflow(kind: str, request: Mapping[str, Any], folder: Path, report: Report) -> dict[str, Any]:
    """Runs the workflow of a kind.

    Raises:
        UnlearnError: An unknown kind.
    """
    if kind not in WORKFLOWS:
        raise UnlearnError(f"Unknown kind of run {kind!r}; choose one of: {', '.join(WORKFLOWS)}.")
    torch.use_deterministic_algorithms(True, warn_only=True)
    return WORKFLOWS[kind](request, folder, report)
