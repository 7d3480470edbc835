"""Models on disk come back bit for bit, foreign ones are understood or refused with a sentence."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from unlearn_core.channels.pruning import PlannedGroup, PruningPlan
from unlearn_core.channels.surgery import channel_groups, mask_of, remove
from unlearn_core.checkpoints import catalog
from unlearn_core.checkpoints.model_files import (
    digest_of,
    fresh_model,
    import_model,
    open_model,
    save_model,
)
from unlearn_core.data.sets import Dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.models.specs import NORMALIZATIONS, ModelSpec, card_to_plain


def same(one, two):
    first, second = one.net.state_dict(), two.net.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_a_model_comes_back_bit_for_bit(trained, colour_card, tmp_path):
    save_model(tmp_path / "m.safetensors", trained, colour_card)
    loaded = open_model(tmp_path / "m.safetensors")
    assert same(loaded.model, trained)
    assert loaded.card == colour_card
    assert loaded.plan is None and not loaded.model.training


def test_a_pruned_model_comes_back_bit_for_bit_in_its_new_shape(trained, colour_card, colours, tmp_path):
    example = trained.prepare(colours.test.images[:2])
    groups = channel_groups(trained.net, example)[:6]
    plan = PruningPlan(tuple(PlannedGroup(g.name, g.layers, g.size, g.removable, (0, 3)) for g in groups))
    pruned = copy.deepcopy(trained)
    pruned.net = remove(trained.net, plan, example)
    save_model(tmp_path / "p.safetensors", pruned, colour_card, plan)
    loaded = open_model(tmp_path / "p.safetensors")
    assert same(loaded.model, pruned)
    assert loaded.plan.channels == plan.channels
    before = {n: t.clone() for n, t in loaded.model.net.state_dict().items()}
    mask_of(trained.net, plan, example, only_unremovable=True).enforce(loaded.model.net)
    assert all(torch.equal(before[n], t) for n, t in loaded.model.net.state_dict().items())


def test_the_digest_is_of_the_tensors_not_of_the_file(trained):
    tensors = trained.net.state_dict()
    again = {
        name: tensors[name].to(memory_format=torch.channels_last)
        if tensors[name].ndim == 4
        else tensors[name]
        for name in reversed(tensors)
    }
    assert digest_of(again) == digest_of(tensors)
    changed = {**tensors, "linear.bias": tensors["linear.bias"] + 1e-6}
    assert digest_of(changed) != digest_of(tensors)


def test_a_foreign_checkpoint_finds_its_normalisation(trained, colours, tmp_path):
    torch.save(
        {"state_dict": {f"module.{n}": t for n, t in trained.net.state_dict().items()}}, tmp_path / "f.pth"
    )
    loaded = open_model(tmp_path / "f.pth", colours)
    assert loaded.card.spec.arch == "cifar_resnet20_b" and loaded.card.spec.width == 0.5
    tried = loaded.card.facts["normalization_tried"]
    assert set(tried) == {*NORMALIZATIONS, "own"}
    assert tried[loaded.card.normalization.name] == max(tried.values())
    given = open_model(tmp_path / "f.pth", colours, normalize="0.5,0.5,0.5/0.25,0.25,0.25")
    assert given.card.normalization.mean == (0.5, 0.5, 0.5)
    assert given.notes == ()


def test_an_untrained_model_is_warned_of(colour_card, colours, tmp_path):
    save_file(fresh_model(colour_card, 0).net.state_dict(), tmp_path / "u.safetensors")
    notes = open_model(tmp_path / "u.safetensors", colours).notes
    assert notes and "guessing gives 33 %" in notes[0]


def test_a_foreign_checkpoint_needs_a_data_set_of_as_many_classes(trained, colours, tmp_path):
    save_file(trained.net.state_dict(), tmp_path / "f.safetensors")
    with pytest.raises(UnlearnError, match="open it together with a data set"):
        open_model(tmp_path / "f.safetensors")
    two = Dataset(colours.spec, ("red", "green"), colours.train, colours.test, colours.digest, ())
    with pytest.raises(UnlearnError, match=r"3 outputs, but the data set .* has 2 classes"):
        open_model(tmp_path / "f.safetensors", two)


def test_the_wrong_architecture_is_refused_with_differences(trained, colours, tmp_path):
    save_file(trained.net.state_dict(), tmp_path / "f.safetensors")
    with pytest.raises(UnlearnError, match="missing|shape"):
        open_model(tmp_path / "f.safetensors", colours, arch="cifar_vgg11")


def test_importing_keeps_a_copy_under_a_safe_name(trained, colours, tmp_path):
    save_file(trained.net.state_dict(), tmp_path / "f.safetensors")
    reference, loaded = import_model(tmp_path / "f.safetensors", colours, name="../../evil <b>name</b>.pth")
    assert catalog.path_of(reference).parent == catalog.imported_folder()
    assert "<" not in reference and "/" not in reference
    assert same(open_model(reference).model, loaded.model)
    assert catalog.models()[reference]["classes"] == ["red", "green", "blue"]


@pytest.mark.parametrize(
    "reference", ["bundled:nothing", "imported:../../etc/passwd", "no/such/file.pt", "bundled:"]
)
def test_an_unknown_model_is_a_sentence(reference):
    with pytest.raises(UnlearnError, match="There is no model"):
        open_model(reference)


def test_a_damaged_card_is_a_sentence(trained, tmp_path):
    save_file(
        trained.net.state_dict(), tmp_path / "d.safetensors", metadata={"lethe": '{"card": {"name": 1}}'}
    )
    with pytest.raises(UnlearnError, match="card"):
        open_model(tmp_path / "d.safetensors")


def test_fresh_models_depend_on_the_seed_alone(colour_card):
    state = torch.get_rng_state()
    assert same(fresh_model(colour_card, 3), fresh_model(colour_card, 3))
    assert not same(fresh_model(colour_card, 3), fresh_model(colour_card, 4))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("planned", [False, True])
def test_a_small_file_whose_card_tells_of_a_huge_network_is_refused_unbuilt(
    trained, colour_card, tmp_path, monkeypatch, planned
):
    huge = replace(colour_card, spec=ModelSpec("cifar_vgg19", 3, width=16.0))
    group = PlannedGroup("features.0", ("features.0",), 1024, True, (0,))
    save_model(tmp_path / "h.safetensors", trained, huge, PruningPlan((group,)) if planned else None)
    built = []

    monkeypatch.setattr(
        "unlearn_core.checkpoints.model_files.build_net", built.append
    )  # with memory; a shell has none
    with pytest.raises(UnlearnError, match="do not fit this net|more than 140,000,000 weights"):
        open_model(tmp_path / "h.safetensors")
    assert built == []


@pytest.mark.parametrize("value", ["1e999", "-1e999", "[" * 100_000])
def test_a_card_with_impossible_values_is_a_sentence(trained, colour_card, tmp_path, value):
    card = json.dumps(
        {"format": 1, "card": {**card_to_plain(colour_card), "image_size": 123456}, "plan": None}
    )
    tensors = {n: t.contiguous() for n, t in trained.net.state_dict().items()}
    save_file(tensors, tmp_path / "v.safetensors", {"lethe": card.replace("123456", value)})
    with pytest.raises(UnlearnError, match="card"):
        open_model(tmp_path / "v.safetensors")
