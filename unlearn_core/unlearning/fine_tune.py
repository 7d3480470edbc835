"""FT: fine-tuning on the retain set alone, and hoping that the rest is forgotten.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 3; after
Warnecke et al., NDSS 2023, and Golatkar et al., CVPR 2020.
"""

from dataclasses import dataclass

from unlearn_core.models.classifier import Classifier
from unlearn_core.models.training import SCHEDULES, Pass, Recipe, cross_entropy
from unlearn_core.params import setting
from unlearn_core.unlearning.method import Method, Outcome, Task
from unlearn_core.unlearning.steps import bn_facts, descend


@dataclass(frozen=True)
class FineTuneParams(Recipe):
    """Published: 10 epochs, learning rate 0.01, constant."""

    epochs: int = setting(10, "Passes over the retain set", low=0, high=1000)
    schedule: str = setting("constant", "Course of the learning rate", choices=SCHEDULES)


def run(model: Classifier, params: FineTuneParams, task: Task) -> Outcome:
    """Fine-tunes in place on the retain set."""
    descend(model, [[Pass(task.split.retain, cross_entropy)]] * params.epochs, params, task)
    return Outcome(model, facts=bn_facts(params))


METHOD = Method(
    name="fine_tune",
    label="Fine-tune (FT)",
    about="Trains on the retained images only, without pruning.",
    paper="Jia et al., Model Sparsity Can Simplify Machine Unlearning, NeurIPS 2023",
    link="https://arxiv.org/abs/2304.04934",
    params=FineTuneParams,
    run=run,
)
