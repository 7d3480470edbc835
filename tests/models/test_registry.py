import pytest
import torch

from unlearn_core.errors import UnlearnError
from unlearn_core.models.registry import ARCHITECTURES, build_net, build_shell
from unlearn_core.models.specs import ModelSpec

# One of each family and variant with numbers; all of them without, below, where nothing is computed.
REAL = (
    "cifar_resnet20_a",
    "cifar_resnet110_b",
    "cifar_vgg13",
    "resnet18",
    "resnet18_small",
    "vgg11_bn_small",
    "mobilenet_v2",
    "mobilenet_v2_small",
    "densenet121_small",
)


@pytest.mark.parametrize("arch", REAL)
def test_nets_give_finite_logits(arch):
    torch.manual_seed(0)
    net = build_net(ModelSpec(arch, 7)).eval()
    with torch.inference_mode():
        logits = net(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all() and logits.std() > 0


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize(("num_classes", "channels"), [(2, 1), (100, 3)])
def test_every_net_has_any_number_of_classes_and_grey_or_colour(arch, num_classes, channels):
    size = ARCHITECTURES[arch].image_size
    with torch.device("meta"):
        net = build_net(ModelSpec(arch, num_classes, channels)).eval()
        assert net(torch.empty(2, channels, size, size)).shape == (2, num_classes)


@pytest.mark.parametrize("arch", [name for name in ARCHITECTURES if name.endswith("_small")])
def test_small_variants_keep_more_of_a_small_image(arch):
    def last_map(name):
        sizes = []
        with torch.device("meta"):
            net = build_net(ModelSpec(name, 10)).eval()
            for module in net.modules():
                if isinstance(module, torch.nn.Conv2d):
                    module.register_forward_hook(lambda m, i, o: sizes.append(o.shape[-1]))
            net(torch.empty(1, 3, 32, 32))
        return sizes[0], sizes[-1]

    first, last = last_map(arch)
    assert first == 32
    if "vgg" not in arch:  # VGG's convolutions are the same in both; what follows them differs
        assert last >= 4 > last_map(arch.removesuffix("_small"))[1]


@pytest.mark.parametrize("arch", ["cifar_resnet20_b", "cifar_vgg11", "resnet18", "mobilenet_v2"])
def test_a_shell_has_the_nets_names_and_shapes_and_draws_nothing(arch):
    spec = ModelSpec(arch, 7)
    before = torch.get_rng_state()
    shell = build_shell(spec).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(tensor.is_meta for tensor in shell.values())
    whole = build_net(spec).state_dict()
    assert {n: (t.shape, t.dtype) for n, t in shell.items()} == {
        n: (t.shape, t.dtype) for n, t in whole.items()
    }


def test_weights_come_from_torchs_generator():
    torch.manual_seed(5)
    one = build_net(ModelSpec("cifar_resnet20_a", 3)).state_dict()
    torch.manual_seed(5)
    two = build_net(ModelSpec("cifar_resnet20_a", 3)).state_dict()
    other = build_net(ModelSpec("cifar_resnet20_a", 3)).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (ModelSpec("resnet19", 10), "resnet19.*cifar_resnet20_a"),
        (ModelSpec("resnet18", 10, 2), "2 input channels"),
        (ModelSpec("resnet18", 10, 3, 0.5), "width 0.5"),
        (ModelSpec("cifar_vgg11", 10, 3, 0.3), "19.2"),
        (ModelSpec("cifar_resnet20_b", 10, 3, 0.01), "0.16"),
    ],
)
def test_what_can_not_be_built_is_said(spec, word):
    with pytest.raises(UnlearnError, match=word):
        build_net(spec)
