"""A card is hostile input: whatever stands on it, pages and runs get values of the right type and range, or none."""

import copy
import json
import struct

import pytest
from safetensors.torch import save as safetensors_bytes

from tests.checkpoints.hostile import written
from unlearn_core.checkpoints import cards, catalog
from unlearn_core.checkpoints.model_files import import_model, open_model
from unlearn_core.errors import UnlearnError
from unlearn_core.models.specs import card_to_plain

WRONG = ["text", -1, 99.0, 5, True, None, [], {}, [1, "a"], {"a": {}}, 1e308, "x" * 30_000]
GOOD = {
    "command": "python -m unlearn_core train",
    "recipe": {"epochs": 3, "lr": 0.1},
    "accuracy": 0.5,
    "per_class": [0.5, 0.5, 0.5],
    "seconds": 12.5,
    "sparsity": {
        "method": "omp",
        "asked": 0.9,
        "measured": 0.9,
        "over": "x",
        "strict": False,
        "forget": None,
    },
    "forgot": ["red"],
    "threads": None,
    "normalization_tried": {"none": 0.3},
}


def model_bytes(trained, card):
    tensors = {n: t.contiguous() for n, t in trained.net.state_dict().items()}
    entry = {"format": 1, "card": card, "plan": None}
    return safetensors_bytes(tensors, {"lethe": json.dumps(entry)})


def test_every_fact_that_lethe_writes_is_kept(colour_card):
    card = {**card_to_plain(colour_card), "facts": GOOD}
    found = cards.checked(card, "m")
    assert found.values == card and found.dropped == ()
    for reference in ("bundled:digits-resnet20", "bundled:digits-vgg11", "bundled:cifar10-resnet20"):
        assert cards.checked(catalog.models()[reference], "m").dropped == ()


@pytest.mark.parametrize("name", sorted({*cards.FACTS, "per_class"} - {"forgotten"}))
def test_a_fact_of_the_wrong_kind_is_left_out_and_the_model_opens(colour_card, name):
    for value in WRONG:
        card = {**card_to_plain(colour_card), "facts": {**GOOD, name: value}}
        found = cards.checked(card, "m").values["facts"]
        if name in found:
            assert type(found[name]) in (str, int, float, list, dict, bool, type(None))
            assert name not in ("accuracy", "seed") or 0 <= found[name] <= 99
            assert name != "accuracy" or 0 <= found[name] <= 1
            assert name not in ("recipe", "sparsity", "federated") or isinstance(found[name], dict)


@pytest.mark.parametrize("value", [3, [], "x", {}, {"classes": ["red"], "images": "AAAA"}])
def test_a_list_of_what_was_forgotten_is_never_left_out(colour_card, value):
    card = {**card_to_plain(colour_card), "facts": {**GOOD, "forgotten": value}}
    with pytest.raises(UnlearnError, match="what the model has forgotten can't be read"):
        cards.checked(card, "m")


def test_unknown_facts_are_left_out_with_a_note(trained, colour_card, tmp_path):
    card = {**card_to_plain(colour_card), "facts": {"accuracy": 99.0, "evil": "<script>", "seed": 3}}
    path = written(tmp_path, model_bytes(trained, card), "m.safetensors")
    loaded = open_model(path)
    assert dict(loaded.card.facts) == {"seed": 3}
    assert "left out: accuracy, evil" in loaded.notes[0]
    assert catalog.read_header(path)["card"]["facts"] == {"seed": 3}


@pytest.mark.parametrize(
    "part", ["name", "spec", "classes", "normalization", "image_size", "dataset", "facts"]
)
def test_a_part_of_the_wrong_kind_is_a_sentence(trained, colour_card, tmp_path, part):
    for value in (None, 3.5, [], [[]], {"a": 1}, "\0" * 5000, float("nan"), 10**400, -1):
        card = copy.deepcopy(card_to_plain(colour_card))
        if type(card[part]) is type(value) and part in ("spec", "facts", "normalization"):
            continue
        card[part] = value
        path = written(tmp_path, model_bytes(trained, card), "m.safetensors")
        with pytest.raises(UnlearnError, match="card"):
            open_model(path)
        with pytest.raises(UnlearnError, match="card"):
            catalog.read_header(path)


def test_weights_other_than_the_cards_are_noticed(trained, colour_card, tmp_path):
    card = {**card_to_plain(colour_card), "facts": {"weights_digest": "ab" * 32}}
    path = written(tmp_path, model_bytes(trained, card), "m.safetensors")
    assert "not those that its card was written for" in open_model(path).notes[0]


def test_a_card_names_no_folder_for_the_server_to_read(trained, colour_card, colours, tmp_path):
    card = {**card_to_plain(colour_card), "dataset": "folder:/etc"}
    path = written(tmp_path, model_bytes(trained, card), "m.safetensors")
    reference, _ = import_model(path, colours, name="m")
    assert catalog.models()[reference]["dataset"] == "folder:squares"


def test_a_list_without_end_is_no_card(trained, colour_card, tmp_path):
    raw = json.dumps(
        {"__metadata__": {"lethe": json.dumps({"card": {"facts": {"a": [0] * 10**6}}})}}
    ).encode()
    path = written(tmp_path, struct.pack("<Q", len(raw)) + raw, "m.safetensors")
    with pytest.raises(UnlearnError, match="card"):
        catalog.read_header(path)
