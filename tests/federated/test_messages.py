"""A network's numbers out of it and into another one of the same structure, and into no other."""

import numpy as np
import pytest
import torch
from torch import nn

from unlearn_core.errors import UnlearnError
from unlearn_core.federated.messages import load_state, state_of


def net(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
    made(torch.randn(5, 3, 8, 8))  # moves the statistics and the counter
    return made


def test_a_state_arrives_whole_though_it_can_only_be_read() -> None:
    given, taken = net(0), net(1)
    arrays = state_of(given)
    for values in arrays.values():
        values.flags.writeable = False
    load_state(taken, arrays)
    expected = given.state_dict()
    assert set(arrays) == set(expected)
    assert all(torch.equal(t, expected[name]) for name, t in taken.state_dict().items())
    with torch.no_grad():
        taken[0].weight.zero_()
    assert all(np.array_equal(arrays[name], t.numpy()) for name, t in expected.items())


@pytest.mark.parametrize(
    "changed",
    [
        {"0.weight": np.zeros((1, 3, 3, 3), np.float32)},  # would spread over all channels
        {"1.weight": np.float32(1.0)},
        {"2.weight": np.zeros(4, np.float32)},
        {"1.bias": None},
    ],
)
def test_another_networks_state_is_refused_untouched(changed: dict[str, np.ndarray | None]) -> None:
    ours = net(0)
    before = state_of(ours)
    arrays = {n: v for n, v in {**state_of(net(1)), **changed}.items() if v is not None}
    with pytest.raises(UnlearnError, match="another network's"):
        load_state(ours, arrays)
    assert all(np.array_equal(v, before[n]) for n, v in state_of(ours).items())
