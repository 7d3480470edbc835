"""The page of feature maps: the right image, the right numbers, and no picture that can't be decoded."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from unlearn_core.channels.feature_maps import image_maps
from unlearn_core.checkpoints.model_files import LoadedModel, open_model
from unlearn_core.data.sets import Dataset
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.models.inference import predict

OpenPage = Callable[..., AppTest]
BUNDLED = "bundled:digits-resnet20"
LAST = "layer3.2.conv2"


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return open_dataset(parse_dataset("digits"))


@pytest.fixture(scope="module")
def loaded(digits: Dataset) -> LoadedModel:
    return open_model(BUNDLED, digits)


def texts(app: AppTest) -> str:
    kinds = [app.markdown, app.caption, app.info, app.warning, app.error, app.subheader]
    return " ".join(e.value for kind in kinds for e in kind).replace("\\", "")


def png(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 80).save(file, "PNG")
    return file.getvalue()


def test_opens_on_the_most_confident_right_image(
    empty_home: Path, open_page: OpenPage, digits: Dataset, loaded: LoadedModel
) -> None:
    app = open_page("feature_maps", model=BUNDLED, cls="4")
    assert not app.exception and not app.error
    chances = predict(loaded.model, digits.test.images).softmax(dim=1)
    right = (digits.test.labels == 4) & (chances.argmax(dim=1) == 4)
    best = int(np.where(right.numpy(), chances[:, 4].numpy(), -1).argmax())
    assert (
        f"Test image {best}, “4”: the model takes it for “4” with {100 * float(chances[best, 4]):.1f} % (right)"
        in texts(app)
    )


def test_image_layer_and_channel_come_from_the_link(
    empty_home: Path, open_page: OpenPage, digits: Dataset, loaded: LoadedModel
) -> None:
    app = open_page("feature_maps", model=BUNDLED, image="11", layer="layer1.0.conv1", channel="5")
    values = image_maps(loaded.model, digits.test.images[11]).maps["layer1.0.conv1"]
    assert f"Test image 11, “{digits.classes[int(digits.test.labels[11])]}”" in texts(app)
    shown = values[5]
    assert f"32 × 32 · min {shown.min():.3g} · mean {shown.mean():.3g} · max {shown.max():.3g}" in texts(app)
    table = app.dataframe[0].value
    np.testing.assert_allclose(table["mean"], values.mean(axis=(1, 2)), rtol=1e-4)


def test_an_image_that_is_not_there_gives_the_default(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("feature_maps", model=BUNDLED, image="99999999", cls="4")
    assert not app.exception and "“4”: the model takes it for" in texts(app)


def test_arrows_step_through_the_order_on_screen(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("feature_maps", model=BUNDLED, image="11", channel="63")
    app.button(key="maps_next").click().run()
    assert "Channel 0" in [s.value for s in app.subheader]
    app.button(key="maps_previous").click().run()
    assert "Channel 63" in [s.value for s in app.subheader]
    app.segmented_control(key="maps_order").set_value("strength").run()
    app.segmented_control(key="maps_scale").set_value("network").run()
    assert not app.exception and not app.error


def test_two_pins_stand_side_by_side_and_a_third_replaces_the_older(
    empty_home: Path, open_page: OpenPage
) -> None:
    app = open_page("feature_maps", model=BUNDLED, image="11", channel="1")
    for _ in range(3):
        app.button(key="maps_pin").click().run()
        app.button(key="maps_next").click().run()
    assert app.session_state["maps_pins"] == [(LAST, 2), (LAST, 3)]
    assert [s.value for s in app.subheader][-2:] == [f"Channel 2 of {LAST}", f"Channel 3 of {LAST}"]
    app.button(key="maps_unpin0").click().run()
    assert app.session_state["maps_pins"] == [(LAST, 3)]


def test_an_upload_is_resized_and_shown(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("feature_maps", model=BUNDLED, image="11")
    app.segmented_control(key="maps_source").set_value("Your own").run()
    app.file_uploader(key="maps_upload").set_value(("*my* [cat].png", png((90, 60)), "image/png")).run()
    assert not app.exception and not app.error
    assert "*my* [cat].png, 90 × 60 pixels: the model takes it for" in texts(app)


@pytest.mark.parametrize(
    "content", [b"", b"not an image", png((90, 60))[:200], b"\x89PNG\r\n\x1a\n" + b"\0" * 99]
)
def test_a_file_that_is_no_picture_is_refused_in_words(
    empty_home: Path, open_page: OpenPage, content: bytes
) -> None:
    app = open_page("feature_maps", model=BUNDLED, image="11")
    app.segmented_control(key="maps_source").set_value("Your own").run()
    app.file_uploader(key="maps_upload").set_value(("evil.png", content, "image/png")).run()
    assert not app.exception
    assert "evil.png" in app.error[0].value.replace("\\", "")
    # The page stays: it shows the test image instead.
    assert "Test image 11" in texts(app)


def test_needs_no_scores(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("feature_maps")
    assert not app.exception and not app.error
    assert "the model takes it for" in texts(app)
