"""GA: steps up the loss of what is to be forgotten.

Each step is `θ <- θ + η ∇ℓ(θ; batch of D_f)`, with the momentum and weight decay of the recipe. The loss has no upper
bound: more steps ruin the model, and the run stops with a sentence where the loss blows up.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 3; after
Golatkar et al., CVPR 2020, and Graves et al., AAAI 2021. Its code steps in training mode, so that batch norms take on
the statistics of the forget set alone; `freeze_bn` keeps them.
"""

from jaxtyping import Int64, UInt8
from torch import Tensor, nn

from unlearn_core.models.classifier import Classifier
from unlearn_core.models.training import Pass, cross_entropy
from unlearn_core.unlearning.methods.gradient_ascent import GradientAscentParams
from unlearn_core.unlearning.steps import bn_facts, descend
from unlearn_core.unlearning.task import Outcome, Task


def negated(model: nn.Module, images: UInt8[Tensor, "n 3 H W"], labels: Int64[Tensor, " n"]) -> Tensor:
    """What descending makes an ascent: the negative cross-entropy of a batch."""
    return -cross_entropy(model, images, labels)


def run(model: Classifier, params: GradientAscentParams, task: Task) -> Outcome:
    """Ascends in place on the forget set."""
    descend(model, [[Pass(task.split.forget, negated)]] * params.epochs, params, task)
    return Outcome(model, facts=bn_facts(params))
