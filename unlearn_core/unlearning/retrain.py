"""Retrain: a new model trained on the retain set alone; the reference that unlearning is judged by."""

from dataclasses import replace

from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.training import Pass, cross_entropy
from unlearn_core.progress import renamed
from unlearn_core.unlearning.methods.retrain import RetrainParams
from unlearn_core.unlearning.steps import descend
from unlearn_core.unlearning.task import Outcome, Task


def run(model: Classifier, params: RetrainParams, task: Task) -> Outcome:
    """Trains a newly initialised model, under the given one's mask if it is sparse; it also says where to lie.

    A mask that was learned with the forget set remembers it: retraining is exact only under one that was not.
    """
    if params.freeze_bn:
        raise UnlearnError(
            "A new network has no batch-norm statistics to keep; turn freeze_bn off to retrain."
        )
    fresh = task.fresh(task.seed).to(model.mean.device).eval()
    descend(
        fresh,
        [[Pass(task.split.retain, cross_entropy)]] * params.epochs,
        params,
        replace(task, report=renamed(task.report, "retraining")),
    )
    return Outcome(fresh)
