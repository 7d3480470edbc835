"""OMP's mask against numpy's own sorting, and its early weights against a training that stops there."""

import numpy as np
import pytest
import torch

from unlearn_core.errors import UnlearnError
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.training import fit
from unlearn_core.sparsify.omp import find

RECIPE = Recipe(epochs=3, lr=0.05, batch_size=40, augment="none", precision="float32")


def test_keeps_the_largest_weights_of_all_layers_together(quick, sparse_task, conv_weights_of):
    task = sparse_task(quick("omp", rewind="none", sparsity=0.9))
    mask = find(quick("omp", rewind="none", sparsity=0.9), task).mask
    weights = conv_weights_of(task.model.net)
    everything = np.concatenate([w.numpy().ravel() for w in weights.values()])
    smallest_kept = np.sort(np.abs(everything))[::-1][round(0.1 * len(everything)) - 1]
    assert set(mask.keep) == set(weights)
    for name, w in weights.items():
        assert np.array_equal(mask.keep[name].numpy(), np.abs(w.numpy()) >= smallest_kept)
    assert mask.sparsity() == pytest.approx(0.9, abs=1e-4)


def test_goes_back_to_the_weights_that_the_recipe_had_then(quick, sparse_task, colours):
    params = quick("omp", rewind_epoch=1)
    task = sparse_task(params, recorded=(RECIPE, 7))
    assert task.origin.given
    found = find(params, task)
    early, seen = task.fresh(7), {}

    def look(epoch):
        seen[epoch] = {n: t.clone() for n, t in early.net.state_dict().items()}
        return {}

    fit(early, colours.train, RECIPE, seed=7, after_epoch=look)
    assert all(torch.equal(found.start[n], t) for n, t in seen[1].items())


def test_init_goes_back_to_the_initial_weights(quick, sparse_task):
    params = quick("omp", rewind="init")
    task = sparse_task(params, recorded=(RECIPE, 7))
    start = find(params, task).start
    assert all(torch.equal(start[n], t) for n, t in task.fresh(7).net.state_dict().items())


def test_trains_a_dense_model_where_nobody_knows_the_given_ones_past(quick, sparse_task, conv_weights_of):
    params = quick("omp", sparsity=0.5)
    task = sparse_task(params)
    found = find(params, task)
    assert found.facts["dense"] == "trained anew"
    given = torch.cat([w.abs().flatten() for w in conv_weights_of(task.model.net).values()])
    kept = torch.cat([k.flatten() for k in found.mask.keep.values()])
    assert not torch.equal(kept, given >= given.median())
    with pytest.raises(UnlearnError, match="dense = anew"):
        sparse_task(quick("omp", dense="given"))
    with pytest.raises(UnlearnError, match="earlier epoch"):
        find(quick("omp", rewind_epoch=9), sparse_task(quick("omp", rewind_epoch=9)))
