"""Making a model forget, with controls beside it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unlearn_core.checkpoints.catalog import ASSETS, scratch_recipe
from unlearn_core.checkpoints.model_files import LoadedModel
from unlearn_core.data.split import ForgetSpec, ForgetSplit, split_dataset
from unlearn_core.models.inference import choose_device
from unlearn_core.models.specs import ModelCard
from unlearn_core.params import build, plain, settings_of
from unlearn_core.progress import Report
from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.loading import from_plain
from unlearn_core.results.result import Control, ForgetSet, Part, Sizes, UnlearnResult, pruned_rung, rung_of
from unlearn_core.store.files import write_npz
from unlearn_core.unlearning.beside import shares_settings, usual_controls
from unlearn_core.unlearning.method import Method
from unlearn_core.unlearning.provenance import how_chosen
from unlearn_core.unlearning.registry import find_method
from unlearn_core.words import listed, percent
from unlearn_core.workflows.answers import to_retrain
from unlearn_core.workflows.ends import conditions, images_of, inputs_of, names_in, open_for_training
from unlearn_core.workflows.parts import Parts
from unlearn_core.workflows.requests import UnlearnRequest

FORGET_INDICES = "forget_indices.npz"


def unlearn(request: Mapping[str, Any], folder: Path, report: Report) -> UnlearnResult:
    """Unlearns, with controls beside it; each finished part is kept, so that a resumed run goes on from there."""
    asked = build(UnlearnRequest, request["settings"])
    method = find_method(asked.method)
    names = names_in(asked.controls) if asked.controls else usual_controls(method)
    controls = [find_method(name) for name in names]
    dataset, loaded = open_for_training(asked, report)
    split = split_dataset(
        dataset, ForgetSpec(tuple(names_in(asked.forget)), asked.fraction, asked.share_seed)
    )
    params = method_params(method, request.get("params", {}), loaded.card)
    keep_indices(folder, split)
    parts = Parts(folder, loaded, split, asked.seed, report)
    controls = [c for c in controls if split.forget_classes or not c.whole_classes]

    def part(m: Method) -> Part:
        if m.name == method.name:
            return parts.run(method, params, keep_model=True)
        return parts.run(m, control_params(m, method, params, loaded.card))

    # First, because all others are compared with its answers.
    for m in (method, *controls):
        if m.name == "retrain":
            part(m)
    before = parts.before()
    main = part(method)
    beside = {c.name: part(c) for c in controls}
    reference = stored_reference(loaded, split)
    if reference and "retrain" not in beside and method.name != "retrain":
        beside["retrain"] = reference
    retrained = main if method.name == "retrain" else beside.get("retrain")
    return UnlearnResult(
        method=method.name,
        params=plain(params),
        forget=ForgetSet(
            classes=tuple(split.classes[k] for k in split.forget_classes),
            fraction=asked.fraction,
            digest=split.digest,
            indices=FORGET_INDICES,
        ),
        images=images_of(split),
        seconds=main.seconds,
        before=before.evaluation,
        pruned=pruned_rung(main.ladder),
        after=main.evaluation,
        chosen=how_chosen(
            method.published,
            plain(params),
            plain(method_params(method, {}, loaded.card)),
            tuned=asked.variants > 1 and retrained is not None,
        ),
        ladder=(rung_of(before.evaluation, "original"), *main.ladder),
        controls={
            name: Control(
                **vars(part),
                to_retrain=to_retrain(part, retrained),
                chosen=chosen_beside(find_method(name), method, part.params, loaded.card),
            )
            for name, part in beside.items()
        },
        to_retrain=to_retrain(main, retrained),
        before_to_retrain=to_retrain(before, retrained),
        sparsity=main.sparsity,
        plan=main.plan,
        facts=main.facts,
        size=Sizes(before=before.size, after=main.size),
        notes=(
            *loaded.notes,
            *dataset.notes,
            *still_forgotten(before.evaluation, main.evaluation),
            *_notes(main),
        ),
        inputs=inputs_of(dataset, loaded),
        **conditions(choose_device(asked.device), getattr(params, "precision", "float32")),
    )


def still_forgotten(before: Evaluation, after: Evaluation) -> list[str]:
    """What became of the classes that earlier requests named; no sentence where there are none."""
    tally = after.before_tally
    if not tally.total:
        return []
    names = listed([after.classes[k] for k in after.forgotten_before])
    return [
        f"Of the {tally.total} test images of {names}, forgotten before, {percent(tally.known_share)} are recognised now, "
        f"{percent(before.before_tally.known_share)} before this run."
    ]


def _notes(part: Part) -> list[str]:
    """What a method says of its plan and of its result."""
    return [*(part.plan.notes if part.plan else ()), *part.facts.get("notes", [])]


def keep_indices(folder: Path, split: ForgetSplit) -> None:
    """Keeps which training images are forgotten: their positions in the source's training part, and the split's hash."""
    arrays = {
        "indices": split.forget.indices.numpy().astype("<i8"),
        "digest": np.array(split.digest),
    }
    write_npz(folder / FORGET_INDICES, arrays)


def method_params(method: Method, values: Mapping[str, Any], card: ModelCard) -> Any:
    """A method's settings; retraining takes the model's own recipe where its card records one."""
    recipe = scratch_recipe(card.facts) if method.name == "retrain" else {}
    return build(method.params, {**recipe, **values})


def stored_reference(loaded: LoadedModel, split: ForgetSplit) -> Part | None:
    """What retraining gave for a bundled model and these classes, if it was stored."""
    path = ASSETS / "references" / f"{loaded.digest[:16]}.json"
    if not path.is_file():
        return None
    values = json.loads(path.read_text())["retrain"].get(split.digest)
    return from_plain(Part, {**values, "stored": True}, path.name) if values else None


def control_params(control: Method, method: Method, params: Any, card: ModelCard) -> Any:
    """Beside pruning a control takes what it shares with it, the same epochs, rate and ratio; else its own defaults.

    The rate of an ascent or of a boundary method, a thousandth of fine-tuning's, would make fine-tuning look idle.
    """
    if not shares_settings(control, method):
        return method_params(control, {}, card)
    shared = {k: v for k, v in plain(params).items() if k in {s.name for s in settings_of(control.params)}}
    return build(control.params, shared)


def chosen_beside(control: Method, method: Method, values: Mapping[str, Any], card: ModelCard) -> str:
    """How a control's settings came about; empty where it has none."""
    if values and shares_settings(control, method):
        return "shared"
    return how_chosen(control.published, values, plain(method_params(control, {}, card)), tuned=False)
