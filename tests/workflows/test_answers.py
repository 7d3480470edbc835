"""What an unlearning run tells beside accuracy: attacks, distance to retraining, and masks that hold."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from unlearn_core.attacks.answers import attack_order, load_answers
from unlearn_core.attacks.mia import efficacy
from unlearn_core.checkpoints.model_files import open_model, save_model
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.progress import silent
from unlearn_core.running.kinds.registry import KINDS
from unlearn_core.sparsify.mask import SparseMask, mask_in
from unlearn_core.workflows import unlearn

SHORT = {"epochs": 1, "batch_size": 30, "augment": "none", "precision": "float32"}


def run(folder, controls="untouched,retrain", forget="green", params=None, **settings):
    request = {
        "settings": {
            "method": "fine_tune",
            "controls": controls,
            "forget": forget,
            "device": "cpu",
            **settings,
        },
        "params": {**SHORT, **(params or {})},
    }
    return KINDS["unlearn"].run(request, folder, silent)


def chances(model, images):
    with torch.no_grad():
        return model.eval()(images.images).double().softmax(1)


@pytest.fixture
def sparse_file(trained, colour_card, tmp_path):
    """The trained network with a third of its convolutions' weights gone."""
    generator = torch.Generator().manual_seed(0)
    keep = {
        n: torch.rand(p.shape, generator=generator) > 1 / 3
        for n, p in trained.net.named_parameters()
        if p.ndim == 4
    }
    SparseMask(keep).enforce(trained.net)
    facts = {**colour_card.facts, "sparsity": {"method": "random", "measured": 1 / 3}}
    save_model(tmp_path / "sparse.safetensors", trained, replace(colour_card, facts=facts))
    return tmp_path / "sparse.safetensors", keep


def test_attacks_and_distances_are_those_of_the_models_themselves(opened, tmp_path, colours):
    opened(unlearn)
    result = run(tmp_path)
    split = split_dataset(colours, ForgetSpec(("green",)))
    after = open_model(tmp_path / "model.safetensors").model

    def confidence(part):
        return chances(after, part).gather(1, part.labels[:, None])[:, 0].numpy()

    retain = confidence(split.retain)[attack_order(split.retain.labels.numpy())]
    test = confidence(split.test)[attack_order(split.test.labels.numpy())]
    attacks = result.after.mia
    assert attacks.efficacy == pytest.approx(efficacy(retain[:40], test, confidence(split.forget)))
    assert attacks.non_members == attacks.members == 40
    assert attacks.loss_attack_against == "test_forget"

    kept = load_answers(tmp_path / "membership_after.npz")
    assert 1 / (1 + np.exp(-kept["forget"].margin)) == pytest.approx(confidence(split.forget), abs=1e-5)
    assert kept["test_forget"].indices.tolist() == split.test_forget.indices.tolist()
    assert sorted(kept["retain"].indices.tolist()) == split.retain.indices.tolist()
    files = {path.name for path in tmp_path.glob("membership_*.npz")}
    assert files == {f"membership_{name}.npz" for name in ("before", "after", "untouched", "retrain")}

    near, retrained = result.to_retrain, result.controls["retrain"].evaluation
    assert near.gaps.ra == pytest.approx(abs(result.after.ra - retrained.ra))
    assert near.gaps.mia == pytest.approx(abs(attacks.efficacy - retrained.mia.efficacy))
    with np.load(tmp_path / "parts" / "retrain.npz") as stored:
        for name in ("forget", "retain", "test"):
            p, q = chances(after, getattr(split, name)).numpy(), stored[name].astype(float)
            m = (p + q) / 2
            js = ((p * np.log(p / m)).sum(1) + (q * np.log(q / m)).sum(1)).mean() / 2
            assert near.js[name] == pytest.approx(js, abs=1e-6)
            assert near.agreement[name] == pytest.approx((p.argmax(1) == q.argmax(1)).mean())
    itself = result.controls["retrain"].to_retrain
    assert (itself.avg_gap, itself.tow, itself.js["forget"]) == (0, 1, 0)
    untouched = result.controls["untouched"].to_retrain
    assert untouched == result.before_to_retrain


def test_without_retraining_there_is_nothing_to_compare_with(opened, tmp_path):
    opened(unlearn)
    result = run(tmp_path, controls="none", forget="", fraction=0.2)
    assert result.to_retrain is None and result.before_to_retrain is None
    assert result.after.mia.loss_attack_against == "test"


def test_a_sparse_model_stays_sparse_and_is_compared_with_a_sparse_one(opened, tmp_path, sparse_file):
    path, keep = sparse_file
    opened(unlearn, path)
    result = run(tmp_path / "run")
    after = open_model(tmp_path / "run" / "model.safetensors")
    weights = dict(after.model.net.named_parameters())
    assert all(not weights[n].detach()[~k].any() for n, k in keep.items())
    share = 1 - sum(int(k.sum()) for k in keep.values()) / sum(k.numel() for k in keep.values())
    assert result.sparsity == pytest.approx(share)
    assert result.controls["retrain"].sparsity == pytest.approx(share)
    assert after.card.facts["sparsity"]["measured"] == pytest.approx(share)
    assert mask_in(after.model.net, after.card.facts).sparsity() == pytest.approx(share)


def test_plans_and_masks_combine(opened, tmp_path, sparse_file):
    """Channels of a sparse model are pruned, and what is left of its mask holds through fine-tuning."""
    path, keep = sparse_file
    opened(unlearn, path)
    result = run(
        tmp_path / "run", controls="retrain", method="tfidf_prune", params={"where": "inner", "ratio": 0.25}
    )
    after = open_model(tmp_path / "run" / "model.safetensors")
    weights = dict(after.model.net.named_parameters())
    cut = 0
    for group in after.plan.groups:
        alive = [c for c in range(group.size) if c not in group.channels]
        name = f"{group.name}.weight"
        assert weights[name].shape[0] == len(alive)
        assert not weights[name].detach()[~keep[name][alive]].any()
        cut += len(group.channels)
    assert cut > 0
    share = 1 - sum(int(k.sum()) for k in keep.values()) / sum(k.numel() for k in keep.values())
    assert result.sparsity == pytest.approx(share, abs=0.02)
    assert result.controls["retrain"].evaluation.ra is not None
