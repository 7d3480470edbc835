"""Training a model, from random weights or from another model's."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.checkpoints.model_files import fresh_model, measured_facts, open_model, save_model
from unlearn_core.checkpoints.normalizing import own_normalization
from unlearn_core.data.forgotten import forgotten_by, to_facts
from unlearn_core.data.leaving_out import leave_out
from unlearn_core.data.sets import Dataset
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.data.split import everything
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import choose_device
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.specs import ModelCard, ModelSpec, parse_normalization
from unlearn_core.models.training import fit
from unlearn_core.params import build, plain
from unlearn_core.progress import Report, renamed
from unlearn_core.results import evaluation
from unlearn_core.results.plain import to_plain
from unlearn_core.results.result import Rung, TrainResult, rung_of
from unlearn_core.workflows.ends import conditions
from unlearn_core.workflows.requests import TrainRequest


def train(request: Mapping[str, Any], folder: Path, report: Report) -> TrainResult:
    """Trains a model and writes `model.safetensors` with its card."""
    asked, recipe = build(TrainRequest, request["settings"]), build(Recipe, request["recipe"])
    started = time.monotonic()
    dataset = open_dataset(parse_dataset(asked.data), report)
    device = choose_device(asked.device)
    model, card, plan = _start(asked, dataset)
    dataset = leave_out(dataset, forgotten_by(card.facts))
    model.to(device)
    whole = everything(dataset)
    curve: list[Rung] = []

    def after_epoch(epoch: int) -> dict[str, Any]:
        tested = evaluation.tabulate(whole, evaluation.predictions(model, dataset.test))
        curve.append(rung_of(tested, f"epoch {epoch}"))
        return dict(to_plain(curve[-1]))

    fit(
        model,
        dataset.train,
        recipe,
        seed=asked.seed,
        report=renamed(report, "training"),
        after_epoch=after_epoch,
    )
    final = evaluation.tabulate(whole, evaluation.predictions(model, dataset.test))
    facts = {
        **card.facts,
        "command": request.get("command", ""),
        "recipe": plain(recipe),
        "seed": asked.seed,
        **measured_facts(model.net, final.test_accuracy, final.per_class),
        "test_images": len(dataset.test),
        "train_images": len(dataset.train),
        "data_digest": dataset.digest,
        "seconds": round(time.monotonic() - started, 1),
        **conditions(device, recipe.precision),
    }
    save_model(folder / "model.safetensors", model, replace(card, facts=facts), plan)
    return TrainResult(after=final, ladder=tuple(curve), facts=facts, seconds=facts["seconds"])


def _start(asked: TrainRequest, dataset: Dataset) -> tuple[Classifier, ModelCard, PruningPlan | None]:
    """The model to train, from random weights or from another one; its card, with what that one has forgotten; its plan."""
    if asked.init:
        loaded = open_model(asked.init, dataset, normalize=asked.normalize)
        facts = to_facts(forgotten_by(loaded.card.facts))
        card = replace(loaded.card, name=asked.name, dataset=dataset.spec.name, facts=facts)
        return loaded.model, card, loaded.plan
    spec = ModelSpec(asked.arch, len(dataset.classes), width=asked.width)
    normalization = parse_normalization(asked.normalize) or own_normalization(dataset.train.images)
    size = int(dataset.train.images.shape[-1])
    card = ModelCard(asked.name, spec, dataset.classes, normalization, size, dataset.spec.name, {})
    return fresh_model(card, asked.seed), card, None
