"""A sparse model from request to file: its sparsity, its card, its strict mask, its resumption."""

from dataclasses import asdict, replace

import pytest
import torch

from unlearn_core.channels.pruning import PlannedGroup, PruningPlan
from unlearn_core.channels.surgery import remove
from unlearn_core.checkpoints.model_files import open_model, save_model
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.recipe import Recipe
from unlearn_core.progress import RunCancelled, silent
from unlearn_core.running.kinds.registry import KINDS
from unlearn_core.sparsify.mask import mask_in
from unlearn_core.workflows import sparsify
from unlearn_core.workflows.sparsify import recorded

RECIPE = {"epochs": 2, "lr": 0.05, "batch_size": 20, "augment": "none", "precision": "float32"}

ANEW = {"dense": "anew", "rewind": "init", "epochs": 1}


def request(sparsifier="omp", params=None, **settings):
    return {
        "settings": {"sparsifier": sparsifier, "device": "cpu", **settings},
        "params": {**RECIPE, "sparsity": 0.8, **(params or {})},
    }


def run(asked, folder, report=silent):
    return KINDS["sparsify"].run(asked, folder, report)


def test_writes_a_sparse_model_whose_card_says_so(opened, tmp_path, colours):
    loaded = opened(sparsify)
    result = run(request(), tmp_path)
    model = open_model(tmp_path / "model.safetensors")
    weights = [p.detach() for p in model.model.net.parameters() if p.ndim == 4]
    zeros = sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)
    assert zeros == pytest.approx(0.8, abs=1e-3)
    assert result.sparsity == pytest.approx(zeros, abs=1e-9)
    assert model.card.facts["sparsity"]["measured"] == pytest.approx(zeros)
    assert model.card.facts["sparsity"]["method"] == "omp"
    assert model.card.facts["sparsity"]["seconds"] == result.seconds > 0
    assert model.card.facts["sparsified_from"] == loaded.digest
    assert set(model.card.facts["recipe"]) == set(asdict(Recipe()))  # what retraining takes its settings from
    assert mask_in(model.model.net, model.card.facts).sparsity() == pytest.approx(zeros)
    assert sum(row.weights for row in result.layers.values()) == sum(w.numel() for w in weights)
    assert result.after.test_accuracy == model.card.facts["accuracy"]
    assert result.overlap is None and result.seconds > 0
    assert len(result.ladder) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]  # no state is left behind


def test_a_strict_mask_knows_only_the_retain_set(opened, tmp_path, colours):
    opened(sparsify)
    result = run(request(strict=True, forget="green", params=ANEW), tmp_path)
    assert 0 < result.overlap.iou < 1
    assert result.overlap.iou > result.overlap.chance
    assert result.forget.classes == ("green",) and result.forget.images == 40
    blind = run(request("random", strict=True, forget="green"), tmp_path)
    assert blind.overlap.iou == 1.0


def test_the_strict_mask_is_that_of_a_data_set_without_the_forget_set(opened, tmp_path, colours, monkeypatch):
    opened(sparsify)
    run(request(strict=True, forget="green", params=ANEW), tmp_path / "strict")
    kept = replace(colours, train=colours.train.select(colours.train.labels != 1))
    loaded = opened(sparsify)
    monkeypatch.setattr(sparsify, "open_for_training", lambda *args: (kept, loaded))
    run(request(params=ANEW), tmp_path / "without")
    masks = []
    for name in ("strict", "without"):
        model = open_model(tmp_path / name / "model.safetensors")
        masks.append(mask_in(model.model.net, model.card.facts))
    assert all(torch.equal(masks[0].keep[n], masks[1].keep[n]) for n in masks[0].keep)


def test_strict_and_what_is_forgotten_go_together(opened, tmp_path):
    opened(sparsify)
    with pytest.raises(UnlearnError, match="needs to know what will be forgotten"):
        run(request(strict=True), tmp_path)
    with pytest.raises(UnlearnError, match="only a strict mask"):
        run(request(forget="green"), tmp_path)
    with pytest.raises(UnlearnError, match="Unknown sparsifier 'prune'"):
        run(request("prune"), tmp_path)
    with pytest.raises(UnlearnError, match="sparsity can't be"):
        run(request(params={"sparsity": 1.5}), tmp_path)


def test_goes_on_where_it_was_stopped(opened, tmp_path):
    imp = request("imp", {"rate": 0.5, "rewind": "none", "epochs": 1})
    opened(sparsify)
    run(imp, tmp_path / "whole")
    seen = []

    def stop(progress):
        seen.append(progress.stage)
        if progress.stage == "training the sparse model":
            raise RunCancelled

    with pytest.raises(RunCancelled):
        run(imp, tmp_path / "cut", stop)
    assert "round 2 of 3" in seen
    again = []
    run(imp, tmp_path / "cut", lambda p: again.append(p.stage))
    assert not any(stage.startswith("round") for stage in again)
    whole, cut = (
        open_model(tmp_path / n / "model.safetensors").model.net.state_dict() for n in ("whole", "cut")
    )
    assert all(torch.equal(whole[n], cut[n]) for n in whole)


def test_a_recipe_is_trusted_only_where_it_made_these_weights(opened, colours, colour_card):
    known = {"recipe": RECIPE, "seed": 4, "data_digest": colours.digest}

    def of(**facts):
        return recorded(opened(sparsify, card=replace(colour_card, facts={**known, **facts})), colours)

    assert of() == (Recipe(**RECIPE), 4)
    assert of(data_digest="other") is None
    assert of(unlearned_from="abc") is None
    assert of(sparsity={"measured": 0.5}) is None
    assert of(command="python -m unlearn_core train --init bundled:x") is None
    assert recorded(opened(sparsify), colours) is None  # a card without seed


def test_a_model_that_lost_channels_can_be_made_sparse_too(opened, tmp_path, trained, colours, colour_card):
    net, size = trained.net, (2, 3, 16, 16)
    width = net.layer3[0].conv1.out_channels
    group = PlannedGroup("layer3.0.conv1", ("layer3.0.conv1",), width, True, (0, 3, 5))
    plan = PruningPlan((group,))
    pruned = Classifier(remove(net, plan, torch.zeros(size)), trained.normalization)
    save_model(tmp_path / "cut.safetensors", pruned, colour_card, plan)
    opened(sparsify, tmp_path / "cut.safetensors")
    result = run(request(), tmp_path / "run")
    sparse = open_model(tmp_path / "run" / "model.safetensors")
    assert sparse.plan.channels == {"layer3.0.conv1": (0, 3, 5)}
    assert sparse.model.net.layer3[0].conv1.out_channels == width - 3
    assert result.layers["layer3.0.conv1"].weights == net.layer3[0].conv1.weight[3:].numel()
    assert result.facts["dense"] == "trained anew"
