"""What an unlearning method is given, and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.data.split import ForgetSplit
from unlearn_core.models.classifier import Classifier
from unlearn_core.progress import Report
from unlearn_core.sparsify.mask import SparseMask

Observe = Callable[[str, Classifier], Mapping[str, Any]]
"""Shown the model at a named rung of the ladder ("pruned", "epoch 3"); returns what it measured there."""


@dataclass(frozen=True)
class Task:
    """What a method is given beside the model and its settings.

    Attributes:
        split: The method trains on `split.retain` and `split.forget` only.
        seed: Of every random draw.
        report: To be told at least once a batch.
        observe: To be shown the model at each rung.
        fresh: A newly initialised model of the same specification and normalisation, from a seed.
        mask: The weights that a sparse model keeps; None for a dense one.
    """

    split: ForgetSplit
    seed: int
    report: Report
    observe: Observe
    fresh: Callable[[int], Classifier]
    mask: SparseMask | None = None

    def enforce(self, model: Classifier) -> None:
        """Sets what a sparse model has lost back to zero, in place; nothing on a dense one.

        Every method calls it after each change of weights: through `steps.descend`, or by itself.
        """
        if self.mask:
            self.mask.enforce(model.net)


@dataclass(frozen=True)
class Outcome:
    """What a method gives back.

    Attributes:
        model: The unlearned model.
        plan: The channels that were pruned, if any.
        facts: Plain values about the run: images scored, seconds of parts, choices made; under `notes`, a list of
            sentences that stand beside the result.
    """

    model: Classifier
    plan: PruningPlan | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
