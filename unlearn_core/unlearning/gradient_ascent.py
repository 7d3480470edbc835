"""GA: steps up the loss of what is to be forgotten.

Each step is `θ <- θ + η ∇ℓ(θ; batch of D_f)`, with the momentum and weight decay of the recipe. The loss has no upper
bound: more steps ruin the model, and the run stops with a sentence where the loss blows up.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 3; after
Golatkar et al., CVPR 2020, and Graves et al., AAAI 2021. Its code steps in training mode, so that batch norms take on
the statistics of the forget set alone; `freeze_bn` keeps them.
"""

from dataclasses import dataclass

from jaxtyping import Int64, UInt8
from torch import Tensor, nn

from unlearn_core.models.classifier import Classifier
from unlearn_core.models.training import SCHEDULES, Pass, Recipe, cross_entropy
from unlearn_core.params import setting
from unlearn_core.unlearning.method import Method, Outcome, Task
from unlearn_core.unlearning.steps import bn_facts, descend


@dataclass(frozen=True)
class GradientAscentParams(Recipe):
    """Published: 5 epochs at a constant rate; 1e-3 is what the authors' runner used, 1e-4 what their README says."""

    epochs: int = setting(5, "Passes over the forget set", low=0, high=1000)
    lr: float = setting(
        1e-3,
        "Learning rate of the ascent; the authors ran 1e-3, their README says 1e-4",
        low=0.0,
        high=10.0,
    )
    schedule: str = setting("constant", "Course of the learning rate", choices=SCHEDULES)


def negated(model: nn.Module, images: UInt8[Tensor, "n 3 H W"], labels: Int64[Tensor, " n"]) -> Tensor:
    """What descending makes an ascent: the negative cross-entropy of a batch."""
    return -cross_entropy(model, images, labels)


def run(model: Classifier, params: GradientAscentParams, task: Task) -> Outcome:
    """Ascends in place on the forget set."""
    descend(model, [[Pass(task.split.forget, negated)]] * params.epochs, params, task)
    return Outcome(model, facts=bn_facts(params))


METHOD = Method(
    name="gradient_ascent",
    label="Gradient ascent (GA)",
    about="Takes steps that raise the loss on the forget set; quick, and easily too much.",
    paper="Jia et al., Model Sparsity Can Simplify Machine Unlearning, NeurIPS 2023",
    link="https://arxiv.org/abs/2304.04934",
    params=GradientAscentParams,
    run=run,
)
