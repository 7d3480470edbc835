"""SCRUB: the divergence's direction, its formula, and which epoch rewinding takes."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from unlearn_core.data.sets import ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.models.inference import predict
from unlearn_core.params import build
from unlearn_core.unlearning.gradients import flat
from unlearn_core.unlearning.methods.scrub import ScrubParams
from unlearn_core.unlearning.scrub import kl, passes, run, weighted_error

QUICK = {
    "epochs": 3,
    "batch_size": 20,
    "lr": 0.01,
    "augment": "none",
    "precision": "float32",
    "alpha": 0.5,
}


def test_kl_is_of_the_teacher_from_the_student_by_hand():
    teacher, student = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[0.1, 0.2, 0.7]])
    by_hand = 0.7 * math.log(7) + 0.1 * math.log(1 / 7)
    assert kl(teacher.log(), student.log(), 1.0).item() == pytest.approx(by_hand)
    # Not symmetric: a student that never says what the teacher may say is far away; the other way round it is not.
    sure, open_ = torch.tensor([[0.98, 0.01, 0.01]]).log(), torch.tensor([[0.4, 0.3, 0.3]]).log()
    assert kl(open_, sure, 1.0) > 1.5 * kl(sure, open_, 1.0)
    softened = torch.softmax(teacher.log() / 2, 1), torch.softmax(student.log() / 2, 1)
    expected = 4 * (softened[0] * (softened[0] / softened[1]).log()).sum()
    assert kl(teacher.log(), student.log(), 2.0).item() == pytest.approx(expected.item(), rel=1e-5)


def test_leaves_the_teacher_on_the_forget_set_and_stays_on_the_retain_set(trained, task_of):
    task, teacher = task_of(), copy.deepcopy(trained)
    run(trained, build(ScrubParams, QUICK), task)

    def away(images):
        return kl(predict(teacher, images.images), predict(trained, images.images), 1.0).item()

    assert away(task.split.forget) > 3 * away(task.split.retain)


def test_the_first_passes_lower_what_the_later_raise(trained, task_of):
    task = task_of()
    epochs = passes(trained, build(ScrubParams, {**QUICK, "max_epochs": 2}), task)
    assert [len(e) for e in epochs] == [2, 2, 1]
    away, back = epochs[0]
    images, labels = task.split.retain.images[:9], task.split.retain.labels[:9]
    student = copy.deepcopy(trained)
    with torch.no_grad():
        student.net.linear.weight *= 0.5
    divergence = kl(trained(images), student(images), 4.0)
    torch.testing.assert_close(away.loss(student, images, labels), -divergence)
    expected = 0.99 * torch.nn.functional.cross_entropy(student(images), labels) + 0.5 * divergence
    torch.testing.assert_close(back.loss(student, images, labels), expected)
    assert away.batch_size == 32


def test_rewinding_takes_the_epoch_nearest_to_the_error_on_unseen_images(trained, task_of):
    params = build(ScrubParams, {**QUICK, "rewind": True, "lr": 0.05})
    seen = []
    task = task_of(classes=(), fraction=0.3)
    task = replace(task, observe=lambda rung, model: seen.append(flat(model)) or {})
    facts = run(trained, params, task).facts["rewind"]
    gaps = [abs(e - facts["held_out_error"]) for e in facts["forget_errors"]]
    assert len(gaps) == 3 and gaps[facts["epoch"] - 1] == min(gaps)
    assert torch.equal(flat(trained), seen[facts["epoch"] - 1])


def test_errors_are_weighted_to_the_classes_of_the_forget_set():
    def images(labels):
        n = len(labels)
        return ImageSet(torch.zeros(n, 3, 2, 2, dtype=torch.uint8), torch.tensor(labels), torch.arange(n))

    wrong = torch.tensor([True, False, True, True, False, False])
    held_out = images(
        [0, 0, 1, 1, 1, 1]
    )  # half of class 0 and half of class 1 are wrong; class 2 isn't there
    assert weighted_error(wrong, held_out, images([0, 1, 2]), 3) == pytest.approx(0.5)
    wrong = torch.tensor([True, True, False, False, False, True])
    assert weighted_error(wrong, held_out, images([0, 0, 0, 1]), 3) == pytest.approx(0.75 + 0.25 * 0.25)


def test_rewinding_whole_classes_is_refused(trained, task_of):
    with pytest.raises(UnlearnError, match="turn rewind off"):
        run(trained, build(ScrubParams, {**QUICK, "rewind": True}), task_of())
