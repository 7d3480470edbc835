"""What every unlearning method must keep, whatever it does."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from unlearn_core.data.sets import ImageSet
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.params import build, settings_of
from unlearn_core.progress import RunCancelled
from unlearn_core.sparsify.mask import SparseMask
from unlearn_core.unlearning.registry import METHODS, find_method

# Methods that take no step over batches have nothing to report.
INSTANT = {"untouched", "mask_logit", "reset_row"}
CLASS_WISE = {"tfidf_prune", "random_prune", "mask_logit", "reset_row"}


def small(method, **more):
    """The method's settings, short enough for a test."""
    wanted = {"epochs": 1, "batch_size": 32, "images_per_class": 20, "ratio": 0.2, "samples": 20, **more}
    return build(
        method.params, {s.name: wanted[s.name] for s in settings_of(method.params) if s.name in wanted}
    )


def half_mask(model):
    """A mask of half of each convolution's weights."""
    generator = torch.Generator().manual_seed(0)
    return SparseMask(
        {
            name: torch.rand(p.shape, generator=generator) < 0.5
            for name, p in model.net.named_parameters()
            if p.ndim == 4
        }
    )


def batches_seen(model):
    """How many batches each batch norm's statistics have followed."""
    return [int(m.num_batches_tracked) for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


def weights(model):
    return {n: t.clone() for n, t in model.net.state_dict().items()}


@pytest.fixture(params=METHODS.values(), ids=METHODS)
def method(request):
    return request.param


def test_repeats_bit_for_bit_and_leaves_no_trace(method, trained, colours, task_of):
    models = [copy.deepcopy(trained) for _ in range(2)]
    results = [method.run(m, small(method), task_of()).model for m in models]
    one, two = (weights(r) for r in results)
    assert all(torch.equal(one[n], two[n]) for n in one)
    for model in results:
        assert sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()) == 0
        assert not model.training
        assert model(colours.test.images).shape == (60, 3)
        assert torch.isfinite(model(colours.test.images)).all()


def test_reports_and_can_be_cancelled_at_the_first_report(method, trained, colours, task_of):
    if method.name in INSTANT:
        pytest.skip("takes no time")

    def report(progress):
        raise RunCancelled

    with pytest.raises(RunCancelled):
        method.run(trained, small(method), task_of(report))
    assert sum(len(m._forward_hooks) for m in trained.modules()) == 0


def test_says_what_it_is(method):
    assert method.about.endswith(".") and len(method.about) < 160
    assert method.control or (method.paper and method.link.startswith("https://"))
    assert all(s.help for s in settings_of(method.params))


def test_trains_on_the_retain_set_alone_where_it_says_so(method, trained, task_of, monkeypatch):
    seen, forward = [], Classifier.forward

    def watched(self, images):
        if self.training and torch.is_grad_enabled():
            seen.extend(image.numpy().tobytes() for image in images)
        return forward(self, images)

    monkeypatch.setattr(Classifier, "forward", watched)
    task = task_of()
    method.run(trained, small(method, augment="none"), task)
    forgotten = {image.numpy().tobytes() for image in task.split.forget.images}
    assert (bool(seen) and forgotten.isdisjoint(seen)) == method.retain_alone


def test_names_are_unique_and_unknown_ones_are_listed():
    assert [m.name for m in METHODS.values()] == list(METHODS)
    with pytest.raises(Exception, match="choose one of: tfidf_prune"):
        find_method("magic")


def test_forgets_a_random_share_or_says_why_not(method, trained, colours, task_of):
    task = task_of(classes=(), fraction=0.2)
    assert method.whole_classes == (method.name in CLASS_WISE)
    if method.whole_classes:
        with pytest.raises(UnlearnError, match="classes"):
            method.run(trained, small(method), task)
        return
    before = weights(trained)
    after = method.run(trained, small(method), task).model
    changed = any(not torch.equal(before[n], t) for n, t in after.net.state_dict().items())
    assert changed == (method.name != "untouched")
    assert after(colours.test.images).shape == (60, 3)


def test_a_sparse_model_stays_sparse_while_it_runs(method, trained, task_of):
    mask = half_mask(trained)
    mask.enforce(trained.net)
    rungs = []

    def observe(rung, model):
        rungs.append(model)
        for name, p in model.net.named_parameters():
            if p.ndim == 4 and p.shape == mask.keep[name].shape:
                assert not p[~mask.keep[name]].any()
            elif p.ndim == 4:  # channels were cut out, and the mask with them
                assert 0.4 < (p == 0).float().mean() < 0.95
        return {}

    task = replace(task_of(), observe=observe, mask=mask)
    outcome = method.run(trained, small(method), task)
    observe("after", outcome.model)
    kept = [(p != 0).float().mean() for p in outcome.model.net.parameters() if p.ndim == 4]
    assert sum(kept) / len(kept) > 0.3  # the others are still there


def test_frozen_batch_norms_keep_their_statistics_and_the_result_says_so(method, trained, task_of):
    if "freeze_bn" not in {s.name for s in settings_of(method.params)} or method.name == "retrain":
        pytest.skip("touches no statistics, or starts anew")
    before = batches_seen(trained)
    outcomes = [
        method.run(copy.deepcopy(trained), small(method, freeze_bn=frozen), task_of())
        for frozen in (False, True)
    ]
    assert [o.facts["batch_norm_statistics"] for o in outcomes] == ["updated", "frozen"]
    assert batches_seen(outcomes[0].model) != before == batches_seen(outcomes[1].model)


@pytest.mark.parametrize(
    "batch_size",
    [39, 79, 1],
    ids=["one image to forget is left over", "one to keep is", "each goes alone"],
)
def test_no_remainder_ends_a_run(method, batch_size, colours, colour_card, task_of):
    """At 4 pixels the last stage has one pixel: a batch of one image has nothing to take a variance over."""
    task = task_of()
    tiny = {
        name: replace(part, images=part.images[:, :, ::4, ::4].contiguous())
        for name, part in vars(task.split).items()
        if isinstance(part, ImageSet)
    }
    task = replace(task, split=replace(task.split, **tiny))
    settings = {"batch_size": batch_size, "forget_batch_size": batch_size, "lr": 1e-6}
    model = task.fresh(0).eval()
    outcome = method.run(model, small(method, **settings), task)
    assert torch.isfinite(outcome.model(task.split.test.images)).all()
