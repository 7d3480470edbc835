from dataclasses import replace

import pytest
import torch

from unlearn_core.checkpoints.recognition import differences, load_into, matching, recognise
from unlearn_core.errors import UnlearnError
from unlearn_core.models.registry import ARCHITECTURES, build_net
from unlearn_core.models.specs import ModelSpec

SPECS = [
    *(ModelSpec(arch, 10) for arch in ARCHITECTURES),
    *(ModelSpec(arch, 37, 1) for arch in ("resnet50", "vgg11_bn", "densenet121_small")),
    ModelSpec("cifar_resnet20_a", 10, 3, 0.5),
    ModelSpec("cifar_resnet56_b", 3, 1, 2.0),
    ModelSpec("cifar_vgg11", 10, 3, 0.25),
    ModelSpec("cifar_vgg19", 4, 1, 0.046875),
]


def shapes_of(spec):
    with torch.device("meta"):
        return build_net(spec).state_dict()


def small_net(arch="cifar_resnet20_a", classes=3):
    torch.manual_seed(1)
    return build_net(ModelSpec(arch, classes, 3, 0.25))


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_net_is_recognised_from_its_own_weights(spec):
    alike = {spec.arch, "mobilenet_v2", "mobilenet_v2_small"} if "mobilenet" in spec.arch else {spec.arch}
    assert set(matching(shapes_of(spec))) == {replace(spec, arch=arch) for arch in alike}


def test_one_match_is_the_answer():
    spec = ModelSpec("cifar_vgg11", 10, 3, 0.25)
    assert recognise(shapes_of(spec)) == spec


def test_nets_that_differ_in_strides_only_are_left_to_the_person():
    with pytest.raises(UnlearnError, match="mobilenet_v2 and mobilenet_v2_small"):
        recognise(shapes_of(ModelSpec("mobilenet_v2", 10)))


def test_recognising_draws_no_random_numbers():
    tensors = small_net().state_dict()
    before = torch.get_rng_state()
    recognise(tensors)
    assert torch.equal(before, torch.get_rng_state())


def test_files_without_batch_counters_load():
    net, target = small_net(), small_net()
    torch.nn.init.ones_(net.linear.weight)
    old = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert recognise(old) == ModelSpec("cifar_resnet20_a", 3, 3, 0.25)
    load_into(target, old, "old.th")
    assert torch.equal(target.linear.weight, net.linear.weight)


# How other repositories call the parts of the same nets.
FOREIGN = [
    ("cifar_resnet20_b", lambda n: n.replace("linear.", "fc.").replace(".shortcut.", ".downsample.")),
    ("cifar_resnet20_a", lambda n: n.replace("linear.", "fc.")),
    ("cifar_vgg11", lambda n: n.replace("classifier.", "classifier.0.")),
    ("cifar_vgg11", lambda n: n.replace("classifier.", "linear.")),
]


@pytest.mark.parametrize(("arch", "rename"), FOREIGN)
def test_names_of_other_repositories(arch, rename):
    net, target = small_net(arch), build_net(ModelSpec(arch, 3, 3, 0.25))
    theirs = {rename(name): tensor for name, tensor in net.state_dict().items()}
    assert set(theirs) != set(net.state_dict())
    assert recognise(theirs) == ModelSpec(arch, 3, 3, 0.25)
    load_into(target, theirs, "theirs.pt")
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(net.eval()(x), target.eval()(x))


def test_names_of_kuangliu_and_of_torchvisions_old_densenet():
    resnet = shapes_of(ModelSpec("resnet18_small", 10))
    theirs = {n.replace("downsample", "shortcut").replace("fc.", "linear."): t for n, t in resnet.items()}
    assert recognise(theirs) == ModelSpec("resnet18_small", 10)
    densenet = shapes_of(ModelSpec("densenet121", 1000))
    old = {n.replace("norm1.", "norm.1.").replace("conv1.", "conv.1."): t for n, t in densenet.items()}
    old = {n.replace("norm2.", "norm.2.").replace("conv2.", "conv.2."): t for n, t in old.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    assert recognise(old) == ModelSpec("densenet121", 1000)


def test_unknown_weights_are_described_with_the_closest_nets():
    tensors = small_net().state_dict()
    del tensors["layer3.2.bn2.weight"]
    with pytest.raises(UnlearnError, match=r"no net that is known.*Closest are cifar_resnet20_a.*1 missing"):
        recognise(tensors)
    with pytest.raises(UnlearnError, match="2 tensors, 1 of them convolutions"):
        recognise({"a.weight": torch.zeros(4, 3, 3, 3), "a.bias": torch.zeros(4)})


def test_pruned_weights_are_not_taken_for_the_whole_net():
    tensors = small_net().state_dict()
    tensors["layer1.0.conv1.weight"] = tensors["layer1.0.conv1.weight"][:3]
    with pytest.raises(UnlearnError, match="of another shape"):
        recognise(tensors)


def test_differences_are_a_table_and_loading_is_all_or_nothing():
    net = small_net()
    tensors = {**small_net().state_dict(), "extra": torch.zeros(1)}
    tensors["bn1.weight"] = torch.full_like(tensors["bn1.weight"], 9.0)
    del tensors["conv1.weight"]
    tensors["linear.bias"] = torch.zeros(5)
    found = differences(net, tensors)
    assert found.missing == ("conv1.weight",)
    assert found.unexpected == ("extra",)
    assert found.reshaped == (("linear.bias", (5,), (3,)),)
    with pytest.raises(
        UnlearnError, match=r"mine.pt.*1 missing \(conv1.weight\); 1 unexpected .*5 in place of 3"
    ):
        load_into(net, tensors, "mine.pt")
    assert (net.bn1.weight == 1).all()
    assert not differences(net, small_net().state_dict())


def test_whole_numbers_are_no_weights():
    tensors = small_net().state_dict()
    tensors["bn1.weight"] = tensors["bn1.weight"].to(torch.int64)
    with pytest.raises(UnlearnError, match="bn1.weight has the kind torch.int64"):
        load_into(small_net(), tensors, "mine.pt")


def test_half_precision_files_load_into_float_nets():
    net, target = small_net(), small_net()
    torch.nn.init.constant_(net.linear.weight, 0.5)
    load_into(
        target, {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}, "h.pt"
    )
    assert target.linear.weight.dtype == torch.float32 and (target.linear.weight == 0.5).all()
