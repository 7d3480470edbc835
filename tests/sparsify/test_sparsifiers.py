"""What every sparsifier must keep, whatever it ranks by."""

import pytest
import torch

from unlearn_core.errors import UnlearnError
from unlearn_core.params import settings_of
from unlearn_core.progress import RunCancelled, silent
from unlearn_core.sparsify.mask import overlap
from unlearn_core.sparsify.registry import SPARSIFIERS, find_sparsifier
from unlearn_core.sparsify.task import train_under

SHORT = {"omp": {}, "imp": {"rate": 0.6}, "synflow": {"rounds": 3}, "random": {}}


@pytest.fixture(params=SPARSIFIERS)
def name(request):
    return request.param


def test_finds_the_sparsity_asked_for_twice_alike(name, quick, sparse_task):
    params = quick(name, sparsity=0.8, epochs=1, **SHORT[name])
    one, two = (SPARSIFIERS[name].find(params, sparse_task(params)) for _ in range(2))
    assert one.mask.sparsity() == pytest.approx(0.8, abs=1e-3)
    assert overlap(one.mask, two.mask)["iou"] == 1.0
    assert all(torch.equal(one.start[n], two.start[n]) for n in one.start)


def test_only_those_that_say_so_depend_on_the_images(name, quick, sparse_task, colours):
    params = quick(name, sparsity=0.8, epochs=1, **SHORT[name])
    some = colours.train.select(torch.arange(60))
    masks = [
        SPARSIFIERS[name].find(params, sparse_task(params, images=i)).mask for i in (colours.train, some)
    ]
    assert (overlap(*masks)["iou"] < 1) == SPARSIFIERS[name].sees_data


def test_the_mask_holds_through_training(name, quick, sparse_task, colours):
    params = quick(name, sparsity=0.8, epochs=1, **SHORT[name])
    task = sparse_task(params)
    found = SPARSIFIERS[name].find(params, task)
    model = task.fresh(1)
    train_under(found.mask, found.start, model, colours.train, params, seed=0, report=silent)
    weights = dict(model.net.named_parameters())
    assert all(not weights[n].detach()[~keep].any() for n, keep in found.mask.keep.items())
    assert any((weights[n].detach() != found.start[n])[keep].any() for n, keep in found.mask.keep.items())
    assert not model.training


def test_can_be_cancelled(name, quick, sparse_task):
    if name == "random":
        pytest.skip("takes no time")

    def report(progress):
        raise RunCancelled

    params = quick(name, sparsity=0.8, epochs=1, **SHORT[name])
    with pytest.raises(RunCancelled):
        SPARSIFIERS[name].find(params, sparse_task(params, report=report))


def test_says_what_it_is(name):
    sparsifier = find_sparsifier(name)
    assert sparsifier.about.endswith(".") and len(sparsifier.about) < 160
    assert sparsifier.paper and sparsifier.link.startswith("https://")
    assert all(s.help for s in settings_of(sparsifier.params))
    with pytest.raises(UnlearnError, match="omp, imp, synflow, random"):
        find_sparsifier("magnitude")
