"""Masks by hand, and against plain sorting."""

import copy

import numpy as np
import pytest
import torch

from unlearn_core.errors import UnlearnError
from unlearn_core.sparsify.mask import (
    SparseMask,
    count_to_keep,
    keep_highest,
    mask_from_tensors,
    mask_in,
    mask_of_zeros,
    overlap,
)


def masks(*rows):
    return [SparseMask({"a.weight": torch.tensor(row, dtype=torch.bool)}) for row in rows]


def test_sparsity_and_layers_by_hand():
    mask = SparseMask(
        {"a.weight": torch.tensor([True, False]), "b.c.weight": torch.tensor([[True] * 3, [False] * 3])}
    )
    assert mask.sparsity() == pytest.approx(4 / 8)
    assert mask.by_layer() == {
        "a": {"weights": 2, "kept": 1, "sparsity": 0.5},
        "b.c": {"weights": 6, "kept": 3, "sparsity": 0.5},
    }


def test_overlap_by_hand():
    one, two = masks([1, 1, 1, 0], [1, 1, 0, 1])
    measured = overlap(one, two)
    assert measured["iou"] == pytest.approx(2 / 4)
    assert measured["chance"] == pytest.approx(0.5625 / (0.75 + 0.75 - 0.5625))
    assert overlap(one, one)["iou"] == 1.0
    with pytest.raises(UnlearnError, match="different models"):
        overlap(one, SparseMask({"b.weight": one.keep["a.weight"]}))


def test_chance_is_what_independent_masks_share():
    generator = torch.Generator().manual_seed(0)
    one, two = (SparseMask({"w": torch.rand(200_000, generator=generator) < p}) for p in (0.1, 0.3))
    measured = overlap(one, two)
    assert measured["iou"] == pytest.approx(measured["chance"], abs=0.005)


def test_enforce_zeroes_what_is_gone_and_nothing_else(tiny_net):
    before = copy.deepcopy(tiny_net.state_dict())
    with torch.no_grad():
        tiny_net[0].weight[0, 0, 0, 0] = float("nan")  # a lost weight may be anything
    keep = torch.ones(3, 2, 3, 3, dtype=torch.bool)
    keep[0] = False
    SparseMask({"0.weight": keep}).enforce(tiny_net)
    after = tiny_net.state_dict()
    assert not after["0.weight"][0].any()
    assert torch.equal(after["0.weight"][1:], before["0.weight"][1:])
    assert all(torch.equal(after[n], before[n]) for n in before if n != "0.weight")
    with pytest.raises(UnlearnError, match="another model"):
        SparseMask({"0.weight": keep[:2]}).enforce(tiny_net)


def test_there_and_back_through_tensors():
    (mask,) = masks([1, 0, 1])
    stored = mask.to_tensors()
    assert stored["a.weight"].dtype == torch.uint8
    assert torch.equal(mask_from_tensors(stored).keep["a.weight"], mask.keep["a.weight"])
    with pytest.raises(UnlearnError, match="isn't a mask"):
        mask_from_tensors({"a.weight": torch.tensor([0, 2], dtype=torch.uint8)})


def test_zeros_mean_something_only_where_the_card_says_so(tiny_net):
    assert mask_in(tiny_net, {}) is None
    with torch.no_grad():
        tiny_net[3].weight[:, 1] = 0
    mask = mask_in(tiny_net, {"sparsity": {"measured": 1 / 6}})
    assert torch.equal(mask.keep["3.weight"], mask_of_zeros(tiny_net).keep["3.weight"])
    assert mask.sparsity() == pytest.approx(18 / (54 + 54))
    assert set(mask.keep) == {"0.weight", "3.weight"}  # the classifier isn't masked


def test_keeps_exactly_as_many_as_asked_with_ties_to_the_earlier():
    scores = {"a": torch.tensor([3.0, 1.0, 2.0]), "b": torch.tensor([[2.0, 2.0], [5.0, 0.0]])}
    for count in range(1, 8):
        mask = keep_highest(scores, count)
        flat = np.array([3, 1, 2, 2, 2, 5, 0])
        wanted = np.zeros(7, bool)
        wanted[np.argsort(-flat, kind="stable")[:count]] = True
        assert torch.cat([k.flatten() for k in mask.keep.values()]).tolist() == wanted.tolist()


def test_impossible_sparsities_are_refused():
    assert count_to_keep(1000, 0.95) == 50
    assert count_to_keep(10, 0.999) == 1
    for sparsity in (1.0, -0.1):
        with pytest.raises(UnlearnError, match="isn't possible"):
            count_to_keep(10, sparsity)
    with pytest.raises(UnlearnError, match="no number"):
        keep_highest({"a": torch.tensor([1.0, float("nan")])}, 1)
