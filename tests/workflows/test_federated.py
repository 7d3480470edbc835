"""The federated workflow on digits with a tiny net: train, unlearn, retrain; the results compare with the centralised road's."""

import json
import os
from importlib.util import find_spec

import numpy as np
import pytest

from unlearn_core.attacks.answers import load_answers
from unlearn_core.checkpoints.model_files import open_model
from unlearn_core.data.forgotten import forgotten_by
from unlearn_core.errors import UnlearnError
from unlearn_core.federated.outcome import OUTCOME
from unlearn_core.federated.request import FederatedRequest
from unlearn_core.params import build
from unlearn_core.progress import silent
from unlearn_core.running.kinds.registry import run_workflow
from unlearn_core.workflows.federated import _privacy, federated

TINY = {"data": "digits", "clients": 5, "device": "cpu", "seed": 0}
RECIPE = {"lr": 0.1, "precision": "float32", "augment": "none"}


@pytest.fixture(autouse=True)
def _flower():
    if find_spec("flwr") is None:
        sentence = "Flower isn't installed: pip install -r requirements-federated.txt"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Trained, unlearned and retrained: (result, folder) of each, made once."""
    folder = tmp_path_factory.mktemp("runs")
    made = {}

    def go(name, **settings):
        (folder / name).mkdir()
        request = {"settings": {**TINY, "action": name, **settings}, "params": dict(RECIPE)}
        made[name] = (run_workflow("federated", request, folder / name, silent), folder / name)

    go("train", arch="cifar_resnet20_a", width=0.25, rounds=2)
    model = str(folder / "train" / "model.safetensors")
    go("unlearn", model=model, forget="3", rounds=1, partition="dirichlet:0.5")
    go("retrain", model=model, forget="3", rounds=1, aggregator="trimmed_mean")
    return made


def test_results_hold_what_unlearnings_hold(runs):
    for action, (result, folder) in runs.items():
        assert result["kind"] == "federated" and result["action"] == action
        assert json.loads(json.dumps(result, default=str))
        assert result["ladder"][-1]["test_accuracy"] == result["after"]["test_accuracy"]
        model = open_model(folder / "model.safetensors")
        assert model.card.facts["federated"]["partition"]
        assert model.card.facts["accuracy"] == result["after"]["test_accuracy"]
        assert model.card.facts["weights_digest"] == model.digest
        for name in ("before", "after"):
            assert (folder / f"predictions_{name}.npz").is_file()
    unlearned = runs["unlearn"][0]
    assert [r["rung"] for r in unlearned["ladder"]] == ["original", "pruned", "round 1"]
    assert unlearned["pruned"]["rung"] == "pruned" and unlearned["plan"]["groups"]
    assert unlearned["size"]["after"]["parameters"] < unlearned["size"]["before"]["parameters"]
    assert unlearned["before"]["test_accuracy"] == runs["train"][0]["after"]["test_accuracy"]
    assert unlearned["after"]["ua"] is not None and unlearned["after"]["ra"] is not None
    assert runs["retrain"][0]["after"]["forget_test_accuracy"] < 0.05
    assert {action: result["chosen"] for action, (result, _) in runs.items()} == dict.fromkeys(
        runs, "by hand"
    )


def test_training_images_count_as_the_clients_counted_them(runs):
    for action in ("unlearn", "retrain"):
        result, folder = runs[action]
        (forgot, to_forget), (kept, to_keep) = json.loads((folder / OUTCOME).read_text())["tallies"]
        assert result["after"]["ua"] == pytest.approx(1 - forgot / to_forget)
        assert result["after"]["ra"] == pytest.approx(kept / to_keep)
        assert any("no training image to attack" in note for note in result["notes"])


def test_a_rehearsal_can_be_attacked(runs):
    result, folder = runs["unlearn"]
    for when in ("before", "after"):
        found = load_answers(folder / f"membership_{when}.npz")
        assert len(found["forget"]) == result["images"]["forget"]
        predicted = found["forget"].predicted
        assert (predicted == 3).mean() == pytest.approx(1 - result[when]["ua"])
        assert result[when]["mia"]["efficacy"] is not None
    assert not list(runs["train"][1].glob("membership_*"))


def test_the_federation_is_told_whole(runs):
    told = runs["unlearn"][0]["federation"]
    held = np.array(told["holdings"])
    assert held.shape == (5, 10) and told["partition"] == "dirichlet:0.5"
    assert held.sum(axis=1).tolist() == [m["images"] for m in told["members"]]
    assert [m["train_images"] for m in told["members"]] == (held.sum(axis=1) - held[:, 3]).tolist()
    assert told["image_bytes"] == (held.sum(axis=1) * 3 * 32 * 32).tolist()
    sent = sum(sum(e["bytes_up"].values()) for e in told["exchanges"])
    assert told["bytes_up"] == sent > 0 and told["events"] == []


def test_retraining_is_compared_with_the_model_that_was_to_forget(runs):
    trained = runs["train"][0]["after"]
    assert runs["retrain"][0]["before"]["confusion"] == trained["confusion"]
    assert [runs[a][0]["method"] for a in ("train", "unlearn", "retrain")] == [
        "train",
        "tfidf_prune",
        "retrain",
    ]


def test_the_plan_is_compared_with_the_exact_one(runs):
    told = runs["unlearn"][0]["federation"]["agreement"]
    result, folder = runs["unlearn"]
    assert told["channels"] == sum(len(g["channels"]) for g in result["plan"]["groups"])
    floors = {f["k"]: f for f in told["floors"]}
    # The run's own floor is 50: what it reported is what the floor of 50 leaves.
    assert floors[50]["agreement"] == told["run"] and floors[1]["agreement"] == 1.0
    held = np.array(result["federation"]["holdings"])
    assert floors[50]["hidden"] == pytest.approx(held[held < 50].sum() / held.sum())
    assert len(told["alone"]) == 5 and len(told["plain_by_class"]) == 10
    assert [told["alone"][i] is None for i in range(5)] == (held[:, 3] == 0).tolist()
    assert runs["train"][0]["federation"]["agreement"] is None


def test_the_usual_floor_stands_where_it_leaves_enough_and_says_what_it_hides(runs):
    result = runs["unlearn"][0]
    held = np.array(result["federation"]["holdings"])
    assert result["federation"]["privacy"]["k"] == 50
    hidden = held[held < 50].sum()
    assert any(f"{hidden:,} of {held.sum():,} images play no part" in note for note in result["notes"])
    with np.load(runs["unlearn"][1] / "client_stats.npz") as told:
        assert (told["counts"] == np.where(held >= 50, held, 0)).all()


def test_without_enough_there_is_no_floor_and_that_is_stated():
    asked = build(FederatedRequest, {"action": "unlearn"})
    privacy, notes = _privacy(asked, np.full((10, 10), 14), 0)
    assert privacy.k == 1 and "down to 14 images: such means give single images away" in notes[0]
    privacy, notes = _privacy(
        build(FederatedRequest, {"action": "unlearn", "k": 20}), np.full((10, 10), 14), 0
    )
    assert privacy.k == 20 and "1,400 of 1,400 images play no part" in notes[0]


@pytest.mark.parametrize("superlink", ["", "hospital"])
def test_the_usual_floor_is_not_above_what_a_client_scores(superlink):
    asked = build(FederatedRequest, {"action": "unlearn", "engine": "flower", "superlink": superlink})
    privacy, [note] = _privacy(asked, np.full((10, 10), 60), 20)
    assert privacy.k == 20 and "the floor is 20, not the usual 50" in note


def test_without_the_last_count_there_are_no_training_accuracies(tmp_path, monkeypatch):
    from unlearn_core.federated.server import Server

    monkeypatch.setattr(Server, "tallies", lambda self, ask: None)
    settings = {**TINY, "action": "train", "arch": "cifar_resnet20_a", "width": 0.125, "rounds": 0}
    result = federated({"settings": settings, "params": RECIPE}, tmp_path, silent)
    assert result.after.retain_train is None
    assert any("no accuracies on training images" in note for note in result.notes)


@pytest.mark.parametrize(
    "settings", [{"action": "train"}, {"action": "retrain", "model": "m", "forget": "3"}]
)
def test_a_new_network_has_no_statistics_to_freeze(settings, tmp_path):
    with pytest.raises(UnlearnError, match="turn freeze_bn off"):
        federated({"settings": {**TINY, **settings}, "params": {"freeze_bn": True}}, tmp_path, silent)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"action": "unlearn", "forget": "3"}, "no model to unlearn from"),
        ({"action": "retrain"}, "No class to leave out"),
        ({"action": "train", "partition": "odd"}, "Unknown partition"),
        ({"action": "train", "clients": 5000}, "can't be dealt"),
        ({"action": "train", "engine": "ray"}, "choose one of: local, flower"),
    ],
)
def test_what_cannot_be_done_is_said(settings, sentence, tmp_path):
    with pytest.raises(UnlearnError, match=sentence):
        federated({"settings": {**TINY, **settings}}, tmp_path, silent)


def test_a_pruned_model_forgets_another_class_and_the_first_stays_forgotten(runs, tmp_path):
    first = open_model(runs["unlearn"][1] / "model.safetensors")
    gone = forgotten_by(first.card.facts)
    settings = {**TINY, "action": "unlearn", "model": str(runs["unlearn"][1] / "model.safetensors")}
    result = federated({"settings": {**settings, "forget": "4"}}, tmp_path, silent)
    second = open_model(tmp_path / "model.safetensors")
    assert forgotten_by(second.card.facts).classes == (*gone.classes, "4")
    assert second.plan.total > first.plan.total
    assert result.after.forgotten_before == gone.indices(second.card.classes)
    before = [k for k, name in enumerate(second.card.classes) if name in gone.classes]
    assert all(row[k] == 0 for row in result.federation.holdings for k in before)
    with pytest.raises(UnlearnError, match="stays forgotten"):
        federated({"settings": {**settings, "forget": gone.classes[0]}}, tmp_path / "again", silent)
