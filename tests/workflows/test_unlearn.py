"""The unlearning workflow from request to artifacts, on small real images in a folder."""

import copy
import json

import numpy as np
import pytest
from PIL import Image

from unlearn_core.channels.activations import load_stats
from unlearn_core.checkpoints.model_files import open_model, save_model
from unlearn_core.data.forgotten import forgotten_by
from unlearn_core.errors import UnlearnError
from unlearn_core.progress import RunCancelled, silent
from unlearn_core.running.kinds.registry import run_workflow

QUICK = {"epochs": 1, "batch_size": 20, "images_per_class": 20, "ratio": 0.2, "augment": "none"}


@pytest.fixture
def inputs(tmp_path, colours, colour_card, trained):
    """A folder of images and a model file."""
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


def ask(inputs, folder, report=silent, params=QUICK, **settings):
    folder.mkdir(exist_ok=True)
    request = {"settings": {**inputs, "forget": "green", **settings}, "params": params}
    return run_workflow("unlearn", request, folder, report)


def test_result_and_artifacts(inputs, tmp_path):
    result = ask(inputs, tmp_path / "run", controls="mask_logit,random_prune,fine_tune,retrain")
    # The model knows red, green, blue in this order; folders are sorted by name: classes must go by name.
    assert result["before"]["classes"] == ["red", "green", "blue"]
    assert result["before"]["test_accuracy"] > 0.9
    assert [r["rung"] for r in result["ladder"]] == ["original", "pruned", "epoch 1"]
    assert result["pruned"]["per_class"] == result["ladder"][1]["per_class"]
    assert set(result["controls"]) == {"mask_logit", "random_prune", "fine_tune", "retrain"}
    assert result["controls"]["mask_logit"]["evaluation"]["forget_test_accuracy"] == 0
    made = open_model(tmp_path / "run" / "model.safetensors")
    assert made.card.facts["accuracy"] == result["after"]["test_accuracy"]
    assert made.card.facts["per_class"] == result["after"]["per_class"]
    assert made.card.facts["weights_digest"] == made.digest
    assert result["controls"]["retrain"]["params"]["lr"] == 0.05  # the card's own recipe
    chosen = {name: control["chosen"] for name, control in result["controls"].items()}
    assert chosen == {
        "mask_logit": "",
        "random_prune": "shared",
        "fine_tune": "shared",
        "retrain": "recommended",
    }
    assert result["images"] == {"retain": 80, "forget": 40, "test": 40, "test_forget": 20}
    assert result["size"]["after"]["parameters"] < result["size"]["before"]["parameters"]
    json.dumps(result)

    reopened = open_model(tmp_path / "run" / "model.safetensors")
    assert reopened.plan.reason["classes"] == ["green"]
    with np.load(tmp_path / "run" / "predictions_after.npz") as kept:
        right = kept["labels"] == kept["predicted"]
        assert right.mean() == pytest.approx(result["after"]["test_accuracy"])
    stats = load_stats(tmp_path / "run" / "stats_before.npz")
    assert stats.counts.tolist() == [40, 40, 40]


def test_the_same_request_gives_the_same_numbers(inputs, tmp_path):
    one, two = (ask(inputs, tmp_path / name, controls="none") for name in ("one", "two"))
    assert one["after"] == two["after"]
    assert one["plan"] == two["plan"]
    first, second = (open_model(tmp_path / name / "model.safetensors").digest for name in ("one", "two"))
    assert first == second


def test_a_resumed_run_goes_on_from_finished_parts(inputs, tmp_path):
    whole = ask(inputs, tmp_path / "whole", controls="fine_tune")

    def stop_in_control(progress):
        if progress.metrics.get("part") == "fine_tune":
            raise RunCancelled

    with pytest.raises(RunCancelled):
        ask(inputs, tmp_path / "cut", stop_in_control, controls="fine_tune")
    kept = (tmp_path / "cut" / "parts" / "tfidf_prune.json").read_bytes()
    resumed = ask(inputs, tmp_path / "cut", controls="fine_tune")
    assert (tmp_path / "cut" / "parts" / "tfidf_prune.json").read_bytes() == kept
    assert resumed["after"] == whole["after"]
    assert resumed["controls"]["fine_tune"]["evaluation"] == whole["controls"]["fine_tune"]["evaluation"]


def test_a_random_share(inputs, tmp_path):
    asked = {"forget": "", "fraction": 0.25, "method": "scrub", "share_seed": 5}
    controls = "mask_logit,reset_row,random_prune,fine_tune,gradient_ascent,untouched"
    result = ask(inputs, tmp_path / "run", **asked, controls=controls, params={"epochs": 1})
    assert result["images"]["forget"] == 30
    assert result["before"]["forget_test_accuracy"] is None
    # Everything but what acts on whole classes.
    assert set(result["controls"]) == {"fine_tune", "gradient_ascent", "untouched"}
    assert result["controls"]["untouched"]["evaluation"]["ua"] == result["before"]["ua"]
    assert result["ladder"][0]["forget_train_accuracy"] == 1 - result["before"]["ua"]
    assert result["ladder"][-1]["forget_train_accuracy"] == 1 - result["after"]["ua"]
    # Drawn as documented: the first quarter of a permutation by the seed.
    with np.load(tmp_path / "run" / result["forget"]["indices"], allow_pickle=False) as kept:
        assert kept["indices"].tolist() == sorted(np.random.default_rng(5).permutation(120)[:30].tolist())
        assert str(kept["digest"]) == result["forget"]["digest"]


@pytest.mark.parametrize(
    ("params", "settings", "chosen"),
    [
        ({}, {"controls": "none"}, "published"),
        ({"lr": 0.02}, {"controls": "none"}, "by hand"),
        ({"lr": 0.02}, {"controls": "none", "variants": 3}, "by hand"),
        ({"lr": 0.02}, {"controls": "retrain", "variants": 3}, "tuned"),
    ],
)
def test_the_result_says_how_its_settings_were_chosen(inputs, tmp_path, params, settings, chosen):
    result = ask(inputs, tmp_path / "run", method="gradient_ascent", params=params, **settings)
    assert result["chosen"] == chosen


def test_what_a_method_notes_of_its_result_is_among_the_notes(inputs, tmp_path):
    params = {"samples": 10, "alpha": 0.1}
    result = ask(inputs, tmp_path / "run", method="influence", params=params, controls="none")
    assert [note for note in result["notes"] if note.startswith("33 % of the training images")]
    params = {"epochs": 1, "max_epochs": 1, "rewind": True}
    asked = {"method": "scrub", "forget": "", "fraction": 0.2, "controls": "none"}
    result = ask(inputs, tmp_path / "share", params=params, **asked)
    assert any("test accuracy is not untouched" in note for note in result["notes"])


def test_beside_another_method_than_pruning_a_control_keeps_its_own_rate(inputs, tmp_path):
    result = ask(inputs, tmp_path / "run", method="boundary_shrink", params={}, controls="fine_tune")
    assert result["controls"]["fine_tune"]["params"]["lr"] == 0.01


@pytest.mark.parametrize(
    ("method", "controls"),
    [
        ("tfidf_prune", {"mask_logit", "random_prune", "fine_tune"}),
        ("gradient_ascent", {"mask_logit", "fine_tune"}),
    ],
)
def test_random_channels_stand_beside_pruning_only(inputs, tmp_path, method, controls):
    params = QUICK if method == "tfidf_prune" else {"epochs": 1}
    assert set(ask(inputs, tmp_path / "run", method=method, params=params)["controls"]) == controls


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"forget": "purple"}, "purple"),
        ({"forget": "red,green,blue"}, "retain|keep|left"),
        ({"forget": ""}, "class"),
        ({"method": "magic"}, "magic"),
        ({"controls": "magic"}, "magic"),
        ({"device": "tpu"}, "tpu"),
        ({"model": "nothing.pt"}, "nothing.pt"),
    ],
)
def test_bad_requests_are_sentences(inputs, tmp_path, settings, words):
    with pytest.raises(UnlearnError, match=words):
        ask(inputs, tmp_path / "run", **settings)


def test_unknown_settings_and_kinds_are_sentences(inputs, tmp_path):
    with pytest.raises(UnlearnError, match="Unknown setting 'rate'"):
        ask(inputs, tmp_path / "run", params={"rate": 1})
    with pytest.raises(UnlearnError, match="Unknown kind"):
        run_workflow("dance", {}, tmp_path, silent)


def test_a_pruned_model_forgets_another_class_and_reopens(inputs, tmp_path):
    ask(inputs, tmp_path / "one", controls="none")
    pruned = {**inputs, "model": str(tmp_path / "one" / "model.safetensors")}
    result = ask(pruned, tmp_path / "two", controls="retrain", forget="red")
    first, second = (open_model(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    sizes = {n: t.numel() for n, t in second.model.net.state_dict().items()}
    assert any(sizes[n] < t.numel() for n, t in first.model.net.state_dict().items())
    with np.load(tmp_path / "two" / "predictions_after.npz") as kept:
        right = kept["labels"] == kept["predicted"]
    assert right.mean() == pytest.approx(result["after"]["test_accuracy"])
    retrained = ask(
        pruned, tmp_path / "three", method="retrain", forget="red", controls="none", params={"epochs": 1}
    )
    again = open_model(tmp_path / "three" / "model.safetensors")
    assert again.digest != first.digest and retrained["after"]["classes"] == ["red", "green", "blue"]


def test_parts_of_another_model_are_not_taken_over(inputs, tmp_path, trained, colour_card):
    ask(inputs, tmp_path / "run", controls="none")
    other = {n: t + 0.01 if t.is_floating_point() else t for n, t in trained.net.state_dict().items()}
    changed = copy.deepcopy(trained)
    changed.net.load_state_dict(other)
    save_model(tmp_path / "model.safetensors", changed, colour_card)
    with pytest.raises(UnlearnError, match="have changed since this run began"):
        ask(inputs, tmp_path / "run", controls="none")


def test_a_pruned_model_is_trained_on_and_reopens(inputs, tmp_path):
    ask(inputs, tmp_path / "one", controls="none")
    (tmp_path / "more").mkdir()
    settings = {"data": inputs["data"], "init": str(tmp_path / "one" / "model.safetensors"), "device": "cpu"}
    recipe = {"epochs": 1, "batch_size": 20, "augment": "none"}
    run_workflow("train", {"settings": settings, "recipe": recipe}, tmp_path / "more", silent)
    assert open_model(tmp_path / "more" / "model.safetensors").plan is not None


def test_what_was_forgotten_stays_forgotten_over_requests(inputs, tmp_path):
    """Every later training leaves it out: another class, a random share, a sparse model, training, retraining."""

    def model_of(name):
        return str(tmp_path / name / "model.safetensors")

    ask(inputs, tmp_path / "one", controls="none")
    two = ask({**inputs, "model": model_of("one")}, tmp_path / "two", forget="blue", controls="retrain")
    assert two["after"]["forgotten_before"] == [1]
    assert two["images"] == {"retain": 40, "forget": 40, "test": 20, "test_forget": 20}
    assert two["after"]["retain_test_accuracy"] == two["after"]["per_class"][0]
    assert two["controls"]["retrain"]["evaluation"]["per_class"][1:] == [0, 0]
    assert any("Forgotten before" in note and "green" in note for note in two["notes"])
    assert any("test images of green, forgotten before" in note for note in two["notes"])

    share = {"forget": "", "fraction": 0.25, "method": "fine_tune", "controls": "none"}
    three = ask({**inputs, "model": model_of("two")}, tmp_path / "three", params={"epochs": 1}, **share)
    assert three["images"] == {"retain": 30, "forget": 10, "test": 20, "test_forget": 0}
    (tmp_path / "sparse").mkdir()
    sparsify = {"settings": {**inputs, "model": model_of("three")}, "params": {"epochs": 1, "rewind": "none"}}
    run_workflow("sparsify", sparsify, tmp_path / "sparse", silent)
    (tmp_path / "trained").mkdir()
    settings = {"data": inputs["data"], "init": model_of("three"), "device": "cpu"}
    run_workflow("train", {"settings": settings, "recipe": {"epochs": 1}}, tmp_path / "trained", silent)
    for name in ("three", "sparse", "trained"):
        opened = open_model(model_of(name))
        forgotten = forgotten_by(opened.card.facts)
        assert forgotten.classes == ("green", "blue")
        assert len(forgotten.images) == 10
    with pytest.raises(UnlearnError, match="stays forgotten"):
        ask({**inputs, "model": model_of("three")}, tmp_path / "again", forget="green")
