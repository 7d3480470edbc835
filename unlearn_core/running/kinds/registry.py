"""All kinds of background runs, and running one of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Report
from unlearn_core.results.plain import to_plain
from unlearn_core.running.kinds import federated, score, sparsify, train, unlearn
from unlearn_core.running.kinds.kind import Kind, Request

KINDS: Mapping[str, Kind] = {
    kind.name: kind for kind in (train.KIND, score.KIND, unlearn.KIND, sparsify.KIND, federated.KIND)
}


def find_kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
        UnlearnError: There is none; the message lists all.
    """
    if name not in KINDS:
        raise UnlearnError(f"Unknown kind of run {name!r}; choose one of: {', '.join(KINDS)}.")
    return KINDS[name]


def run_workflow(kind: str, request: Request, folder: Path, report: Report) -> dict[str, Any]:
    """Does the work of a run of this kind, repeatable number for number; its result as JSON's values.

    Raises:
        UnlearnError: An unknown kind.
    """
    run = find_kind(kind).run
    import torch

    torch.use_deterministic_algorithms(True, warn_only=True)
    return dict(to_plain(run(request, folder, report)))
