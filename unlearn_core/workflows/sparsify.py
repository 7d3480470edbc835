"""Making a model sparse: finding which weights stay, and training them again."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from unlearn_core.checkpoints.catalog import scratch_recipe
from unlearn_core.checkpoints.model_files import LoadedModel, fresh_like, measured_facts, save_model
from unlearn_core.data.forgotten import forgotten_by, to_facts
from unlearn_core.data.sets import Dataset
from unlearn_core.data.split import ForgetSpec, ForgetSplit, everything, split_dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import choose_device, device_of
from unlearn_core.models.recipe import Recipe
from unlearn_core.params import build, plain
from unlearn_core.progress import Report, renamed
from unlearn_core.results import evaluation
from unlearn_core.results.plain import to_plain
from unlearn_core.results.result import (
    Conditions,
    LayerSparsity,
    Overlap,
    Rung,
    SparsifyResult,
    Withheld,
    rung_of,
)
from unlearn_core.sparsify.dense import origin_of
from unlearn_core.sparsify.mask import SparseMask, overlap
from unlearn_core.sparsify.registry import find_sparsifier
from unlearn_core.sparsify.sparsifier import Sparsifier
from unlearn_core.sparsify.task import Found, SparseTask, Stages, train_under
from unlearn_core.unlearning.provenance import how_chosen
from unlearn_core.workflows.ends import conditions, inputs_of, names_in, open_for_training
from unlearn_core.workflows.requests import SparsifyRequest


def sparsify(request: Mapping[str, Any], folder: Path, report: Report) -> SparsifyResult:
    """Finds a mask, trains under it on all training images and writes `model.safetensors`, whose card says how sparse it is.

    Finished stages are kept in the folder until the end, so that a resumed run goes on from there.
    """
    asked = build(SparsifyRequest, request["settings"])
    sparsifier = find_sparsifier(asked.sparsifier)
    started = time.perf_counter()
    dataset, loaded = open_for_training(asked, report)
    split = _split(asked, dataset)
    params = sparsifier_params(sparsifier, request.get("params", {}), loaded)
    task = _task(asked, params, dataset, loaded, report, folder)
    before = evaluation.predictions(loaded.model, dataset.test, report)
    found, strict, mask_seconds = _found(sparsifier, params, task, split)
    mask = strict.mask if strict else found.mask
    training = time.perf_counter()
    curve: list[Rung] = []

    def after_epoch(epoch: int) -> dict[str, Any]:
        tested = evaluation.tabulate(whole, evaluation.predictions(model, dataset.test))
        curve.append(rung_of(tested, f"epoch {epoch}"))
        return dict(to_plain(curve[-1]))

    whole, model = everything(dataset), task.fresh(asked.seed)
    train_under(
        mask,
        found.start,
        model,
        dataset.train,
        params,
        seed=asked.seed,
        report=renamed(report, "training the sparse model"),
        after_epoch=after_epoch,
    )
    after = evaluation.tabulate(whole, evaluation.predictions(model, dataset.test, report))
    ended = time.perf_counter()
    result = SparsifyResult(
        sparsifier=sparsifier.name,
        params=plain(params),
        chosen=how_chosen(
            sparsifier.published, plain(params), plain(sparsifier_params(sparsifier, {}, loaded)), tuned=False
        ),
        asked=params.sparsity,
        sparsity=mask.sparsity(),
        layers={layer: LayerSparsity(**counts) for layer, counts in mask.by_layer().items()},
        strict=bool(strict),
        forget=_withheld(split),
        overlap=Overlap(**overlap(found.mask, mask)) if strict else None,
        before=evaluation.tabulate(whole, before),
        after=after,
        ladder=tuple(curve),
        mask_seconds=round(mask_seconds, 3),
        training_seconds=round(ended - training, 3),
        seconds=round(mask_seconds + ended - training, 3),
        facts={**found.facts, **({"strict": dict(strict.facts)} if strict else {})},
        notes=(*loaded.notes, *dataset.notes, *_notes(mask, params, task, strict)),
        inputs=inputs_of(dataset, loaded),
        **conditions(choose_device(asked.device), params.precision),
    )
    _keep(folder / "model.safetensors", model, loaded, dataset, request, result)
    shutil.rmtree(folder / _STATE, ignore_errors=True)
    return replace(result, elapsed=round(time.perf_counter() - started, 3))


_STATE = "state"


def sparsifier_params(sparsifier: Sparsifier, values: Mapping[str, Any], loaded: LoadedModel) -> Any:
    """A sparsifier's settings; training takes the model's own recipe where its card records one."""
    return build(sparsifier.params, {**scratch_recipe(loaded.card.facts), **values})


def recorded(loaded: LoadedModel, dataset: Dataset) -> tuple[Recipe, int] | None:
    """The recipe and seed by which this model was trained from scratch on this data; None where the card doesn't say so."""
    facts = loaded.card.facts
    changed = any(name in facts for name in ("unlearned_from", "sparsity")) or loaded.plan is not None
    from_another = "--init" in str(facts.get("command", ""))
    if changed or from_another or facts.get("data_digest") != dataset.digest:
        return None
    if "recipe" not in facts or "seed" not in facts:
        return None
    return build(Recipe, facts["recipe"]), int(facts["seed"])


def _split(asked: SparsifyRequest, dataset: Dataset) -> ForgetSplit | None:
    """The split that a strict mask respects."""
    named = bool(names_in(asked.forget)) or asked.fraction > 0
    if named != asked.strict:
        raise UnlearnError(
            "A strict mask needs to know what will be forgotten; give classes (forget) or a share (fraction)."
            if asked.strict
            else "What will be forgotten changes only a strict mask; choose strict, or leave forget and fraction out."
        )
    spec = ForgetSpec(tuple(names_in(asked.forget)), asked.fraction, asked.share_seed)
    return split_dataset(dataset, spec) if asked.strict else None


def _task(
    asked: SparsifyRequest, params: Any, dataset: Dataset, loaded: LoadedModel, report: Report, folder: Path
) -> SparseTask:
    device = device_of(loaded.model)

    def fresh(seed: int) -> Classifier:
        return fresh_like(loaded, seed).to(device).eval()

    height, width = dataset.train.images.shape[2:]
    origin = origin_of(params, recorded(loaded, dataset), asked.seed)
    stages = Stages(folder / _STATE / "all")
    return SparseTask(loaded.model, dataset.train, origin, fresh, (height, width), asked.seed, report, stages)


def _found(
    sparsifier: Sparsifier, params: Any, task: SparseTask, split: ForgetSplit | None
) -> tuple[Found, Found | None, float]:
    """The mask by all images, the strict one, and the seconds that the one in use took, with those of earlier attempts."""
    started = time.perf_counter()
    found = sparsifier.find(params, task)
    seconds = time.perf_counter() - started + task.stages.recalled
    if split is None:
        return found, None, seconds
    started = time.perf_counter()
    # The same seed and recipe as the dense model had: the masks differ by what they saw, not by where they began.
    origin = replace(task.origin, given=False)
    folder = task.stages.folder
    stages = Stages(folder.parent / "retain" if folder else None)
    strict = sparsifier.find(params, replace(task, images=split.retain, origin=origin, stages=stages))
    return found, strict, seconds + time.perf_counter() - started + stages.recalled


def _withheld(split: ForgetSplit | None) -> Withheld | None:
    if split is None:
        return None
    classes = tuple(split.classes[k] for k in split.forget_classes)
    return Withheld(classes=classes, images=len(split.forget), digest=split.digest)


def _notes(mask: SparseMask, params: Any, task: SparseTask, strict: Found | None) -> list[str]:
    empty = [layer for layer, row in mask.by_layer().items() if not row["kept"]]
    notes = [f"No weight is left in {', '.join(empty)}; choose a lower sparsity."] if empty else []
    if strict and task.origin.given and task.origin.recipe is None:
        notes.append(
            "Nobody knows how the given model was trained, so the dense model for the strict mask began elsewhere: "
            "part of the difference between the masks comes from that."
        )
    return notes


def _keep(
    path: Path,
    model: Classifier,
    loaded: LoadedModel,
    dataset: Dataset,
    request: Mapping[str, Any],
    result: SparsifyResult,
) -> None:
    after = result.after
    facts = {
        "command": request.get("command", ""),
        "recipe": {f.name: result.params[f.name] for f in fields(Recipe)},
        "seed": build(SparsifyRequest, request["settings"]).seed,
        **measured_facts(model.net, after.test_accuracy, after.per_class),
        "test_images": len(dataset.test),
        "train_images": len(dataset.train),
        "data_digest": dataset.digest,
        "seconds": result.seconds,
        "sparsified_from": loaded.digest,
        **to_facts(forgotten_by(loaded.card.facts)),
        "sparsity": {
            "method": result.sparsifier,
            "asked": result.asked,
            "measured": result.sparsity,
            "over": "convolution weights",
            "strict": result.strict,
            "forget": to_plain(result.forget),
            "seconds": result.seconds,
        },
        **{f.name: getattr(result, f.name) for f in fields(Conditions)},
    }
    card = replace(loaded.card, facts=facts)
    save_model(path, model, card, loaded.plan)
