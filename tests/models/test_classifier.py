import torch
from torch import nn

from unlearn_core.models.classifier import Classifier
from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import NORMALIZATIONS, ModelSpec, Normalization


def test_bytes_are_scaled_and_normalised_channel_by_channel():
    normalization = Normalization("x", (0.0, 0.5, 1.0), (1.0, 0.5, 0.25))
    model = Classifier(nn.Conv2d(3, 2, 1), normalization)
    images = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = torch.tensor([0.0, 1.0, -3.2]).view(1, 3, 1, 1)
    torch.testing.assert_close(model.prepare(images), expected)
    torch.testing.assert_close(model.prepare(images.float() / 255), expected)
    torch.testing.assert_close(model(images), model.net(expected))


def test_nets_of_one_channel_get_the_mean_of_the_colours():
    model = Classifier(nn.Conv2d(1, 2, 1), Normalization("x", (0.5,), (0.25,)))
    images = torch.tensor([0, 51, 204], dtype=torch.uint8).view(1, 3, 1, 1)
    torch.testing.assert_close(model.prepare(images), torch.full((1, 1, 1, 1), (1 / 3 - 0.5) / 0.25))


def test_three_statistics_serve_a_grey_net_by_their_average():
    model = Classifier(build_net(ModelSpec("cifar_resnet20_a", 4, 1)), NORMALIZATIONS["imagenet"])
    assert model.mean.shape == (1, 1, 1, 1)
    assert model(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape == (2, 4)


def test_no_state_dict_holds_the_statistics():
    model = Classifier(nn.Conv2d(3, 2, 1), NORMALIZATIONS["cifar10"])
    assert set(model.state_dict()) == {"net.weight", "net.bias"}


def test_images_follow_the_models_number_type():
    model = Classifier(nn.Conv2d(3, 2, 1), NORMALIZATIONS["none"]).to(torch.bfloat16)
    assert model(torch.zeros(1, 3, 4, 4, dtype=torch.uint8)).dtype == torch.bfloat16


def test_one_image_alone_is_normalised_by_running_statistics_in_training_too():
    torch.manual_seed(0)
    model = Classifier(build_net(ModelSpec("cifar_resnet20_b", 4)), NORMALIZATIONS["none"]).train()
    image = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    before = {name: t.clone() for name, t in model.net.state_dict().items()}
    in_training = model(image)
    assert all(torch.equal(t, before[name]) for name, t in model.net.state_dict().items())
    assert all(m.training for m in model.modules())
    torch.testing.assert_close(in_training, model.eval()(image))


def test_two_images_still_move_the_statistics():
    torch.manual_seed(0)
    model = Classifier(build_net(ModelSpec("cifar_resnet20_b", 4)), NORMALIZATIONS["none"]).train()
    before = {name: t.clone() for name, t in model.net.state_dict().items()}
    model(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8))
    assert any(not torch.equal(t, before[name]) for name, t in model.net.state_dict().items())
