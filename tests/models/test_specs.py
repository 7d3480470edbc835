import json

import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.models.specs import (
    NORMALIZATIONS,
    ModelCard,
    ModelSpec,
    Normalization,
    card_from_plain,
    card_to_plain,
    parse_normalization,
    spec_from_plain,
    spec_to_plain,
)

CARD = ModelCard(
    name="tiny",
    spec=ModelSpec("cifar_vgg11", 2, 1, 0.25),
    classes=("cat", "dog"),
    normalization=NORMALIZATIONS["cifar10"],
    image_size=32,
    dataset="folder:pets",
    facts={"seed": 3, "accuracy": 0.5, "per_class": [0.25, 0.75]},
)


def test_a_card_survives_json():
    assert card_from_plain(json.loads(json.dumps(card_to_plain(CARD)))) == CARD


def test_a_spec_survives_plain_values_and_text():
    assert spec_from_plain(spec_to_plain(CARD.spec)) == CARD.spec
    assert spec_from_plain({"arch": "resnet18", "num_classes": "7"}) == ModelSpec("resnet18", 7, 3, 1.0)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"num_classes": 3}, "arch"),
        ({"arch": "resnet18"}, "num_classes"),
        ({"arch": "resnet18", "num_classes": 0}, "num_classes"),
        ({"arch": "resnet18", "num_classes": 2.5}, "2.5"),
        ({"arch": "resnet18", "num_classes": 3, "width": float("nan")}, "width"),
        ({"arch": "resnet18", "num_classes": 3, "depth": 4}, "depth"),
    ],
)
def test_a_spec_names_what_is_wrong(values, word):
    with pytest.raises(UnlearnError, match=word):
        spec_from_plain(values)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"classes": ["cat", "dog", "cow"]}, "3 classes, but the net has 2"),
        ({"classes": ["cat", "cat"]}, "twice"),
        ({"image_size": 0}, "0 pixels"),
        ({"image_size": "big"}, "card can't be read"),
        ({"normalization": {"name": "x", "mean": [0.5], "std": [0.0]}}, "std"),
        ({"normalization": None}, "card can't be read"),
        ({"spec": {"arch": "resnet18"}}, "num_classes"),
    ],
)
def test_a_card_names_what_is_wrong(change, word):
    with pytest.raises(UnlearnError, match=word):
        card_from_plain({**card_to_plain(CARD), **change})


def test_normalisations_of_the_command_line():
    assert parse_normalization("auto") is None
    assert parse_normalization(" ImageNet ") == NORMALIZATIONS["imagenet"]
    given = parse_normalization("0.5,0.4,0.3/0.2,0.2,0.1")
    assert given == Normalization("custom", (0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    assert parse_normalization("0.1307/0.3081") == Normalization("custom", (0.1307,), (0.3081,))


@pytest.mark.parametrize(
    "text", ["", "mnist", "0.5", "0.5/0", "1,2/1,2", "0.5/0.5/0.5", "nan/1", "a,b,c/d,e,f"]
)
def test_a_wrong_normalisation_is_repeated(text):
    with pytest.raises(UnlearnError, match="normalisation"):
        parse_normalization(text)


def test_a_normalisation_fits_one_or_three_channels():
    three = Normalization("x", (0.1, 0.2, 0.6), (0.2, 0.3, 0.4))
    grey = three.for_channels(1)
    assert grey.mean == pytest.approx((0.3,)) and grey.std == pytest.approx((0.3,))
    assert three.for_channels(3) is three
    assert Normalization("y", (0.5,), (0.2,)).for_channels(3).mean == (0.5, 0.5, 0.5)
