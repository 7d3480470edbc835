"""Opening a model of one's own: what is uploaded is hostile until it has been read as tensors."""

import io
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from unlearn_core.checkpoints import catalog
from unlearn_core.checkpoints.model_files import save_model
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.registry import build_net
from unlearn_core.models.specs import NORMALIZATIONS, ModelCard, ModelSpec

APP = Path(__file__).resolve().parents[2] / "app.py"
SMALL = ModelSpec("cifar_resnet20_a", 10, width=0.25)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("LETHE_HOME", str(tmp_path))
    app = AppTest.from_file(str(APP), default_timeout=180).run()
    return app.switch_page("pages/open.py").run()


def checkpoint(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def weights(spec: ModelSpec) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return build_net(spec).state_dict()


def opened(app: AppTest, name: str, content: bytes) -> AppTest:
    app.file_uploader(key="open file").set_value((name, content, "application/octet-stream")).run()
    return app.button(key="open start").click().run()


def test_imports_and_selects_the_model_with_what_was_tried(app: AppTest) -> None:
    opened(app, "../../my net.pth", checkpoint({"state_dict": weights(SMALL)}))
    assert not app.exception and not app.error
    files = list(catalog.imported_folder().iterdir())
    assert [f.name.rsplit("-", 1)[0] for f in files] == ["my-net"]
    assert app.query_params["model"] == f"imported:{files[0].stem}"
    assert "classifies only" in app.warning[0].value
    tried = next(t.value for t in app.dataframe if "normalisation" in t.value.columns)
    assert set(tried["normalisation"]) == {*NORMALIZATIONS, "own"}
    assert tried["accuracy"].between(0, 100).all()


@pytest.mark.parametrize(
    "content", [b"not a model", b"", checkpoint({"model": "text"}), b"PK\x03\x04" + b"\0" * 99]
)
def test_refuses_what_is_no_model_in_a_sentence(app: AppTest, content: bytes) -> None:
    opened(app, "evil.pth", content)
    assert not app.exception
    assert "evil\\.pth" in app.error[0].value
    assert "lethe\\-" not in app.error[0].value
    assert not catalog.imported_folder().exists()


def test_unknown_net_shows_its_tensors_and_asks_for_the_architecture(app: AppTest) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4, 10))
    opened(app, "mystery.pt", checkpoint(net.state_dict()))
    assert not app.exception
    assert list(app.dataframe[0].value["tensor"]) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    app.selectbox(key="open arch").select("cifar_resnet20_b").run()
    app.button(key="open start").click().run()
    assert not app.exception
    problems = set(app.dataframe[0].value["problem"])
    assert {"missing from the file", "unknown to the architecture"} <= problems


def test_other_number_of_classes_lists_the_data_set(app: AppTest) -> None:
    opened(app, "seven.pth", checkpoint(weights(ModelSpec("cifar_resnet20_a", 7, width=0.25))))
    assert "7 outputs" in app.error[0].value and "digits" in app.error[0].value


def test_a_model_of_other_classes_is_refused_and_leaves_no_file(app: AppTest, tmp_path: Path) -> None:
    spec = ModelSpec("cifar_resnet20_a", 10, width=0.25)
    card = ModelCard("letters", spec, tuple("abcdefghij"), NORMALIZATIONS["none"], 32, "folder:x", {})
    save_model(tmp_path / "letters.safetensors", Classifier(build_net(spec), card.normalization), card)
    opened(app, "letters.safetensors", (tmp_path / "letters.safetensors").read_bytes())
    assert "The classes of digits and of the model differ" in app.error[0].value
    assert not list(catalog.imported_folder().glob("*"))


def test_a_name_is_text_not_markup(app: AppTest) -> None:
    opened(app, "<b>$x$[a](http://b).pth", b"x")
    assert "\\<b\\>" in app.error[0].value and "\\[a\\]" in app.error[0].value


def test_counts_the_images_of_a_data_set(app: AppTest) -> None:
    app.button(key="open look").click().run()
    assert app.success[0].value.startswith("1,438 training and 359 test images in 10 classes")


def test_missing_cifar_says_what_to_do_and_downloads_nothing(app: AppTest, tmp_path: Path) -> None:
    app.radio(key="open data").set_value("cifar10").run()
    app.text_input(key="open root cifar10").set_value(str(tmp_path / "none")).run()
    app.button(key="open look").click().run()
    assert not app.exception
    assert "Download button" in app.error[0].value
    assert not (tmp_path / "none").exists()


def test_several_models_ask_for_the_part_and_the_one_named_is_taken(app: AppTest) -> None:
    one, two = weights(SMALL), {n: t * 1 for n, t in weights(SMALL).items()}
    two["linear.bias"] = two["linear.bias"] + 1
    content = checkpoint({"first": one, "second": two})
    opened(app, "both.pth", content)
    assert not app.exception and "first, second" in app.error[0].value
    app.text_input(key="open part").set_value("second").run()
    opened(app, "both.pth", content)
    assert not app.exception and not app.error
