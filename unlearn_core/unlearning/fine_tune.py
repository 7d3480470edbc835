"""FT: fine-tuning on the retain set alone, and hoping that the rest is forgotten.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 3; after
Warnecke et al., NDSS 2023, and Golatkar et al., CVPR 2020.
"""

from unlearn_core.models.classifier import Classifier
from unlearn_core.models.training import Pass, cross_entropy
from unlearn_core.unlearning.methods.fine_tune import FineTuneParams
from unlearn_core.unlearning.steps import bn_facts, descend
from unlearn_core.unlearning.task import Outcome, Task


def run(model: Classifier, params: FineTuneParams, task: Task) -> Outcome:
    """Fine-tunes in place on the retain set."""
    descend(model, [[Pass(task.split.retain, cross_entropy)]] * params.epochs, params, task)
    return Outcome(model, facts=bn_facts(params))
