"""Bad Teacher: which teacher answers for which image, and that both are heard."""

import copy

import torch

from unlearn_core.models.inference import predict
from unlearn_core.params import build
from unlearn_core.unlearning.bad_teacher import lesson, run
from unlearn_core.unlearning.methods.bad_teacher import BadTeacherParams
from unlearn_core.unlearning.scrub import kl
from unlearn_core.unlearning.steps import frozen_copy


def test_the_ignorant_teacher_answers_for_what_is_to_be_forgotten_only(trained, colours):
    images = colours.train.images[:6]
    ignorant = frozen_copy(trained)
    with torch.no_grad():
        ignorant.net.linear.weight.zero_()
        ignorant.net.linear.bias.zero_()
    student = copy.deepcopy(trained)
    with torch.no_grad():
        student.net.linear.weight *= 0.7
    loss = lesson(trained, ignorant, 1.0)
    flags = torch.tensor([1, 0, 0, 1, 0, 0])
    forget, keep = flags == 1, flags == 0
    uniform = kl(torch.zeros(2, 3), student(images[forget]), 1.0)
    original = kl(trained(images[keep]), student(images[keep]), 1.0)
    torch.testing.assert_close(loss(student, images, flags), (2 * uniform + 4 * original) / 6)
    assert loss(copy.deepcopy(trained), images, torch.zeros(6, dtype=torch.int64)).item() < 1e-6


def test_forget_images_lose_their_class_and_the_others_keep_it(trained, task_of):
    task = task_of()
    quick = {"epochs": 15, "lr": 3e-3, "batch_size": 20, "augment": "none", "retain_share": 0.5}
    outcome = run(trained, build(BadTeacherParams, {**quick, "precision": "float32"}), task)
    assert outcome.facts["retain_images"] == 40

    def confidence(images):
        chances = predict(trained, images.images).softmax(1)
        return chances[torch.arange(len(images)), images.labels].mean().item()

    assert confidence(task.split.forget) + 0.2 < confidence(task.split.retain)


def test_the_ignorant_teacher_spreads_its_answers(task_of):
    """By each batch's own statistics; by its own, which are untrained, a new network is sure of one class."""
    task = task_of()

    def entropy(seed, training):
        chances = frozen_copy(task.fresh(seed)).train(training)(task.split.retain.images).softmax(1)
        return -(chances * (chances + 1e-12).log()).sum(1).mean().item()

    by_batch, by_itself = (sum(entropy(seed, mode) for seed in range(4)) for mode in (True, False))
    assert by_batch > 2 * by_itself
