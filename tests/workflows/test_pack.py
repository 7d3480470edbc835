"""The figures of the first page, computed again from the bundled models."""

import copy
from functools import cache, partial

import numpy as np
import pytest
import torch

from unlearn_core.channels.activations import collect
from unlearn_core.checkpoints import catalog
from unlearn_core.checkpoints.model_files import LoadedModel, fresh_like
from unlearn_core.data.sets import Dataset
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.intervals import Tally, within_noise
from unlearn_core.params import build
from unlearn_core.progress import silent
from unlearn_core.results import evaluation
from unlearn_core.results.result import Rung
from unlearn_core.store.files import read_json
from unlearn_core.unlearning.registry import find_method
from unlearn_core.unlearning.task import Task
from unlearn_core.workflows import pack
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.requests import Opening

BUNDLED = [name for name in catalog.models() if name.startswith("bundled:")]
# CIFAR-10 is not at hand everywhere; what is checked of its model needs no images.
ON_DIGITS = [name for name in BUNDLED if catalog.models()[name]["dataset"] == "digits"]
# A float32 sum in another order, on another processor, may turn one borderline image.
ONE_IMAGE = 1


@cache
def opened(reference: str) -> tuple[Dataset, LoadedModel]:
    return open_both(Opening(reference, "digits", device="cpu"), silent)


def test_every_bundled_model_is_in_the_pack_with_its_own_weights() -> None:
    models = pack.read_pack().models
    assert set(models) == set(BUNDLED)
    for name in BUNDLED:
        facts = catalog.models()[name]["facts"]
        assert models[name].model_digest == facts["weights_digest"]
        assert models[name].data_digest == facts["data_digest"]
        assert models[name].evaluation.test_accuracy == pytest.approx(facts["accuracy"], abs=2e-3)


@pytest.mark.parametrize("reference", ON_DIGITS)
def test_figures_of_a_model(reference: str) -> None:
    dataset, loaded = opened(reference)
    packed, figures = pack.read_pack().models[reference], pack.model_figures(loaded, dataset)
    for name in ("data", "data_digest", "model_digest", "train_images", "test_images"):
        assert getattr(packed, name) == figures[name]
    stored, again = np.array(packed.evaluation.confusion), np.array(figures["evaluation"]["confusion"])
    assert abs(stored - again).sum() <= 2 * ONE_IMAGE
    assert list(packed.evaluation.per_class_total) == figures["evaluation"]["per_class_total"]


@pytest.mark.parametrize("reference", ON_DIGITS)
def test_statistics_and_maps_of_a_model(reference: str) -> None:
    dataset, loaded = opened(reference)
    stored, again = pack.read_stats(reference), collect(loaded.model, dataset.train, dataset.classes)
    assert stored.layers == again.layers
    assert stored.counts.tolist() == again.counts.tolist()
    for layer in again.layers:
        np.testing.assert_allclose(stored.sums[layer], again.sums[layer], rtol=1e-4, atol=1e-3)
    maps, expected = pack.read_maps(reference), pack.model_maps(loaded, dataset, again.layers[-1])
    assert maps.layer == expected.layer
    assert (maps.images == expected.images).all()
    assert (maps.labels == dataset.test.labels[torch.from_numpy(maps.indices)].numpy()).all()
    np.testing.assert_allclose(maps.scale, expected.scale, rtol=1e-4)
    assert abs(maps.maps.astype(int) - expected.maps.astype(int)).max() <= 1


def test_first_page_opens_at_the_most_selective_channel() -> None:
    told = read_json(pack.folder() / "pack.json")
    for reference in ON_DIGITS:
        stats, entry = pack.read_stats(reference), told["models"][reference]
        means = stats.sums[stats.layers[-1]] / stats.counts[:, None]
        term = means / means.sum(axis=1, keepdims=True)
        above = (means >= means.mean(axis=0) * (1 - 1e-9)).sum(axis=0)
        scores = term * np.log((1 + len(means)) / (1 + above))
        k, channel = divmod(int(scores.argmax()), scores.shape[1])
        assert (entry["class"], entry["channel"]) == (stats.classes[k], channel)
    assert told["default_class"] == told["models"][told["default_model"]]["class"]


def test_stored_run_repeats() -> None:
    told, run = pack.read_pack(), pack.read_run()
    dataset, loaded = opened(told.default_model)
    split = split_dataset(dataset, ForgetSpec((told.default_class,)))
    assert run.forget.classes == (told.default_class,)
    assert (run.inputs.model_digest, run.inputs.data_digest) == (loaded.digest, dataset.digest)
    before = evaluation.tabulate(split, evaluation.test_predictions(loaded.model, split))
    assert abs(np.array(run.before.confusion) - np.array(before.confusion)).sum() <= 2 * ONE_IMAGE
    ladder: list[tuple[str, evaluation.Evaluation]] = []

    def observe(rung: str, model: torch.nn.Module) -> dict[str, float]:
        ladder.append((rung, evaluation.tabulate(split, evaluation.test_predictions(model, split))))
        return {}

    method = find_method(run.method)
    assert build(method.params, {}) == build(method.params, run.params), "not the default settings any more"
    task = Task(split, 0, silent, observe, lambda seed: loaded.model)
    outcome = method.run(copy.deepcopy(loaded.model), build(method.params, run.params), task)
    assert outcome.plan is not None
    assert run.plan is not None and outcome.plan.groups == run.plan.groups
    assert [rung for rung, _ in ladder] == [rung.rung for rung in run.ladder[1:]]
    _same(run.ladder[1], ladder[0][1], images=ONE_IMAGE)
    for stored, (_, tested) in zip(run.ladder[2:], ladder[1:], strict=True):
        _same(stored, tested)


@pytest.mark.parametrize("name", sorted(pack.read_run().controls))
def test_stored_controls_repeat(name: str) -> None:
    told, run = pack.read_pack(), pack.read_run()
    dataset, loaded = opened(told.default_model)
    split = split_dataset(dataset, ForgetSpec((told.default_class,)))
    method, control = find_method(name), run.controls[name]
    fresh = partial(fresh_like, loaded)
    task = Task(split, 0, silent, lambda rung, model: {}, fresh)
    outcome = method.run(copy.deepcopy(loaded.model), build(method.params, control.params), task)
    _same(
        control.evaluation,
        evaluation.tabulate(split, evaluation.test_predictions(outcome.model, split)),
    )


def _same(
    stored: Rung | evaluation.Evaluation, tested: evaluation.Evaluation, images: int | None = None
) -> None:
    """The same accuracy to so many images; where training came between, within the noise of the test set."""
    for forgotten, name in ((True, "forget_test_accuracy"), (False, "retain_test_accuracy")):
        tally = tested.group_tally(forgotten)
        then = Tally.nearest(getattr(stored, name), tally.total)
        if images is not None:
            assert abs(then.correct - tally.correct) <= images
        assert within_noise(then, tally)


def test_pack_is_small() -> None:
    assert sum(path.stat().st_size for path in pack.folder().rglob("*") if path.is_file()) < 3_000_000


def test_missing_pack_names_the_command(tmp_path: "pytest.TempPathFactory") -> None:
    with pytest.raises(Exception, match="python -m unlearn_core pack"):
        pack.read_pack(tmp_path)  # type: ignore[arg-type]
