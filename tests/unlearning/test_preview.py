"""The preview against an independent count, and against what a run really does."""

import copy

import numpy as np
import pytest
import torch

from unlearn_core.channels.pruning import PlannedGroup, PruningPlan
from unlearn_core.data.sets import Dataset, ImageSet
from unlearn_core.data.spec import DatasetSpec
from unlearn_core.data.split import ForgetSpec, ForgetSplit, split_dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import ModelSpec, Normalization
from unlearn_core.progress import silent
from unlearn_core.unlearning import preview
from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams
from unlearn_core.unlearning.task import Task
from unlearn_core.unlearning.tfidf_prune import run

CLASSES = ("a", "b", "c")


def images(count: int, seed: int) -> ImageSet:
    """Noise with a different brightness for each class, so that channels differ between classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(CLASSES)
    pixels = torch.randint(0, 100, (count, 3, 8, 8), generator=generator) + 50 * labels[:, None, None, None]
    return ImageSet(pixels.to(torch.uint8), labels, torch.arange(count))


@pytest.fixture
def model() -> Classifier:
    torch.manual_seed(0)
    net = build_net(ModelSpec("cifar_resnet20_a", 3, width=0.25))
    return Classifier(net, Normalization("half", (0.5,) * 3, (0.2,) * 3)).eval()


@pytest.fixture
def split() -> ForgetSplit:
    dataset = Dataset(DatasetSpec("digits"), CLASSES, images(60, 1), images(30, 2), "00" * 32, ())
    return split_dataset(dataset, ForgetSpec(("b",)))


def state(model: Classifier) -> dict[str, torch.Tensor]:
    return copy.deepcopy(model.state_dict())


def same(before: dict[str, torch.Tensor], model: Classifier) -> bool:
    return all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_the_sample_is_stratified_and_the_same_every_time() -> None:
    labels = torch.tensor([0] * 50 + [1] * 5 + [2] * 45)
    pixels = torch.zeros(100, 3, 8, 8, dtype=torch.uint8)
    whole = ImageSet(pixels, labels, torch.arange(100))
    sample = preview.stratified_sample(whole, 3, size=30)
    assert torch.bincount(sample.labels).tolist() == [10, 5, 10]
    assert sample.indices.tolist() == preview.stratified_sample(whole, 3, size=30).indices.tolist()
    assert {0, 49, 55, 99} <= set(sample.indices.tolist())


def test_a_class_without_images_is_left_out_of_the_sample() -> None:
    whole = images(9, 0).select(torch.tensor([0, 3, 6]))
    assert torch.bincount(preview.stratified_sample(whole, 3).labels, minlength=3).tolist() == [3, 0, 0]


def test_confusion_counts_every_image_once(model: Classifier) -> None:
    sample = images(12, 3)
    counted = preview.confusion(model, sample, 3)
    expected = np.zeros((3, 3), int)
    with torch.inference_mode():
        for k in range(len(sample)):
            answer = int(model(sample.images[k : k + 1]).argmax())
            expected[int(sample.labels[k]), answer] += 1
    assert counted.tolist() == expected.tolist()


def test_the_masked_preview_is_the_pruned_model_of_the_run(model: Classifier, split: ForgetSplit) -> None:
    params = TfidfPruneParams(ratio=0.5, epochs=0)
    stats = preview.scoring_stats(model, split, params)
    plan = preview.planned(model, split, params, stats)
    sample = images(90, 4)
    shown = preview.masked_confusion(model, plan, sample, 3)
    task = Task(split, 0, silent, lambda rung, at: {}, lambda seed: model)
    outcome = run(copy.deepcopy(model), params, task)
    assert outcome.plan == plan
    assert shown.tolist() == preview.confusion(outcome.model, sample, 3).tolist()


def test_the_preview_follows_the_way_several_classes_are_combined(model: Classifier) -> None:
    dataset = Dataset(DatasetSpec("digits"), CLASSES, images(60, 1), images(30, 2), "00" * 32, ())
    both = split_dataset(dataset, ForgetSpec(("a", "b")))
    params = TfidfPruneParams(ratio=0.25, combine="sequential", epochs=0)
    plan = preview.planned(model, both, params, preview.scoring_stats(model, both, params))
    task = Task(both, 0, silent, lambda rung, at: {}, lambda seed: model)
    assert run(copy.deepcopy(model), params, task).plan == plan


def test_silencing_changes_the_answers_and_leaves_the_model_as_it_was(model: Classifier) -> None:
    before = state(model)
    sample = images(90, 5)
    size = dict(model.net.named_modules())["layer3.2.conv2"].out_channels
    groups = tuple(
        PlannedGroup(f"layer3.{b}.conv2", (f"layer3.{b}.conv2",), size, False, tuple(range(size - 1)))
        for b in range(3)
    )
    untouched = preview.confusion(model, sample, 3)
    masked = preview.masked_confusion(model, PruningPlan(groups), sample, 3)
    assert masked.sum() == untouched.sum() == 90
    assert masked.tolist() != untouched.tolist()
    assert same(before, model)
    assert not model.training


def test_the_model_is_as_it_was_after_a_fault(model: Classifier) -> None:
    before = state(model)
    plan = PruningPlan((PlannedGroup("conv1", ("conv1",), 4, False, (0, 1)),))

    def stop(progress: object) -> None:
        raise UnlearnError("stop")

    with pytest.raises(UnlearnError, match="stop"):
        preview.masked_confusion(model, plan, images(30, 6), 3, stop)
    assert same(before, model)
