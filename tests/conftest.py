"""Small real things that many tests share: a data set of coloured squares, and a network trained on it in seconds."""

import pytest
import torch

from unlearn_core.data.sets import Dataset, ImageSet
from unlearn_core.data.spec import DatasetSpec
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import ModelCard, ModelSpec, Normalization
from unlearn_core.models.training import fit

CLASSES = ("red", "green", "blue")
HALF = Normalization("custom", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def squares(per_class, seed):
    """Noise with a square whose colour is the class."""
    generator = torch.Generator().manual_seed(seed)
    n = 3 * per_class
    images = torch.randint(0, 120, (n, 3, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.arange(n) % 3
    for i in range(n):
        y, x = torch.randint(0, 8, (2,), generator=generator).tolist()
        images[i, labels[i], y : y + 8, x : x + 8] += 120
    return ImageSet(images, labels, torch.arange(n))


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    """Nothing a test does touches the person's own runs."""
    monkeypatch.setenv("LETHE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def colours():
    """120 training and 60 test images of three classes."""
    return Dataset(DatasetSpec("folder", "squares"), CLASSES, squares(40, 0), squares(20, 1), "00" * 32, ())


@pytest.fixture(scope="session")
def colour_card():
    """The card of the trained network."""
    spec = ModelSpec("cifar_resnet20_b", 3, width=0.5)
    return ModelCard("colours", spec, CLASSES, HALF, 16, "folder", {"recipe": {"epochs": 3, "lr": 0.05}})


@pytest.fixture(scope="session")
def _trained(colours, colour_card):
    torch.manual_seed(0)
    model = Classifier(build_net(colour_card.spec), HALF)
    fit(
        model,
        colours.train,
        Recipe(epochs=4, lr=0.05, batch_size=20, augment="none", precision="float32"),
        seed=0,
    )
    return model.eval()


@pytest.fixture
def trained(_trained):
    """A copy of a network that tells the colours apart."""
    import copy

    return copy.deepcopy(_trained)
