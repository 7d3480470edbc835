"""What is kept of a model's answers, the scores from it, and the sentence that opens the page."""

import io

import numpy as np
import pytest

from unlearn_core.attacks import audit
from unlearn_core.attacks.membership import attack_order, modified_entropy
from unlearn_core.attacks.threshold import attack, grid
from unlearn_core.errors import UnlearnError
from unlearn_core.results.evaluation import Predictions


def predictions(n, classes=4, seed=0, labels=None):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 4, (n, classes))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = rng.integers(0, classes, n) if labels is None else labels
    return Predictions(
        np.arange(n) + 100,
        labels,
        chances.argmax(1),
        chances[np.arange(n), labels],
        chances.astype(np.float32),
    )


def stored(path, **parts):
    nothing = predictions(0)
    given = {name: parts.get(name, nothing) for name in audit.PARTS}
    file = io.BytesIO()
    np.savez_compressed(file, **audit.arrays_of(given))
    path.write_bytes(file.getvalue())
    return audit.load_answers(path)


def test_margin_and_entropy_are_those_of_the_probabilities() -> None:
    given = predictions(200)
    part = audit.answered(given)
    own = given.confidence
    assert part.margin == pytest.approx(np.log(own / (1 - own)), rel=1e-3, abs=1e-3)
    assert part.entropy == pytest.approx(modified_entropy(given.chances.astype(float), given.labels))


def test_answers_that_round_to_one_are_still_told_apart() -> None:
    chances = np.array([[1.0, 1e-9], [1.0, 1e-12], [1e-30, 1.0], [1.0, 0.0]], dtype=np.float32)
    labels = np.array([0, 0, 0, 0])
    part = audit.answered(
        Predictions(np.arange(4), labels, chances.argmax(1), chances[:, 0].astype(float), chances)
    )
    assert part.margin[0] < part.margin[1] < part.margin[3]
    assert part.margin[1] == pytest.approx(12 * np.log(10), rel=1e-4)
    assert np.isfinite(part.margin).all()
    for score in audit.SCORES.values():
        values = score.of(part)
        assert np.isfinite(values).all()
        assert values[2] < values[0] <= values[1] <= values[3]


def test_a_file_gives_back_what_was_kept(tmp_path) -> None:
    parts = {name: predictions(30 + i, seed=i) for i, name in enumerate(audit.PARTS)}
    again = stored(tmp_path / "a.npz", **parts)
    for name in ("forget", "test", "test_forget"):
        given = parts[name]
        assert again[name].indices.tolist() == given.indices.tolist()
        assert again[name].labels.tolist() == given.labels.tolist()
        assert again[name].predicted.tolist() == given.predicted.tolist()
        assert again[name].margin == pytest.approx(audit.answered(given).margin, rel=1e-6)


def test_of_many_retained_images_the_first_of_the_attack_are_kept(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(audit, "MOST_RETAINED", 10)
    given = predictions(60, labels=np.repeat([0, 1, 2, 3], 15))
    again = stored(tmp_path / "a.npz", retain=given)
    first = attack_order(given.labels)[:10]
    assert again["retain"].indices.tolist() == given.indices[first].tolist()
    assert set(again["retain"].labels.tolist()) == {0, 1, 2, 3}


def test_a_file_of_something_else_is_refused(tmp_path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, other=np.zeros(3))
    with pytest.raises(UnlearnError, match="start the run again"):
        audit.load_answers(path)
    path.write_bytes(b"no arrays")
    with pytest.raises(UnlearnError, match="a.npz"):
        audit.load_answers(path)


def test_loss_decides_as_confidence_does_and_is_the_cross_entropy() -> None:
    part = audit.answered(predictions(300))
    confidence, loss = (audit.SCORES[name].of(part) for name in ("confidence", "loss"))
    assert np.argsort(confidence).tolist() == np.argsort(loss).tolist()
    assert 10**-loss == pytest.approx(-np.log(1 / (1 + np.exp(-part.margin))), rel=1e-6)


@pytest.mark.parametrize(
    ("margin", "told"),
    [
        (0.0, "50.0 %"),
        (np.log(0.99 / 0.01), "99.0 %"),
        (np.log(0.9999 / 0.0001), "99.990 %"),
        (np.log(0.0001 / 0.9999), "0.010 %"),
        (-800.0, "0.000000000000 %"),
    ],
)
def test_confidence_is_told_with_the_digits_that_matter(margin: float, told: str) -> None:
    assert audit.share_told(float(margin)) == told


@pytest.mark.parametrize("name", audit.SCORES)
@pytest.mark.parametrize("span", [(-7, 14), (0, 1), (-2, 9)])
def test_no_two_thresholds_of_a_slider_are_called_the_same(name: str, span: tuple[int, int]) -> None:
    for best in np.linspace(*span, 23):
        names = [audit.SCORES[name].told(t) for t in grid(*span, float(best))]
        assert len(set(names)) == len(names)


def test_a_class_is_told_apart_from_its_own_unseen_images_a_share_from_the_test_set(tmp_path) -> None:
    parts = {name: predictions(9) for name in audit.PARTS}
    by_class = audit.contests(stored(tmp_path / "a.npz", **parts))
    assert (by_class["forget"].members, by_class["forget"].others) == ("forget", "test_forget")
    del parts["test_forget"]
    by_share = audit.contests(stored(tmp_path / "b.npz", **parts))
    assert (by_share["forget"].others, by_share["retain"].others) == ("test", "test")
    del parts["forget"]
    assert set(audit.contests(stored(tmp_path / "c.npz", **parts))) == {"retain"}


def model(forget, unseen):
    """Answers whose margins are given."""

    def part(margin):
        none = np.zeros(len(margin), dtype=np.int64)
        return audit.PartAnswers(none, none, none, np.asarray(margin, dtype=float), np.ones(len(margin)))

    other = part(np.zeros(5))
    return {"forget": part(forget), "test_forget": part(unseen), "retain": other, "test": other}


def sentence(**models):
    contest = audit.contests(models["after"])["forget"]
    found = audit.standings(models, contest, audit.SCORES["confidence"])
    return found, audit.finding(found, "a training image of “3”", "an unseen one")


def normal(n, shift, seed):
    return np.random.default_rng(seed).normal(shift, 1, n)


def test_the_finding_says_that_a_trace_is_left_only_where_retraining_leaves_none() -> None:
    unseen = normal(300, 0, 1)
    known, blind = model(normal(300, 2, 0), unseen), model(normal(300, 0, 2), unseen)
    found, told = sentence(before=known, after=blind, retrain=model(normal(300, 0, 3), normal(300, 0, 4)))
    right = round(100 * found["after"].auc.estimate)
    assert found["after"].noise and not found["before"].noise
    assert f"tells which is which in {right} % of cases" in told
    assert "no difference beyond noise" in told
    assert f"Before it was {round(100 * found['before'].auc.estimate)} (95 % interval" in told
    found, told = sentence(before=known, after=known, retrain=blind)
    assert not found["after"].noise and "has left a trace" in told
    assert found["after"].gap is not None and found["after"].gap.low > 0.2


def test_the_finding_says_when_there_was_nothing_to_find_and_when_it_was_overdone() -> None:
    unseen = normal(300, 0, 1)
    blind, shy = model(normal(300, 0, 2), unseen), model(normal(300, -2, 0), unseen)
    assert "there was nothing for this attack to find" in sentence(before=blind, after=blind)[1]
    assert "that is no better than guessing" in sentence(before=blind, after=blind)[1]
    assert "less familiar than images that were never seen" in sentence(before=blind, after=shy)[1]


def test_one_retraining_that_strays_makes_no_trace() -> None:
    """After lies at guessing; only the retrained model happens to lie below it."""
    unseen = normal(400, 0, 1)
    after, strayed = model(normal(400, 0, 2), unseen), model(normal(400, -0.6, 2), unseen)
    found, told = sentence(before=after, after=after, retrain=strayed)
    assert found["after"].gap is not None and 0.0 not in found["after"].gap
    assert found["after"].noise and "no difference beyond noise" in told


def test_the_chart_spans_what_models_say_within_limits() -> None:
    one = model(np.full(100, -500.0), np.linspace(-3, 3, 100))
    assert audit.span([one], audit.SCORES["confidence"]) == (-16, 3)
    flat = model(np.full(50, 2.0), np.full(50, 2.0))
    flat = {**flat, "retain": flat["forget"], "test": flat["forget"]}
    low, high = audit.span([flat], audit.SCORES["confidence"])
    assert low < high


def test_staged_takes_the_two_groups() -> None:
    answers = model([1.0, 2.0], [0.5])
    contest = audit.contests(answers)["forget"]
    found = audit.staged(answers, contest, audit.SCORES["confidence"])
    assert found.largest == attack(np.array([1.0, 2.0]), np.array([0.5])).largest == 1.0
