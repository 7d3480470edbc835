"""The training loop against PyTorch's own steps, and repeated bit for bit."""

import copy
import math

import pytest
import torch
from torch.nn import functional

from unlearn_core.data.sets import ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import NORMALIZATIONS, ModelSpec
from unlearn_core.models.training import Pass, _schedule, augment, batch_sizes, cross_entropy, fit, fit_passes
from unlearn_core.params import build
from unlearn_core.progress import RunCancelled

PLAIN = Recipe(epochs=2, lr=0.02, batch_size=32, augment="none", precision="float32")


def weights(model):
    return {name: t.clone() for name, t in model.state_dict().items()}


def test_takes_the_steps_that_pytorch_takes(trained, colours):
    ours, theirs = trained, copy.deepcopy(trained)
    fit(ours, colours.train, PLAIN, seed=3)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.02, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 8)
    generator = torch.Generator().manual_seed(3)
    theirs.train()
    for _ in range(2):
        for batch in torch.randperm(120, generator=generator).split(32):
            optimizer.zero_grad()
            functional.cross_entropy(
                theirs(colours.train.images[batch]), colours.train.labels[batch]
            ).backward()
            optimizer.step()
            schedule.step()
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_repeats_bit_for_bit(trained, colours, precision):
    recipe = build(Recipe, {"epochs": 1, "augment": "crop_flip", "precision": precision, "batch_size": 32})
    models = [copy.deepcopy(trained) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        fit(model, colours.train, recipe, seed=seed)
    same, again, other = (weights(m) for m in models)
    assert all(torch.equal(same[n], again[n]) for n in same)
    assert not all(torch.equal(same[n], other[n]) for n in same)


def test_global_random_state_and_modes_are_left_alone(trained, colours):
    state = torch.get_rng_state()
    fit(trained, colours.train, PLAIN, seed=0)
    assert torch.equal(state, torch.get_rng_state())
    assert not trained.training


def test_reports_every_batch_and_epoch(trained, colours):
    seen = []
    fit(trained, colours.train, PLAIN, seed=0, report=seen.append, after_epoch=lambda e: {"forget": e / 10})
    assert [(p.done, p.total) for p in seen] == [(i, 8) for i in range(1, 9)]
    assert [p.metrics["epoch"] for p in seen if "epoch" in p.metrics][-1] == 2
    assert seen[-1].metrics["forget"] == 0.2
    assert all(p.metrics["loss"] > 0 for p in seen)


def test_after_step_holds_weights(trained, colours):
    def hold():
        with torch.no_grad():
            trained.net.linear.weight[1] = 0

    fit(trained, colours.train, PLAIN, seed=0, after_step=hold)
    assert not trained.net.linear.weight[1].any()


def test_cancel_stops_between_batches_and_restores_modes(trained, colours):
    def report(progress):
        if progress.done == 3:
            raise RunCancelled

    with pytest.raises(RunCancelled):
        fit(trained, colours.train, PLAIN, seed=0, report=report)
    assert not trained.training


def test_divergence_is_a_sentence(trained, colours):
    recipe = build(
        Recipe, {"lr": 10, "epochs": 30, "schedule": "constant", "precision": "float32", "weight_decay": 1}
    )
    with pytest.raises(UnlearnError, match="learning rate 10 is too high"):
        fit(trained, colours.train, recipe, seed=0)


def test_no_images_is_a_sentence(trained, colours):
    with pytest.raises(UnlearnError, match="no images"):
        fit(trained, colours.train.select(torch.arange(0)), PLAIN, seed=0)


def test_each_image_is_shifted_on_its_own():
    image = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    image[:, :, 8, 8] = 255
    moved = augment(image.repeat(200, 1, 1, 1), "crop", torch.Generator().manual_seed(0))
    places = {tuple(p.tolist()) for p in moved[:, 0].nonzero()[:, 1:]}
    assert places == {(y, x) for y in range(6, 11) for x in range(6, 11)}
    assert (moved > 0).sum() == 600


def test_half_the_images_are_mirrored():
    image = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).repeat(400, 3, 1, 1)
    generator = torch.Generator().manual_seed(0)
    changed = augment(image, "crop_flip", generator)
    rising = (changed[:, 0, 8, 9].int() > changed[:, 0, 8, 7].int()).double().mean()
    assert 0.4 < rising < 0.6


def test_unknown_augmentation_is_refused():
    with pytest.raises(UnlearnError, match="cutout"):
        augment(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "cutout", torch.Generator())


@pytest.mark.parametrize(
    ("schedule", "first", "last"), [("cosine", 0.02, 0.0), ("constant", 0.02, 0.02), ("one_cycle", 0.01, 0.0)]
)
def test_schedules_begin_and_end_where_they_should(trained, colours, schedule, first, last):
    rates = []
    recipe = build(
        Recipe, {"epochs": 2, "lr": 0.02, "schedule": schedule, "batch_size": 24, "augment": "none"}
    )
    fit(trained, colours.train, recipe, seed=0, report=lambda p: rates.append(p.metrics["lr"]))
    assert rates[-1] == pytest.approx(last, abs=1e-3)
    assert max(rates) <= 0.02 + 1e-9
    assert rates[0] == pytest.approx(first, rel=1.1)


def test_passes_of_an_epoch_follow_each_other_with_their_own_size_and_loss(trained, colours):
    seen = []

    def recording(name):
        def loss(model, images, labels):
            seen.append((name, len(images)))
            return functional.cross_entropy(model(images), labels)

        return loss

    rates, reports = [], []
    few, more = colours.train.select(torch.arange(10)), colours.train.select(torch.arange(10, 60))
    first = Pass(few, recording("few"), 4, rates.append)
    epochs = [[first, Pass(more, recording("more"))], [Pass(more, recording("more"))]]
    fit_passes(trained, epochs, PLAIN, seed=0, report=reports.append)
    assert seen == [("few", 4), ("few", 4), ("few", 2)] + 2 * [("more", 32), ("more", 18)]
    assert [(r.done, r.total) for r in reports] == [(k, 7) for k in range(1, 8)]
    assert rates == pytest.approx([0.01 * (1 + math.cos(math.pi * k / 7)) for k in range(3)], rel=1e-4)


def test_frozen_batch_norms_normalise_by_statistics_that_stay(trained, colours):
    recipe = build(Recipe, {"epochs": 1, "freeze_bn": True, "augment": "none"})
    before = {n: b.clone() for n, b in trained.named_buffers()}
    modes = []
    fit(
        trained,
        colours.train,
        recipe,
        seed=0,
        after_step=lambda: modes.append((trained.net.training, trained.net.bn1.training)),
    )
    assert set(modes) == {(True, False)}
    assert all(torch.equal(before[n], b) for n, b in trained.named_buffers())


def test_adam_takes_pytorchs_steps(trained, colours):
    theirs = copy.deepcopy(trained)
    recipe = build(
        Recipe,
        {
            "lr": 1e-3,
            "batch_size": 120,
            "augment": "none",
            "schedule": "constant",
            "precision": "float32",
            "weight_decay": 0,
        },
    )
    fit_passes(trained, [[Pass(colours.train, cross_entropy)]], recipe, seed=0, optimizer="adam")
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-3)
    theirs.train()
    functional.cross_entropy(theirs(colours.train.images), colours.train.labels).backward()
    optimizer.step()
    # The first step of Adam is the rate times the gradient's sign, whose sign is a matter of rounding near zero.
    for ours, p in zip(trained.parameters(), theirs.parameters(), strict=True):
        assert (ours - p).abs().mean() < 1e-4


def test_a_loss_that_blows_up_stops_with_a_sentence(trained, colours):
    huge = Pass(colours.train, lambda model, images, labels: -1e5 * cross_entropy(model, images, labels))
    recipe = build(Recipe, {"lr": 0.1, "batch_size": 120, "momentum": 0})
    with pytest.raises(UnlearnError, match=r"has grown to -.* in epoch 2; the learning rate 0.1 is too high"):
        fit_passes(trained, [[huge], [huge]], recipe, seed=0)


def test_a_pass_without_images_is_refused(trained, colours):
    nothing = Pass(colours.train.select(torch.arange(0)), cross_entropy)
    with pytest.raises(UnlearnError, match="no images to train on"):
        fit_passes(trained, [[nothing]], PLAIN, seed=0)


def test_multistep_takes_a_tenth_after_the_published_shares_of_the_course():
    """Of 182 epochs, 91 at the full rate, 45 at a tenth, 46 at a hundredth: as torch's own MultiStepLR."""
    factor = _schedule(build(Recipe, {"schedule": "multistep"}), 182)
    weight = torch.nn.Parameter(torch.zeros(1))
    descent = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.MultiStepLR(descent, [91, 136], gamma=0.1)
    for epoch in range(182):
        assert factor(epoch) == pytest.approx(theirs.get_last_lr()[0])
        descent.step()
        theirs.step()


def test_multistep_of_a_short_course_still_falls_twice():
    factor = _schedule(build(Recipe, {"schedule": "multistep"}), 8)
    assert [round(factor(step), 3) for step in range(8)] == [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]


@pytest.mark.parametrize("arch", ["resnet18", "resnet50", "mobilenet_v2", "densenet121"])
def test_nets_with_one_pixel_left_train_where_one_image_is_left_over(arch):
    model = Classifier(build_net(ModelSpec(arch, 3)), NORMALIZATIONS["none"])
    images = ImageSet(
        torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8), torch.arange(9) % 3, torch.arange(9)
    )
    fit(model, images, Recipe(epochs=1, batch_size=8, lr=0.001, precision="float32"), seed=0)
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [
        (256, 128, [128, 128]),
        (257, 128, [128, 129]),
        (258, 128, [128, 128, 2]),
        (129, 128, [129]),
        (3, 1, [1, 1, 1]),
        (1, 128, [1]),
        (0, 128, []),
    ],
)
def test_no_image_is_left_over_alone(count, size, sizes):
    assert batch_sizes(count, size) == sizes
