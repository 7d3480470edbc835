"""What a model was made to forget: kept on its card, and left out of everything that it is trained on later."""

import pytest
import torch

from unlearn_core.data.forgotten import Forgotten, forgotten_by, to_facts
from unlearn_core.data.leaving_out import forgotten_in, leave_out, marks
from unlearn_core.data.sets import hashes_of
from unlearn_core.data.split import ForgetSpec, everything, split_dataset
from unlearn_core.errors import UnlearnError


def test_a_card_gives_back_what_was_put_on_it(colours):
    split = split_dataset(colours, ForgetSpec(fraction=0.1))
    both = Forgotten(("green",)) | forgotten_in(split)
    assert len(both.images) == len(split.forget) == 12
    assert forgotten_by(to_facts(both)) == both
    assert to_facts(Forgotten()) == {}
    assert forgotten_by({}) == Forgotten()


def test_an_older_card_says_that_more_is_not_known():
    older = forgotten_by({"forgot": ["green"], "unlearned_from": "ab"})
    assert older.classes == ("green",)
    assert "isn't known" in older.sentence()
    assert "isn't known" in forgotten_by({"forgot": [], "unlearned_from": "ab"}).sentence()


@pytest.mark.parametrize("entry", [{}, {"classes": [], "images": "AAAA"}, {"classes": 3, "images": ""}, 7])
def test_a_list_that_cannot_be_read_is_refused(entry):
    with pytest.raises(UnlearnError, match="can't be read"):
        forgotten_by({"forgotten": entry})


def test_images_are_known_again_wherever_they_stand(colours):
    shuffled = colours.train.select(torch.randperm(120, generator=torch.Generator().manual_seed(1)))
    three = frozenset(hashes_of(colours.train)[:3])
    found = shuffled.indices[marks(shuffled, Forgotten(images=three), colours.classes)]
    assert sorted(found.tolist()) == [0, 1, 2]


def test_later_training_leaves_out_what_was_forgotten(colours):
    left = leave_out(colours, Forgotten(("green",)))
    assert (left.train.labels == 1).sum() == 0
    assert len(left.test) == len(colours.test)
    split = split_dataset(left, ForgetSpec(("blue",)))
    assert set(split.retain.labels.tolist()) == {0}
    assert set(split.forget.labels.tolist()) == set(split.test_forget.labels.tolist()) == {2}
    assert set(split.test.labels.tolist()) == {0}
    assert set(split.test_before.labels.tolist()) == {1}
    whole = everything(left)
    assert set(whole.retain.labels.tolist()) == set(whole.test.labels.tolist()) == {0, 2}
    assert any("green" in note for note in left.notes)


def test_what_was_forgotten_before_makes_another_split_of_the_same_request(colours):
    first, second = (
        split_dataset(data, ForgetSpec(("blue",)))
        for data in (colours, leave_out(colours, Forgotten(("green",))))
    )
    assert first.digest != second.digest


def test_a_class_is_not_forgotten_twice_and_one_is_always_left(colours):
    left = leave_out(colours, Forgotten(("green",)))
    with pytest.raises(UnlearnError, match="forget green before"):
        split_dataset(left, ForgetSpec(("green",)))
    with pytest.raises(UnlearnError, match="leave at least one"):
        split_dataset(left, ForgetSpec(("red", "blue")))
