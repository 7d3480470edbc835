"""TF-IDF pruning does what it says: prunes, stays pruned, forgets."""

import copy

import pytest
import torch

from unlearn_core.checkpoints.model_files import open_model
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.params import build
from unlearn_core.progress import silent
from unlearn_core.results.evaluation import predictions
from unlearn_core.sparsify.mask import SparseMask
from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams
from unlearn_core.unlearning.task import Task
from unlearn_core.unlearning.tfidf_prune import cut_mask, run, run_random, scoring_images

QUICK = {"images_per_class": 20, "epochs": 2, "batch_size": 20, "lr": 0.02, "augment": "none", "where": "all"}


def params(**values):
    return build(TfidfPruneParams, {**QUICK, **values})


def accuracy(model, images):
    return predictions(model, images).tally().share


def test_is_specific_to_the_class_where_random_channels_are_not():
    """On the bundled model: pruned by score, the class is gone; as many random channels leave it."""
    dataset = open_dataset(parse_dataset("digits"))
    loaded = open_model("bundled:digits-resnet20")
    split = split_dataset(dataset, ForgetSpec(("3",)))
    task = Task(split, 0, silent, lambda rung, model: {}, lambda seed: loaded.model)
    settings = build(TfidfPruneParams, {"where": "last_stage", "ratio": 0.2, "epochs": 0})
    assert accuracy(loaded.model, split.test_forget) > 0.9
    scored, drawn = (
        method(copy.deepcopy(loaded.model), settings, task).model for method in (run, run_random)
    )
    assert accuracy(scored, split.test_forget) < 0.1 < 0.6 < accuracy(drawn, split.test_forget)
    assert accuracy(scored, split.test) > 0.3


def test_shows_every_rung(trained, task_of):
    rungs = []
    outcome = run(trained, params(ratio=0.4), task_of(observed=rungs))
    assert rungs == ["pruned", "epoch 1", "epoch 2"]
    assert outcome.plan.reason["classes"] == ["green"]


def test_cut_channels_are_gone_and_silenced_ones_stay_silent(trained, task_of):
    outcome = run(trained, params(ratio=0.3), task_of())
    modules = dict(outcome.model.net.named_modules())
    for group in outcome.plan.groups:
        for layer in group.layers:
            kept = modules[layer]
            if group.removable:
                assert kept.out_channels == group.size - len(group.channels)
            else:
                assert not kept.weight[list(group.channels)].any()
    assert any(g.removable for g in outcome.plan.groups) and any(not g.removable for g in outcome.plan.groups)


def test_without_cutting_all_widths_stay(trained, task_of):
    outcome = run(trained, params(ratio=0.3, cut=False), task_of())
    assert not any(g.removable for g in outcome.plan.groups)
    assert outcome.model.net.linear.in_features == trained.net.linear.in_features


def test_random_control_prunes_as_many_but_others(trained, task_of):
    task = task_of()
    scored = run(copy.deepcopy(trained), params(epochs=0), task).plan
    random = run_random(copy.deepcopy(trained), params(epochs=0), task).plan
    assert scored.total == random.total
    assert scored.channels != random.channels


def test_several_classes_jointly_and_one_after_the_other(trained, task_of):
    task = task_of(classes=("green", "blue"))
    joint = run(copy.deepcopy(trained), params(epochs=0, combine="joint"), task).plan
    sequential = run(copy.deepcopy(trained), params(epochs=0, combine="sequential"), task).plan
    assert joint.reason["classes"] == sequential.reason["classes"] == ["green", "blue"]
    assert joint.total < sequential.total <= 2 * joint.total


def test_a_random_share_is_refused(trained, task_of):
    with pytest.raises(UnlearnError, match="whole classes"):
        run(trained, params(), task_of(classes=(), fraction=0.2))


def test_scoring_images_are_the_first_of_each_class(task_of):
    split = task_of().split
    scored = scoring_images(split, 5)
    assert torch.bincount(scored.labels).tolist() == [5, 5, 5]
    assert len(scoring_images(split, 0)) == 120


def test_scoring_images_are_the_same_whatever_is_to_be_forgotten(task_of):
    one, other = (scoring_images(task_of(classes=(name,)).split, 5) for name in ("green", "blue"))
    assert one.indices.tolist() == other.indices.tolist() == sorted(one.indices.tolist())
    assert torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


def test_the_mask_of_a_sparse_model_is_cut_with_its_channels(trained, task_of):
    generator = torch.Generator().manual_seed(0)
    weights = {n: p for n, p in trained.net.named_parameters() if p.ndim == 4}
    mask = SparseMask({n: torch.rand(p.shape, generator=generator) < 0.5 for n, p in weights.items()})
    outcome = run(trained, params(ratio=0.3, epochs=0, where="inner"), task_of())
    images = trained.prepare(task_of().split.retain.images[:2])
    cut = cut_mask(mask, trained.net, outcome.plan, images)
    for group in outcome.plan.groups:
        rows = [c for c in range(group.size) if c not in group.channels]
        first, second = f"{group.name}.weight", f"{group.name.replace('conv1', 'conv2')}.weight"
        assert torch.equal(cut.keep[first], mask.keep[first][rows])
        assert torch.equal(cut.keep[second], mask.keep[second][:, rows])
    cut.enforce(outcome.model.net)
