"""The kinds of background runs, and running one of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Report
from unlearn_core.workflows.federated import federated
from unlearn_core.workflows.score import score
from unlearn_core.workflows.sparsify import sparsify
from unlearn_core.workflows.train import train
from unlearn_core.workflows.unlearn import unlearn

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
