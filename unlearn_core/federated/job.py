"""What a federated run is to do, as the files that its server reads: the job and the model to begin with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.checkpoints.model_files import save_model
from unlearn_core.data.sets import Dataset
from unlearn_core.data.split import ForgetSpec, ForgetSplit, everything, split_dataset
from unlearn_core.federated.request import PARAMS, FederatedRequest
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.specs import ModelCard
from unlearn_core.params import build, plain
from unlearn_core.store.files import write_json

JOB, START = "job.json", "start.safetensors"
"""Files of a run's folder: what was asked for, and the model to begin with."""


@dataclass(frozen=True)
class Job:
    """What a run is to do; the server of a deployment reads it from the run's folder.

    Attributes:
        request: What the person asked for.
        params: Recipe, and what to prune.
        privacy: What a client does before it reports: `k` is decided.
        forget: Indices of the classes to forget, in the model's order.
    """

    request: FederatedRequest
    params: Any
    privacy: Mapping[str, Any]
    forget: tuple[int, ...]


def write_job(
    folder: Path, job: Job, model: Classifier, card: ModelCard, plan: PruningPlan | None = None
) -> None:
    """Puts into the folder all that `coordinator.conduct` needs: the job, and the model with the channels that it lacks."""
    save_model(folder / START, model, card, plan)
    write_json(
        folder / JOB,
        {
            "asked": plain(job.request),
            "params": plain(job.params),
            "privacy": dict(job.privacy),
            "forget": job.forget,
            "classes": card.classes,
        },
    )


def read_job(folder: Path) -> Job:
    """The job that `write_job` put there."""
    values = json.loads((folder / JOB).read_text())
    request = build(FederatedRequest, values["asked"])
    params = build(PARAMS[request.action], values["params"])
    return Job(request, params, values["privacy"], tuple(values["forget"]))


def split_of(dataset: Dataset, forget: tuple[int, ...]) -> ForgetSplit:
    """The data cut by the classes to forget; all of it is kept where there are none."""
    if forget:
        return split_dataset(dataset, ForgetSpec(tuple(dataset.classes[k] for k in forget)))
    return everything(dataset)
