"""Models at hand, from headers alone."""

import json
import subprocess
import sys

import pytest

from unlearn_core.checkpoints import catalog
from unlearn_core.errors import UnlearnError


def test_bundled_models_are_small_good_and_say_where_they_come_from():
    cards = {r: c for r, c in catalog.models().items() if r.startswith("bundled:")}
    assert {"bundled:digits-resnet20", "bundled:digits-vgg11", "bundled:cifar10-resnet20"} <= set(cards)
    for reference, card in cards.items():
        facts = card["facts"]
        assert facts["accuracy"] >= (0.88 if "cifar" in reference else 0.97)
        assert facts["command"].startswith("python -m unlearn_core train")
        assert len(facts["per_class"]) == 10 and facts["data_digest"] and facts["weights_digest"]
    assert sum(p.stat().st_size for p in catalog.bundled_folder().glob("*.safetensors")) < 6 * 2**20


def test_a_recipe_that_went_on_from_other_weights_is_no_recipe_from_scratch():
    recipe = {"epochs": 7, "lr": 0.03, "batch_size": 64}
    assert catalog.scratch_recipe({"recipe": recipe, "command": "train --data digits"}) == recipe
    assert catalog.scratch_recipe({"recipe": recipe, "command": "train --init a.th"}) == {"batch_size": 64}
    assert catalog.scratch_recipe({}) == {}


def test_listing_models_imports_no_torch():
    code = (
        "import sys, json; from unlearn_core.checkpoints import catalog; m = catalog.models(); "
        "print(json.dumps(['torch' in sys.modules, len(m)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    torch_there, count = json.loads(done.stdout)
    assert not torch_there and count >= 3


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 7, b"\xff" * 64, (9).to_bytes(8, "little") + b'{"a": 1}x', b"PK\x03\x04"]
)
def test_a_file_that_is_not_ours_is_a_sentence(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(UnlearnError, match="isn't a model file that Lethe wrote"):
        catalog.read_header(path)


def test_a_stray_file_hides_no_other_model(tmp_path, monkeypatch):
    monkeypatch.setenv("LETHE_HOME", str(tmp_path))
    before = catalog.models()
    folder = catalog.imported_folder()
    folder.mkdir(parents=True)
    (folder / "stray.safetensors").write_bytes(b"PK\x03\x04")
    nested = json.dumps({"__metadata__": {"lethe": "[" * 100_000}}).encode()
    (folder / "deep.safetensors").write_bytes(len(nested).to_bytes(8, "little") + nested)
    bare = json.dumps({"__metadata__": {"lethe": json.dumps({"card": {"name": "x"}})}}).encode()
    (folder / "bare.safetensors").write_bytes(len(bare).to_bytes(8, "little") + bare)
    assert catalog.models() == before
