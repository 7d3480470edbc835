"""The one model of all clients: sent out with every question, cut by the plan, replaced after a round."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unlearn_core.channels.activations import ActivationStats, tap_points
from unlearn_core.channels.pruning import PruningPlan, one_after_the_other, plan_to_plain
from unlearn_core.channels.surgery import remove
from unlearn_core.checkpoints.model_files import LoadedModel
from unlearn_core.data.forgotten import forgotten_by, to_facts
from unlearn_core.federated.client import example_for
from unlearn_core.federated.messages import Arrays, Question, load_state, state_of, stats_to_arrays
from unlearn_core.federated.validate import Schema, schema_of
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import evaluating
from unlearn_core.models.specs import card_to_plain


class GlobalModel:
    """The model as it is now at the server.

    Args:
        loaded: What the run began with.
        images: Some images of the data set; only their shape plays a part.
        device: Where the server computes.

    Attributes:
        classifier: The network, cut where there is a plan.
        plan: By which this run cut it; None before, and where nothing is pruned.
        forgotten: What it was made to forget before: clients leave it out of every answer.
    """

    plan: PruningPlan | None

    def __init__(self, loaded: LoadedModel, images: Tensor, device: torch.device) -> None:
        self.classifier, self.plan = loaded.model.to(device), None
        self.forgotten = forgotten_by(loaded.card.facts)
        self._plan_before = loaded.plan
        self._card = card_to_plain(replace(loaded.card, facts={}))
        self._shape, self._device = images.shape[1:], device

    @property
    def state(self) -> Arrays:
        """A copy of its weights and statistics."""
        return state_of(self.classifier.net)

    @property
    def whole_plan(self) -> PruningPlan | None:
        """All channels that the network lacks, those that it began without included."""
        return one_after_the_other(self._plan_before, self.plan)

    def load(self, state: Arrays) -> None:
        """Takes weights and statistics of the same network."""
        load_state(self.classifier.net, state)

    def cut(self, plan: PruningPlan) -> None:
        """Becomes the pruned model, as every client makes it from the plan."""
        self.plan = plan
        pruned = remove(self.classifier.net, plan, self.example())
        self.classifier = Classifier(pruned, self.classifier.normalization).to(self._device).eval()

    def example(self) -> Tensor:
        """A small batch for tracing."""
        return example_for(self.classifier, self._images())

    def question(self, kind: str, state: Arrays, config: Mapping[str, Any]) -> Question:
        """A question to clients about these weights in this network."""
        plan = self.whole_plan
        network = {"card": self._card, "plan": plan_to_plain(plan) if plan else None}
        return Question(kind, state, {**network, **to_facts(self.forgotten), **config})

    def stats_schema(self, tap: str, classes: tuple[str, ...]) -> Schema:
        """What a client's statistics of this network must look like."""
        modules = dict(self.classifier.net.named_modules())
        with evaluating(self.classifier), torch.inference_mode():
            layers = [point.layer for point in tap_points(self.classifier, self._images(), tap)]
        sums = {layer: np.zeros((len(classes), modules[layer].out_channels)) for layer in layers}
        counts = np.zeros(len(classes), dtype=np.int64)
        return schema_of(stats_to_arrays(ActivationStats(classes, "", sums, counts)))

    def _images(self) -> Tensor:
        return torch.zeros((2, *self._shape), dtype=torch.uint8, device=self._device)
