import pytest
import torch

from unlearn_core.checkpoints.state_dicts import choose
from unlearn_core.errors import UnlearnError

PLAIN = {"conv.weight": torch.ones(2), "conv.bias": torch.zeros(1)}
OTHER = {"conv.weight": torch.full((2,), 5.0), "conv.bias": torch.ones(1)}


def prefixed(prefix, tensors=PLAIN):
    return {prefix + name: tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("loaded", "words"),
    [
        (PLAIN, ""),
        ({**PLAIN, "epoch": 3}, ""),
        ({"state_dict": PLAIN, "epoch": 3}, "part 'state_dict'"),
        ({"model_state_dict": PLAIN, "optimizer": {"state": {}}}, "part 'model_state_dict'"),
        ({"model": PLAIN}, "part 'model'"),
        ({"net": PLAIN, "acc": 93.1}, "part 'net'"),
        ({"params": PLAIN}, "part 'params'"),
        ({"model": {"state_dict": PLAIN}}, "part 'model.state_dict'"),
        ({"ema": PLAIN}, "part 'ema'"),
        ({"state_dict_ema": PLAIN}, "part 'state_dict_ema'"),
        (prefixed("module."), "prefix 'module.' taken off"),
        (prefixed("_orig_mod.module."), "prefix '_orig_mod.module.' taken off"),
        ({"state_dict": prefixed("model.")}, "part 'state_dict'; prefix 'model.' taken off"),
        ({"n_averaged": torch.tensor(4), **prefixed("module.")}, "prefix 'module.' taken off"),
        ({"model": PLAIN, "ema": OTHER}, "part 'model'; the file also holds ema"),
    ],
)
def test_the_models_tensors_are_found_and_it_is_said_where(loaded, words):
    choice = choose(loaded)
    assert choice.words == words
    assert choice.tensors.keys() == PLAIN.keys()
    assert all(torch.equal(choice.tensors[name], PLAIN[name]) for name in PLAIN)


def test_a_person_can_take_the_average():
    choice = choose({"model": PLAIN, "model_ema": OTHER}, "model_ema")
    assert choice.candidates == ("model", "model_ema")
    assert torch.equal(choice.tensors["conv.weight"], OTHER["conv.weight"])


def test_several_models_are_left_to_the_person():
    with pytest.raises(UnlearnError, match="several models .*model, net"):
        choose({"model": PLAIN, "net": OTHER})
    assert torch.equal(choose({"model": PLAIN, "net": OTHER}, "net").tensors["conv.bias"], OTHER["conv.bias"])


@pytest.mark.parametrize(
    ("loaded", "words"),
    [
        ({}, "an empty dictionary"),
        ({"epoch": 3, "lr": 0.1}, "keys 'epoch', 'lr'"),
        ([torch.ones(1)], "a list"),
        (torch.ones(3), "a Tensor"),
        (None, "a NoneType"),
    ],
)
def test_what_else_a_file_holds_is_described(loaded, words):
    with pytest.raises(UnlearnError, match=words):
        choose(loaded)


def test_a_part_that_is_not_there():
    with pytest.raises(UnlearnError, match="'ema'.*choose one of: model"):
        choose({"model": PLAIN}, "ema")


def test_a_prefix_that_not_all_names_have_stays():
    mixed = {**prefixed("module."), "head.weight": torch.ones(1)}
    assert choose(mixed).tensors.keys() == mixed.keys()
