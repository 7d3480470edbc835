"""What the page of feature maps shows, worked out from the selection."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts.opened import dataset
from pages.parts.selection import Selection, choose, current
from pages.parts.surveys import maps_of, survey_of
from unlearn_core.channels.responses import Maps, by_strength, firing, map_rows, peaks, positions_of
from unlearn_core.errors import UnlearnError
from unlearn_core.plots.colors import map_uri
from unlearn_core.plots.gallery import Tile
from unlearn_core.plots.tiles import Pixels, image_uri, pixels_of
from unlearn_core.words import percent

ORDERS = {"number": "number", "strength": "strength"}
SCALE_NAMES = {"unit": "channel", "layer": "layer", "network": "network"}
SCALE_HELP = (
    "What the brightest colour stands for. **Channel**: each channel's own maximum, so shapes compare and strengths do "
    "not. **Layer**: the layer's maximum, so channels compare. **Network**: the maximum of all layers, so layers compare."
)


@dataclass(frozen=True)
class View:
    """One image in one layer.

    Attributes:
        selection: What is selected.
        name: The image, in words.
        pixels: What the model was given, uint8 (H, W, 3).
        original: An upload's own picture as a data URI, where it was resized; else empty.
        position: Position in the test set; -1 for an upload.
        label: Its true class; None for an upload.
        seen: Its maps and probabilities.
        classes: The K class names.
        layer: The layer in view.
        channel: The channel under the lens.
        order: The layer's channels in the order of the gallery.
        scale: A key of `SCALE_NAMES`.
        problem: Why an upload can't be shown, or empty.
    """

    selection: Selection
    name: str
    pixels: Pixels
    original: str
    position: int
    label: int | None
    seen: Any
    classes: tuple[str, ...]
    layer: str
    channel: int
    order: list[int]
    scale: str
    problem: str

    @property
    def side(self) -> int:
        """Pixels of a side, as the model takes it."""
        return int(self.pixels.shape[0])

    @cached_property
    def layers(self) -> dict[str, int]:
        """Channels of each convolution."""
        return {layer: maps.shape[0] for layer, maps in self.seen.maps.items()}

    @property
    def maps(self) -> Maps:
        """The layer's maps, (C, H, W)."""
        maps: Maps = self.seen.maps[self.layer]
        return maps

    def high(self, layer: str, channel: int) -> float:
        """What the brightest colour stands for on a channel's map."""
        from unlearn_core.channels.feature_maps import scale_range

        return scale_range(self.seen.maps, layer, channel, self.scale).high


def view_of(selection: Selection) -> View:
    """The image that is selected, in the layer that is selected.

    Raises:
        UnlearnError: The model or the data set can't be opened.
    """
    data = dataset(selection)
    upload = st.session_state.get("maps_taken") if st.session_state.get("maps_source") == "Your own" else None
    problem = upload.get("problem", "") if upload else ""
    if upload and not problem:
        image, name, original, position, label = upload["image"], upload["name"], upload["original"], -1, None
        seen = maps_of(selection, upload["key"], image)
    else:
        position = _position(selection, len(data.test))
        image, label, original = data.test.images[position], int(data.test.labels[position]), ""
        name = f"Test image {position}, “{data.classes[label]}”"
        seen = maps_of(selection, f"test {position}", image)
    layer = selection.layer if selection.layer in seen.maps else list(seen.maps)[-1]
    maps = seen.maps[layer]
    strongest = by_strength(maps)
    channel = selection.channel if 0 <= selection.channel < len(maps) else strongest[0]
    order = strongest if st.session_state.get("maps_order") == "strength" else list(range(len(maps)))
    scale = st.session_state.get("maps_scale") or "layer"
    return View(
        selection,
        name,
        pixels_of(image),
        original,
        position,
        label,
        seen,
        data.classes,
        layer,
        channel,
        order,
        scale,
        problem,
    )


def take_upload() -> None:
    """Decodes the file in the uploader, once; keeps the picture, or why there is none."""
    file = st.session_state.get("maps_upload")
    if file is None:
        st.session_state.pop("maps_taken", None)
        return
    content = file.getvalue()
    size = _image_side(current())
    key = f"upload {hashlib.sha256(content).hexdigest()} {size}"
    if st.session_state.get("maps_taken", {}).get("key") == key:
        return
    st.session_state["maps_taken"] = {"key": key, **_decoded(content, size, file.name)}


def _decoded(content: bytes, size: int, name: str) -> dict[str, Any]:
    from unlearn_core.data.images import decode_image, image_size

    try:
        width, height = image_size(content, name)
        image = decode_image(content, size, name)
        large = decode_image(content, min(256, max(width, height)), name)
    except UnlearnError as error:
        return {"problem": str(error)}
    resized = (width, height) != (size, size)
    original = image_uri(pixels_of(large)) if resized else ""
    return {"image": image, "name": f"{name}, {width} × {height} pixels", "original": original}


def _image_side(selection: Selection) -> int:
    return int(dataset(selection).test.images.shape[-1])


def _position(selection: Selection, count: int) -> int:
    """The selected test image; else the most confident right one of the class in focus; else the first of the class."""
    from unlearn_core.channels.feature_maps import most_confident

    if 0 <= selection.image < count:
        return selection.image
    survey = survey_of(selection, selection.layer)
    k = dataset(selection).classes.index(selection.cls)
    best = most_confident(survey, k)
    if best is None:
        best = next(iter(positions_of(survey.labels, k)), 0)
    return int(survey.indices[best])


def finding(view: View) -> str:
    """What is to be seen, in one sentence that the picture confirms."""
    chances, answer = view.seen.probabilities, view.seen.answer
    verdict = "" if view.label is None else " (right)" if view.label == answer else " (wrong)"
    at_work = firing(view.maps)
    return (
        f"{view.name}: the model takes it for “{view.classes[answer]}” with {percent(float(chances[answer]))}{verdict}. "
        f"In {view.layer}, {at_work.count} of {len(view.maps)} channels fire, channel {at_work.strongest} most "
        f"(mean {at_work.mean:.3g})."
    )


def strip_positions(view: View, name: str) -> list[int]:
    """Positions of the test images of a class, or of all."""
    labels = dataset(view.selection).test.labels.numpy()
    return positions_of(labels, view.classes.index(name) if name in view.classes else None)


def strip_page(positions: Sequence[int], position: int, size: int) -> int:
    """The page of the strip: where the person turned to, else where the image in view is."""
    place = positions.index(position) // size if position in positions else 0
    turned = st.session_state.get("maps_strip")
    return int(min(place if turned is None else turned, (len(positions) - 1) // size))


def image_tiles(view: View, positions: Sequence[int]) -> list[Tile]:
    """Test images as tiles."""
    test = dataset(view.selection).test
    return [
        Tile(
            int(p),
            image_uri(pixels_of(test.images[p])),
            f"{p}",
            f"test image {p}, {view.classes[int(test.labels[p])]}",
        )
        for p in map(int, positions)
    ]


def pages(order: Sequence[int], size: int) -> list[str]:
    """The pages of the gallery, in words."""
    return [f"{a + 1}–{min(a + size, len(order))} of {len(order)}" for a in range(0, len(order), size)]


def channel_page(view: View, size: int) -> int:
    """The page of the gallery: where the person turned to, else where the channel under the lens is."""
    context = (view.layer, view.channel, tuple(view.order[:2]))
    turned = st.session_state.get("maps_turned")
    return int(turned[1]) if turned and turned[0] == context else view.order.index(view.channel) // size


def page_chosen() -> None:
    """Keeps the page that the person turned to, until layer, channel or order change."""
    view = view_of(current())
    st.session_state["maps_turned"] = (
        (view.layer, view.channel, tuple(view.order[:2])),
        st.session_state["maps_page"],
    )


def step_to(channel: int) -> None:
    """Goes to a channel."""
    choose(channel=channel)


def channel_tiles(view: View, channels: Sequence[int]) -> list[Tile]:
    """Channels of the layer as tiles, coloured by the scale in use."""
    tiles = []
    for channel in channels:
        values = view.maps[channel]
        hint = f"channel {channel}: mean {values.mean():.3g}, max {values.max():.3g}"
        tiles.append(
            Tile(
                channel,
                map_uri(values, view.high(view.layer, channel)),
                f"{channel} · {values.mean():.2g}",
                hint,
            )
        )
    return tiles


def channel_frame(view: View) -> pd.DataFrame:
    """What each channel makes of the image, as a table."""
    return pd.DataFrame(map_rows(view.maps))


def scale_words(view: View) -> tuple[float, float, str]:
    """Smallest and largest value of the colour scale, and whose they are."""
    from unlearn_core.channels.feature_maps import scale_range

    scale = scale_range(view.seen.maps, view.layer, view.channel, view.scale)
    words = {
        "unit": f"each tile by its own maximum; this is channel {view.channel}",
        "layer": f"layer {view.layer}",
        "network": "whole network",
    }
    return scale.low, scale.high, words[view.scale]


def montage(view: View) -> bytes:
    """All channels of the layer as one figure, PNG."""
    from unlearn_core.plots.montage import montage_png

    high = peaks(view.maps) if view.scale == "unit" else view.high(view.layer, view.channel)
    answer = view.seen.answer
    caption = f"{view.name}; taken for {view.classes[answer]} with {percent(float(view.seen.probabilities[answer]))}"
    return montage_png(
        view.maps,
        high,
        title=f"{view.selection.model} · {view.layer} · {len(view.maps)} channels",
        caption=caption,
    )


def pinned() -> list[tuple[str, int]]:
    """The pinned channels, at most two."""
    return list(st.session_state.get("maps_pins", []))


def toggle_pin(here: tuple[str, int]) -> None:
    """Pins a channel, or lets it go; a third one takes the place of the older."""
    before = pinned()
    after = [p for p in before if p != here] if here in before else [*before, here][-2:]
    st.session_state["maps_pins"] = after
