"""A client's side: what it answers from its own images, which never leave it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unlearn_core.channels.activations import ActivationStats, collect, first_per_class
from unlearn_core.channels.pruning import plan_from_plain
from unlearn_core.channels.surgery import Mask, mask_of, remove, silenced
from unlearn_core.checkpoints.model_files import fresh_model
from unlearn_core.data.forgotten import forgotten_by
from unlearn_core.data.leaving_out import marks
from unlearn_core.data.sets import ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.federated.messages import (
    Answer,
    Arrays,
    Question,
    client_seed,
    fingerprint,
    load_state,
    state_of,
    stats_to_arrays,
)
from unlearn_core.federated.privacy import Privacy, protected
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import choose_device
from unlearn_core.models.recipe import Recipe, Stretch
from unlearn_core.models.specs import card_from_plain
from unlearn_core.models.training import fit
from unlearn_core.params import build, plain
from unlearn_core.results.evaluation import predictions


@dataclass(frozen=True, eq=False)
class Site:
    """A client, as it knows itself.

    Attributes:
        node: How the transport knows it.
        client: Its number, from 0.
        classes: The K class names.
        images: The training images that it holds.
        device: On what it computes.
        noise: Where its privacy noise comes from; must be nobody else's to know.
        own_data: Whether it holds images of its own, not a drawn part of the run's data set.
        least_k: Its own floor: it reports no class of fewer images, whatever the server asks for.
    """

    node: int
    client: int
    classes: tuple[str, ...]
    images: ImageSet
    device: str
    noise: np.random.Generator
    own_data: bool = False
    least_k: int = 0


def answer(question: Question, site: Site) -> Answer:
    """What the site answers.

    Raises:
        UnlearnError: The question can't be answered: it isn't known, or it is of other classes or another image size.
    """
    if question.kind not in ANSWERS:
        raise UnlearnError(f"Unknown question {question.kind!r}; a client answers: {', '.join(ANSWERS)}.")
    # What the model was made to forget before plays no part in any answer.
    gone = marks(site.images, forgotten_by(question.config), site.classes)
    site = replace(site, images=site.images.select(~gone))
    arrays, config = ANSWERS[question.kind](question, site)
    return Answer(site.node, arrays, {**config, "exchange": question.config.get("exchange")})


def retained_images(images: ImageSet, forget: list[int]) -> ImageSet:
    """The images that are not of a class to forget."""
    return images.select(~torch.isin(images.labels, torch.tensor(forget, dtype=torch.int64)))


def _register(question: Question, site: Site) -> tuple[Arrays, dict[str, Any]]:
    """Who it is, and how many images it holds and will train on."""
    ours = fingerprint(site.classes, int(site.images.images.shape[-1]))
    if question.config["fingerprint"] != ours:
        raise UnlearnError(
            f"Client {site.client} holds images of other classes or another size than the model: "
            f"{', '.join(site.classes)}, {site.images.images.shape[-1]} pixels."
        )
    train = retained_images(site.images, question.config["forget"])
    counts = {"client": site.client, "images": len(site.images), "train_images": len(train)}
    return {}, {**counts, "own_data": site.own_data}


def _stats(question: Question, site: Site) -> tuple[Arrays, dict[str, Any]]:
    """Activation statistics of its training images, as far as they may leave it."""
    model, _ = _loaded(question, site)
    privacy = build(Privacy, question.config["privacy"])
    privacy = replace(privacy, k=max(privacy.k, site.least_k))
    scored = first_per_class(site.images.labels.numpy(), question.config["images_per_class"])
    images = site.images.select(torch.from_numpy(scored))

    def read() -> ActivationStats:
        clip = privacy.clip if privacy.epsilon else 0.0
        return collect(model, images, site.classes, tap=question.config["tap"], clip=clip)

    if not question.config["silence"]:
        stats = read()
    else:
        plan = plan_from_plain(question.config["silence"])
        with silenced(model.net, plan, example_for(model, images.images)):
            stats = read()
    return stats_to_arrays(protected(stats, privacy, site.noise)), {}


def _train(question: Question, site: Site) -> tuple[Arrays, dict[str, Any]]:
    """The model after local epochs on the images that it keeps."""
    model, mask = _loaded(question, site)
    images = retained_images(site.images, question.config["forget"])
    recipe = build(Recipe, question.config["recipe"])
    rounds = question.config["rounds"]
    stretch = Stretch(
        **plain(recipe), before=(question.round - 1) * recipe.epochs, in_all=rounds * recipe.epochs
    )
    losses: list[float] = []
    fit(
        model,
        images,
        stretch,
        seed=client_seed(question.config["seed"], question.round, site.client),
        report=lambda progress: losses.append(progress.metrics["loss"]),
        after_step=lambda: mask.enforce(model.net),
    )
    return state_of(model.net), {"images": len(images), "loss": losses[-1]}


def _evaluate(question: Question, site: Site) -> tuple[Arrays, dict[str, Any]]:
    """How many of its training images, to forget and to keep, the model classifies rightly."""
    model, _ = _loaded(question, site)
    tested = predictions(model, site.images)
    hidden = np.isin(tested.labels, question.config["forget"])
    right = tested.labels == tested.predicted
    tallies = [[int(right[part].sum()), int(part.sum())] for part in (hidden, ~hidden)]
    return {"tallies": np.array(tallies, dtype=np.int64)}, {}


ANSWERS: Mapping[str, Callable[[Question, Site], tuple[Arrays, dict[str, Any]]]] = {
    "register": _register,
    "stats": _stats,
    "train": _train,
    "evaluate": _evaluate,
}


def example_for(model: Classifier, images: Tensor) -> Tensor:
    """A small normalised batch, as the bare network takes it, for tracing; its content plays no part."""
    return model.prepare(torch.zeros((2, *images.shape[1:]), dtype=torch.uint8, device=model.mean.device))


def _loaded(question: Question, site: Site) -> tuple[Classifier, Mask]:
    """The model of the question, on the site's device, and what must stay silent in it."""
    device = choose_device(site.device)
    model, mask = structure(json.dumps(question.config["card"]), json.dumps(question.config["plan"]), device)
    load_state(model.net, question.arrays)
    return model.eval(), mask


@lru_cache(maxsize=4)
def structure(card: str, plan: str, device: torch.device) -> tuple[Classifier, Mask]:
    """The pruned network of a card and a plan (both as JSON) there, with weights that mean nothing yet; made once.

    The same one is given to every caller: who uses it loads weights first.
    """
    model_card = card_from_plain(json.loads(card))
    model = fresh_model(model_card, 0)
    pruned = json.loads(plan)
    if not pruned:
        return model.to(device), Mask({})
    pruning_plan = plan_from_plain(pruned)
    size = model_card.image_size
    example = torch.zeros(2, model_card.spec.in_channels, size, size)
    mask = mask_of(model.net, pruning_plan, example, only_unremovable=True)
    net = remove(model.net, pruning_plan, example, check=False)
    return Classifier(net, model_card.normalization).to(device), mask
