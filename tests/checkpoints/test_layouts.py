"""What other people save opens, and computes what their net computes."""

import io

import pytest
import torch
from torch import nn

from tests.checkpoints import hostile, layouts
from tests.checkpoints.hostile import written
from unlearn_core.checkpoints.foreign import Hints, understand
from unlearn_core.checkpoints.parametrizations import made_whole
from unlearn_core.checkpoints.reading import read_tensors
from unlearn_core.checkpoints.recognition import best_fit, load_into
from unlearn_core.checkpoints.renames import LINES, respelled
from unlearn_core.errors import UnlearnError
from unlearn_core.models.registry import build_net


def living_net(spec, seed=0):
    """A net whose batch norms are no identities and whose weights are sparse."""
    torch.manual_seed(seed)
    net = build_net(spec)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if tensor.is_floating_point() and tensor.ndim < 2:
                tensor.copy_(torch.rand_like(tensor) + 0.5)
            elif tensor.ndim == 4:
                tensor.mul_(torch.rand_like(tensor) > 0.3)
            elif name.endswith("num_batches_tracked"):
                tensor.fill_(7)
    return net.eval()


def reopened(path, which=""):
    tensors = made_whole(read_tensors(path, which=which).tensors).tensors
    fit = best_fit(tensors)
    net = build_net(fit.spec)
    load_into(net, tensors, path.name)
    return fit.spec, net.eval()


def assert_same(net, other, tolerance=1e-4):
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected, got = net(images), other(images)
    assert torch.allclose(expected, got, rtol=tolerance, atol=tolerance * float(expected.abs().max()))


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_a_layout_opens_and_computes_the_same(tmp_path, name):
    spec, layout = layouts.LAYOUTS[name]
    net = living_net(spec)
    if "biases" in name:
        for layer in net.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.zeros_(layer.bias)
    path = written(tmp_path, hostile.saved(layout({n: t.clone() for n, t in net.state_dict().items()})))
    found, opened = reopened(path)
    assert found == spec
    assert_same(net, opened, 2e-2 if "half" in name else 1e-4)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("old", [False, True])
def test_every_protocol_of_pickle(tmp_path, protocol, old):
    net = living_net(layouts.RESNET_A)
    data = hostile.saved(
        layouts.second_paper(net.state_dict()),
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=not old,
    )
    _, opened = reopened(written(tmp_path, data))
    assert_same(net, opened)


def test_the_second_papers_files_give_normalisation_and_mask(tmp_path, colours):
    spec = layouts.ModelSpec("cifar_resnet20_a", 3, width=0.25)
    net = living_net(spec)
    path = written(tmp_path, hostile.saved(layouts.second_paper(net.state_dict())))
    found = understand(path, read_tensors(path), colours, Hints())
    assert found.card.normalization.name == "cifar10"
    assert found.card.facts["normalization_chosen"] == "taken from the file"
    measured = found.card.facts["sparsity"]["measured"]
    assert measured == pytest.approx(0.3, abs=0.05)
    zeros = [m.weight == 0 for m in found.net.modules() if isinstance(m, nn.Conv2d)]
    assert all(torch.equal(z, m.weight == 0) for z, m in zip(zeros, _convolutions(net), strict=True))


def _convolutions(net):
    return [m for m in net.modules() if isinstance(m, nn.Conv2d)]


def test_two_models_in_one_file_ask_which_and_an_average_can_be_taken(tmp_path):
    one, two = living_net(layouts.RESNET_A), living_net(layouts.RESNET_A, 1)
    path = written(tmp_path, hostile.saved({"first": one.state_dict(), "second": two.state_dict()}))
    with pytest.raises(UnlearnError, match=r"several models \(first, second\).*--part"):
        read_tensors(path)
    assert_same(two, reopened(path, "second")[1])
    path = written(tmp_path, hostile.saved({"net": one.state_dict(), "swa_net": two.state_dict()}))
    assert read_tensors(path).candidates == ("net", "swa_net")
    assert_same(one, reopened(path)[1])
    assert_same(two, reopened(path, "swa_net")[1])
    flat = {**layouts.prefixed("g.")(one.state_dict()), **layouts.prefixed("d.")(two.state_dict())}
    path = written(tmp_path, hostile.saved(flat))
    with pytest.raises(UnlearnError, match=r"several models \(g, d\)"):
        read_tensors(path)
    assert_same(two, reopened(path, "d")[1])


def test_spectral_norm_of_both_kinds_is_baked_in(tmp_path):
    torch.manual_seed(0)
    for make in (nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm):
        layer = make(nn.Conv2d(3, 4, 3))
        for _ in range(3):
            layer(torch.randn(1, 3, 8, 8))
        layer.eval()
        images = torch.randn(1, 3, 8, 8)
        weight = made_whole({f"c.{n}": t for n, t in layer.state_dict().items()}).tensors["c.weight"]
        plain = nn.functional.conv2d(images, weight, layer.bias)
        assert torch.allclose(plain, layer(images), atol=1e-5)


def test_weight_norm_of_both_kinds_is_baked_in():
    torch.manual_seed(0)
    for make in (nn.utils.weight_norm, nn.utils.parametrizations.weight_norm):
        with pytest.warns() if make is nn.utils.weight_norm else io.StringIO():
            layer = make(nn.Conv2d(3, 4, 3))
        tensors = made_whole({f"c.{n}": t.detach() for n, t in layer.state_dict().items()}).tensors
        assert torch.allclose(tensors["c.weight"], layer.weight.detach(), atol=1e-6)


def test_another_parametrisation_is_refused_with_the_line_that_bakes_it_in():
    tensors = {"c.parametrizations.weight.original": torch.ones(2, 2), "c.bias": torch.ones(2)}
    with pytest.raises(UnlearnError, match="remove_parametrizations"):
        made_whole(tensors)
    with pytest.raises(UnlearnError, match="do not belong together"):
        made_whole({"c.weight_orig": torch.ones(2, 2), "c.weight_mask": torch.ones(3, 3)})


def test_a_layer_more_inside_the_net_is_no_layer_beside_it(tmp_path):
    tensors = living_net(layouts.RESNET_A).state_dict()
    tensors["layer1.0.se.fc.weight"] = torch.ones(2, 4)
    path = written(tmp_path, hostile.saved(tensors))
    with pytest.raises(UnlearnError, match="belong to no net"):
        best_fit(read_tensors(path).tensors)


def test_layers_in_another_order_are_not_paired_by_order(tmp_path):
    """Shortcuts before convolutions: sizes say that the order is another one."""
    tensors = living_net(layouts.RESNET_B).state_dict()
    names = sorted(tensors, key=lambda n: (n.rsplit(".", 3)[0], "shortcut" not in n))
    strange = {
        n.replace("conv", "k").replace("bn", "a").replace("shortcut", "way"): tensors[n] for n in names
    }
    with pytest.raises(UnlearnError, match="belong to no net"):
        best_fit(strange)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0][:40])
def test_no_line_of_the_table_makes_two_names_fall_together(line):
    for spec in (layouts.RESNET_A, layouts.RESNET_B, layouts.VGG, layouts.RESNET_18):
        names = list(build_net(spec).state_dict())
        assert len(set(respelled(names).values())) == len(names)


def test_a_batch_counter_that_no_norm_can_have_is_set_aside(tmp_path):
    net = living_net(layouts.RESNET_A)
    for wrong in (
        torch.zeros(1000, dtype=torch.int64),
        torch.tensor(2**62),
        torch.tensor(-1),
        torch.tensor(0.5),
    ):
        tensors = {**net.state_dict(), "bn1.num_batches_tracked": wrong}
        _, opened = reopened(written(tmp_path, hostile.saved(tensors)))
        assert_same(net, opened)
        assert opened.bn1.num_batches_tracked == 0
