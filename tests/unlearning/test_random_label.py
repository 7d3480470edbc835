"""Random labels: what is drawn, when, and in which order it is learned."""

import torch

from unlearn_core.params import build
from unlearn_core.unlearning.methods.random_label import RandomLabelParams
from unlearn_core.unlearning.random_label import passes, wrong_labels


def labels_of(epochs, part=0):
    return [passes_[part].images.labels for passes_ in epochs]


def test_labels_are_uniform_over_the_other_classes_or_over_all():
    true = torch.zeros(30_000, dtype=torch.int64) + 2
    generator = torch.Generator().manual_seed(0)
    others = torch.bincount(wrong_labels(true, 4, generator, True), minlength=4) / 30_000
    everything = torch.bincount(wrong_labels(true, 4, generator, False), minlength=4) / 30_000
    torch.testing.assert_close(others, torch.tensor([1 / 3, 1 / 3, 0, 1 / 3]), atol=0.02, rtol=0)
    torch.testing.assert_close(everything, torch.full((4,), 0.25), atol=0.02, rtol=0)


def test_forget_set_then_retain_set_with_new_labels_in_every_epoch(task_of):
    task = task_of()
    epochs = passes(build(RandomLabelParams, {"epochs": 3}), task)
    drawn = labels_of(epochs)
    assert [len(e) for e in epochs] == [2, 2, 2]
    assert not torch.equal(drawn[0], drawn[1])
    assert all((d != task.split.forget.labels).all() for d in drawn)
    assert all(torch.equal(kept, task.split.retain.labels) for kept in labels_of(epochs, 1))


def test_both_sets_mixed_and_labels_drawn_once(task_of):
    task = task_of()
    epochs = passes(build(RandomLabelParams, {"epochs": 2, "order": "mixed", "relabel": "once"}), task)
    one, two = labels_of(epochs)
    forget = len(task.split.forget)
    assert [len(e) for e in epochs] == [1, 1] and torch.equal(one, two) and len(one) == 120
    assert (one[:forget] != task.split.forget.labels).all()
    assert torch.equal(one[forget:], task.split.retain.labels)
