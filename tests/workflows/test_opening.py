"""What a checkpoint doesn't say of itself: order of classes, size of images, zeros; found out, or said by a person."""

import pytest
import torch
from PIL import Image

from unlearn_core.checkpoints.model_files import open_model, save_model
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.progress import silent
from unlearn_core.workflows.ends import open_both
from unlearn_core.workflows.requests import Opening


@pytest.fixture
def folder(colours, tmp_path):
    """The squares as image files: classes are sorted by name, so blue comes first."""
    root = tmp_path / "squares"
    for part, images in (("train", colours.train), ("test", colours.test)):
        for i, (pixels, label) in enumerate(zip(images.images, images.labels, strict=True)):
            place = root / part / colours.classes[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(place / f"{i}.png")
    return root


@pytest.fixture
def bare(trained, tmp_path):
    torch.save(trained.net.state_dict(), tmp_path / "bare.pth")
    return tmp_path / "bare.pth"


def accuracy(model, dataset):
    with torch.inference_mode():
        return float((model(dataset.test.images).argmax(dim=1) == dataset.test.labels).double().mean())


def test_answers_in_another_order_are_noticed_and_the_order_offered_is_right(folder, bare):
    asked = Opening(
        str(bare), f"folder:{folder}", normalize="0.5,0.5,0.5/0.25,0.25,0.25", size=16, device="cpu"
    )
    dataset, loaded = open_both(asked, silent)
    assert dataset.classes == ("blue", "green", "red")
    assert "permutation" in loaded.notes[0] and "--class-order 'red,green,blue'" in loaded.notes[0]
    before = accuracy(loaded.model, dataset)
    ordered = Opening(**{**vars(asked), "class_order": "red,green,blue"})
    dataset, loaded = open_both(ordered, silent)
    assert loaded.card.classes == dataset.classes == ("red", "green", "blue")
    assert accuracy(loaded.model, dataset) > 0.9 > 0.5 > before
    assert not any("permutation" in note for note in loaded.notes)


def test_the_size_on_a_card_rules_how_a_folder_is_read(folder, trained, colour_card, tmp_path):
    Image.new("RGB", (40, 40)).save(folder / "train" / "red" / "large.png")
    assert open_dataset(parse_dataset(f"folder:{folder}")).test.images.shape[-1] == 64
    save_model(tmp_path / "m.safetensors", trained, colour_card)
    dataset, loaded = open_both(
        Opening(str(tmp_path / "m.safetensors"), f"folder:{folder}", device="cpu"), silent
    )
    assert dataset.test.images.shape[-1] == 16
    assert accuracy(loaded.model, dataset) > 0.9


def test_zeros_of_a_bare_checkpoint_are_asked_about_and_kept_when_a_person_says_so(
    colours, trained, tmp_path
):
    with torch.no_grad():
        trained.net.layer3[0].conv2.weight[:, ::2] = 0
    torch.save(trained.net.state_dict(), tmp_path / "sparse.pth")
    loaded = open_model(tmp_path / "sparse.pth", colours)
    assert any("exactly zero" in note and "--keep-zeros" in note for note in loaded.notes)
    assert "sparsity" not in loaded.card.facts
    kept = open_model(tmp_path / "sparse.pth", colours, keep_zeros=True)
    weights = [m.weight for m in trained.net.modules() if isinstance(m, torch.nn.Conv2d)]
    zeros = 32 * 32 * 9 / 2 / sum(w.numel() for w in weights)
    assert kept.card.facts["sparsity"]["measured"] == pytest.approx(zeros)
    assert not any("exactly zero" in note for note in kept.notes)


def test_a_weight_far_outside_its_layer_is_noticed(colours, trained, tmp_path):
    with torch.no_grad():
        trained.net.layer3[0].conv1.weight[0, 0, 0, 0] = 1e18
    torch.save(trained.net.state_dict(), tmp_path / "flipped.pth")
    notes = open_model(tmp_path / "flipped.pth", colours).notes
    assert any("layer3.0.conv1.weight" in note and "flipped bit" in note for note in notes)
