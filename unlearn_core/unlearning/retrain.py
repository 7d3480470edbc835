"""Retrain: a new model trained on the retain set alone; the reference that unlearning is judged by."""

from dataclasses import dataclass, replace

from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.training import SCHEDULES, Pass, Recipe, cross_entropy
from unlearn_core.params import setting
from unlearn_core.progress import renamed
from unlearn_core.unlearning.method import Method, Outcome, Task
from unlearn_core.unlearning.steps import descend


@dataclass(frozen=True)
class RetrainParams(Recipe):
    """A recipe from scratch; a model's own recipe, where its card records one, takes the place of these defaults."""

    epochs: int = setting(12, "Passes over the retain set", low=1, high=1000)
    lr: float = setting(0.1, "Highest learning rate", low=0.0, high=10.0)
    schedule: str = setting("one_cycle", "Course of the learning rate", choices=SCHEDULES)


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


METHOD = Method(
    name="retrain",
    label="Retrain from scratch",
    about="Trains a new model without the forget set: exact, slow, and the reference for all others.",
    paper="Jia et al., Model Sparsity Can Simplify Machine Unlearning, NeurIPS 2023",
    link="https://arxiv.org/abs/2304.04934",
    params=RetrainParams,
    run=run,
)
