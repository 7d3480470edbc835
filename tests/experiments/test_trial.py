"""Trials from the plain results of runs, and there and back as plain values."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.experiments.trial import ORIGINAL, Trial, from_plain, is_control, to_plain, trials_of
from unlearn_core.unlearning.registry import METHODS

RUN = "20260101T000000Z-abcdefghijklmnop"


def evaluation(ua: float) -> dict[str, Any]:
    return {
        "classes": ["a", "b"],
        "forget_classes": [1],
        "per_class": [0.9, 0.1],
        "per_class_total": [20, 20],
        "forget_test_accuracy": 0.1,
        "retain_test_accuracy": 0.9,
        "ua": ua,
        "ra": 0.99,
        "ta": 0.9,
        "mia": {"efficacy": 0.7, "privacy": 0.5, "loss_attack": 0.6},
    }


def result(**changes: Any) -> dict[str, Any]:
    near = {"js": {"test": 0.1}, "agreement": {"test": 0.8}}
    ladder = [
        {"rung": "original"},
        {"rung": "pruned", "seconds": 0.5},
        {"rung": "epoch 1", "seconds": 2.0, "retain_test_accuracy": 0.8},
    ]
    values = {
        "kind": "unlearn", "method": "tfidf_prune", "params": {"ratio": 0.2}, "chosen": "recommended", "seconds": 2.5,
        "before": evaluation(0.0), "after": evaluation(0.9), "ladder": ladder, "facts": {"channels": 3},
        "to_retrain": near, "before_to_retrain": None, "sparsity": None,
        "forget": {"classes": ["b"], "fraction": 0.0, "digest": "d"},
        "inputs": {"model": "net", "model_digest": "m", "arch": "vgg", "data": "digits", "data_digest": "i"},
        "controls": {
            "retrain": {"evaluation": evaluation(1.0), "seconds": 9.0, "ladder": ladder, "params": {"epochs": 3}, "facts": {}},
        },
    }  # fmt: skip
    return {**values, **changes}


REQUEST = {"settings": {"seed": 4}}


def test_a_run_gives_its_original_its_result_and_its_controls() -> None:
    before, after, retrain = trials_of(RUN, result(), REQUEST)
    assert [(t.part, t.method) for t in (before, after, retrain)] == [
        ("before", "original"),
        ("after", "tfidf_prune"),
        ("retrain", "retrain"),
    ]
    assert (after.ua, after.mia, after.mia_privacy, after.loss_attack) == (0.9, 0.7, 0.5, 0.6)
    assert (after.seconds, after.preparing, after.js, after.chosen) == (
        2.5,
        0.5,
        {"test": 0.1},
        "recommended",
    )
    assert (before.seconds, before.js, before.chosen) == (None, None, "")
    assert {t.seed for t in (before, after, retrain)} == {4}
    assert (after.course, retrain.course) == ((), ((2.0, 0.8),))


def test_there_and_back_through_json(trial: Callable[..., Trial]) -> None:
    for one in (*trials_of(RUN, result(), REQUEST), trial("retrain", course=((1.0, 0.5),))):
        assert from_plain(json.loads(json.dumps(to_plain(one)))) == one


@pytest.mark.parametrize("name", ["course", "sparsifying"])
def test_trials_without_what_was_not_noted_can_be_read(trial: Callable[..., Trial], name: str) -> None:
    old = to_plain(trial())
    del old[name]
    assert from_plain(old) == trial()


def test_a_sparse_model_belongs_to_the_dense_one_that_it_came_from() -> None:
    facts = {"sparsified_from": "dense", "sparsity": {"measured": 0.95, "method": "omp", "seconds": 7.0}}
    sparse = trials_of(RUN, result(), REQUEST, facts)[1]
    assert (sparse.base, sparse.sparsity, sparse.sparsifier, sparse.sparsifying) == (
        "dense",
        0.95,
        "omp",
        7.0,
    )
    again = trials_of(RUN, result(), REQUEST, {**facts, "unlearned_from": "x"})[1]
    assert again.base == "m", "what has forgotten something already is another model"
    assert trials_of(RUN, result(sparsity=0.9), REQUEST)[1].sparsity == 0.9


@pytest.mark.parametrize(
    ("without", "told"), [("d", "omp, strict"), ("another", "omp, strict for other images"), (None, "omp")]
)
def test_a_strict_mask_is_told_from_one_that_saw_the_forget_set(without: str | None, told: str) -> None:
    made = {"measured": 0.95, "method": "omp", "strict": without is not None}
    facts = {"sparsity": {**made, "forget": {"digest": without} if without else None}}
    assert {t.sparsifier for t in trials_of(RUN, result(), REQUEST, facts)} == {told}


def test_controls_are_told_from_methods() -> None:
    of_methods = {name for name in METHODS if is_control(name)}
    assert of_methods == {"untouched", "mask_logit", "reset_row", "random_prune"}
    assert is_control(ORIGINAL) and is_control("federated_random_prune")
    assert not is_control("retrain") and not is_control("of another version")


def test_a_stored_control_has_the_seed_that_it_was_made_with() -> None:
    """Beside runs of five seeds it would otherwise look like five models that agree to the last digit."""
    control = {**result()["controls"]["retrain"], "stored": True}
    stored = trials_of(RUN, result(controls={"retrain": control}), REQUEST)[-1]
    assert (stored.seed, stored.stored) == (0, "stored")
    assert trials_of(RUN, result(), REQUEST)[-1].stored == ""


def test_where_a_trial_was_measured(trial: Callable[..., Trial]) -> None:
    assert trial(source="digits-study").stored == "digits-study"
    assert trial().stored == ""


def test_a_federated_result_is_no_centralised_one() -> None:
    names = [
        t.method for t in trials_of(RUN, result(kind="federated", method="retrain", controls={}), REQUEST)
    ]
    assert names == ["original", "federated_retrain"]


def test_training_forgets_nothing_and_gives_no_trial() -> None:
    nothing = {"classes": [], "fraction": 0.0, "digest": "d"}
    assert trials_of(RUN, result(kind="federated", method="train", forget=nothing), REQUEST) == []


@pytest.mark.parametrize("missing", ["mia", "ta"])
def test_what_was_not_measured_is_none(missing: str) -> None:
    after = {k: v for k, v in evaluation(0.9).items() if k != missing}
    assert getattr(trials_of(RUN, result(after=after), REQUEST)[1], missing) is None


def test_a_result_of_another_version_is_told_with_a_sentence() -> None:
    old = {k: v for k, v in result().items() if k != "method"}
    with pytest.raises(UnlearnError, match=f"{RUN} was written by another version .*'method'"):
        trials_of(RUN, old, REQUEST)
