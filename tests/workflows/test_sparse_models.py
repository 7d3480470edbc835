"""Sparse models down the whole road: by l1-sparse, cut as well, retrained, and found by a run that was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from unlearn_core.checkpoints.model_files import open_model, save_model
from unlearn_core.progress import silent
from unlearn_core.running.kinds.registry import run_workflow
from unlearn_core.sparsify.mask import mask_in

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"epochs": 1, "batch_size": 20, "augment": "none", "precision": "float32"}


@pytest.fixture
def inputs(tmp_path, colours, colour_card, trained):
    """A folder of images and a model file, as settings."""
    for part, images in (("train", colours.train), ("test", colours.test)):
        for i in range(len(images)):
            place = tmp_path / "data" / part / colours.classes[int(images.labels[i])]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images.images[i].permute(1, 2, 0).numpy()).save(place / f"{i:03}.png")
    save_model(tmp_path / "model.safetensors", trained, colour_card)
    return {
        "model": str(tmp_path / "model.safetensors"),
        "data": f"folder:{tmp_path / 'data'}",
        "device": "cpu",
    }


def ask(kind, settings, params, folder, report=silent):
    folder.mkdir(exist_ok=True)
    return run_workflow(kind, {"settings": settings, "params": {**QUICK, **params}}, folder, report)


def forget(inputs, folder, method, params=None, **settings):
    return ask(
        "unlearn",
        {**inputs, "forget": "green", "controls": "none", "method": method, **settings},
        params or {},
        folder,
    )


def zeros_of(path):
    weights = [p.detach() for p in open_model(path).model.net.parameters() if p.ndim == 4]
    return sum(int((w == 0).sum()) for w in weights), sum(w.numel() for w in weights)


def test_what_l1_sparse_sets_to_zero_stands_on_the_card(inputs, tmp_path):
    result = forget(inputs, tmp_path / "run", "l1_sparse", {"gamma": 0.05, "lr": 0.02, "proximal": True})
    model = open_model(tmp_path / "run" / "model.safetensors")
    zeros, weights = zeros_of(tmp_path / "run" / "model.safetensors")
    assert 0 < zeros < weights
    assert (result["facts"]["zero_weights"], result["facts"]["weights"]) == (zeros, weights)
    assert result["facts"]["near_zero_weights"] >= zeros
    assert model.card.facts["sparsity"]["measured"] == pytest.approx(zeros / weights)
    assert model.card.facts["sparsity"]["method"] == "l1_sparse"
    assert mask_in(model.model.net, model.card.facts).sparsity() == pytest.approx(zeros / weights)


def test_by_gradients_it_makes_nothing_exactly_zero_and_the_card_stays_dense(inputs, tmp_path):
    result = forget(inputs, tmp_path / "run", "l1_sparse", {"gamma": 0.05, "lr": 0.02})
    assert "sparsity" not in open_model(tmp_path / "run" / "model.safetensors").card.facts
    assert result["facts"]["exact_zeros"] < 0.01


def test_a_model_that_is_sparse_and_cut_can_be_retrained(inputs, tmp_path):
    ask("sparsify", {**inputs, "sparsifier": "random"}, {"sparsity": 0.6}, tmp_path / "sparse")
    sparse = str(tmp_path / "sparse" / "model.safetensors")
    cut = forget(
        {**inputs, "model": sparse},
        tmp_path / "cut",
        "tfidf_prune",
        {"images_per_class": 20, "ratio": 0.2, "where": "inner"},
    )
    assert cut["size"]["after"]["parameters"] < cut["size"]["before"]["parameters"]
    both = str(tmp_path / "cut" / "model.safetensors")
    retrained = forget({**inputs, "model": both}, tmp_path / "again", "retrain", forget="red")
    before, after = open_model(both).model.net, open_model(tmp_path / "again" / "model.safetensors").model.net
    for (name, one), two in zip(before.named_parameters(), after.parameters(), strict=True):
        assert one.shape == two.shape
        if one.ndim == 4:
            assert (two[one == 0] == 0).all(), name
            assert not torch.equal(one, two)
    assert retrained["sparsity"] == pytest.approx(zeros_of(both)[0] / zeros_of(both)[1], abs=1e-6)


KILLED = """
import os, signal, sys
from unlearn_core.running.kinds.registry import run_workflow
def report(progress):
    if progress.stage == "round 2 of 3" and progress.done == 2:
        os.kill(os.getpid(), signal.SIGKILL)
settings, params, folder = eval(sys.argv[1])
from pathlib import Path
run_workflow("sparsify", {"settings": settings, "params": params}, Path(folder), report)
"""


def test_imp_killed_in_a_round_finds_the_same_mask(inputs, tmp_path):
    settings = {**inputs, "sparsifier": "imp"}
    params = {**QUICK, "sparsity": 0.8, "rate": 0.5, "rewind": "none"}
    (tmp_path / "killed").mkdir()
    asked = repr((settings, params, str(tmp_path / "killed")))
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, asked],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    made = {p.stem for p in (tmp_path / "killed" / "state" / "all").glob("*.npz")}
    assert "round-01" in made and "round-02" not in made
    stages = []
    ask("sparsify", settings, params, tmp_path / "killed", lambda p: stages.append(p.stage))
    assert "round 1 of 3" not in stages and "round 2 of 3" in stages
    ask("sparsify", settings, params, tmp_path / "whole")
    masks = []
    for name in ("killed", "whole"):
        model = open_model(tmp_path / name / "model.safetensors")
        masks.append(mask_in(model.model.net, model.card.facts))
    assert all(torch.equal(masks[0].keep[n], k) for n, k in masks[1].keep.items())
