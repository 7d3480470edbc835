"""What is kept of a model's answers for attacks, against the probabilities themselves."""

import io

import numpy as np
import pytest

from unlearn_core.attacks import answers
from unlearn_core.attacks.answers import attack_order, modified_entropy
from unlearn_core.errors import UnlearnError
from unlearn_core.results.evaluation import Predictions


@pytest.fixture
def stored(predictions):
    """What a file gives back of the parts that are given; the others are empty."""

    def written(path, **parts):
        every = {name: parts.get(name, predictions(0)) for name in answers.PARTS}
        file = io.BytesIO()
        np.savez_compressed(file, **answers.arrays_of(every))
        path.write_bytes(file.getvalue())
        return answers.load_answers(path)

    return written


def test_margin_and_entropy_are_those_of_the_probabilities(predictions) -> None:
    given = predictions(200)
    part = answers.part_answers(given)
    own = given.confidence
    assert part.margin == pytest.approx(np.log(own / (1 - own)), rel=1e-3, abs=1e-3)
    assert part.entropy == pytest.approx(modified_entropy(given.chances.astype(float), given.labels))


def test_answers_that_round_to_one_are_still_told_apart() -> None:
    chances = np.array([[1.0, 1e-9], [1.0, 1e-12], [1e-30, 1.0], [1.0, 0.0]], dtype=np.float32)
    labels = np.array([0, 0, 0, 0])
    part = answers.part_answers(
        Predictions(np.arange(4), labels, chances.argmax(1), chances[:, 0].astype(float), chances)
    )
    assert part.margin[0] < part.margin[1] < part.margin[3]
    assert part.margin[1] == pytest.approx(12 * np.log(10), rel=1e-4)
    assert np.isfinite(part.margin).all()


def test_a_file_gives_back_what_was_kept(tmp_path, predictions, stored) -> None:
    parts = {name: predictions(30 + i, seed=i) for i, name in enumerate(answers.PARTS)}
    again = stored(tmp_path / "a.npz", **parts)
    for name in ("forget", "test", "test_forget"):
        given = parts[name]
        assert again[name].indices.tolist() == given.indices.tolist()
        assert again[name].labels.tolist() == given.labels.tolist()
        assert again[name].predicted.tolist() == given.predicted.tolist()
        assert again[name].margin == pytest.approx(answers.part_answers(given).margin, rel=1e-6)


def test_of_many_retained_images_the_first_of_the_attack_are_kept(
    tmp_path, monkeypatch, predictions, stored
) -> None:
    monkeypatch.setattr(answers, "MOST_RETAINED", 10)
    given = predictions(60, labels=np.repeat([0, 1, 2, 3], 15))
    again = stored(tmp_path / "a.npz", retain=given)
    first = attack_order(given.labels)[:10]
    assert again["retain"].indices.tolist() == given.indices[first].tolist()
    assert set(again["retain"].labels.tolist()) == {0, 1, 2, 3}


def test_a_file_of_something_else_is_refused(tmp_path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, other=np.zeros(3))
    with pytest.raises(UnlearnError, match="start the run again"):
        answers.load_answers(path)
    path.write_bytes(b"no arrays")
    with pytest.raises(UnlearnError, match="a.npz"):
        answers.load_answers(path)


def test_modified_entropy_by_hand():
    chances = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    labels = np.array([0, 2, 0, 1])
    by_hand = [
        0.3 * 0.356675 + 0.2 * 0.223144 + 0.1 * 0.105361,
        0.9 * 2.302585 + 0.7 * 1.203973 + 0.2 * 0.223144,
        0.0,
        0.5 * 0.693147 + 0.5 * 0.693147,
    ]
    assert modified_entropy(chances, labels) == pytest.approx(by_hand, abs=1e-5)
    wrong = modified_entropy(np.array([[1.0, 0.0]]), np.array([1]))
    assert np.isfinite(wrong).all() and wrong[0] > 100


def test_modified_entropy_of_a_row_knows_nothing_of_the_others():
    """What the released code gets wrong."""
    rng = np.random.default_rng(0)
    chances, labels = rng.dirichlet(np.ones(5), 40), rng.integers(0, 5, 40)
    alone = [modified_entropy(chances[i : i + 1], labels[i : i + 1])[0] for i in range(40)]
    assert modified_entropy(chances, labels) == pytest.approx(alone)


def test_images_that_lie_class_by_class_are_taken_in_turn():
    assert attack_order(np.array([2, 0, 1, 0])).tolist() == [0, 1, 2, 3]
    assert attack_order(np.array([0, 0, 0, 1, 2, 2])).tolist() == [0, 3, 4, 1, 5, 2]
    assert attack_order(np.array([], dtype=np.int64)).tolist() == []
