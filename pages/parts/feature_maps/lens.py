"""The lens on one channel: its map, where it lies on the image, and what drives it."""

from typing import TYPE_CHECKING

import streamlit as st

from pages.parts.charts import draw
from pages.parts.feature_maps.views import View
from pages.parts.opened import dataset
from pages.parts.selection import choose
from pages.parts.surveys import survey_of
from unlearn_core.channels.responses import Means, class_maps_of, driving_classes
from unlearn_core.plots.channels import ridges
from unlearn_core.plots.colors import map_uri, overlay
from unlearn_core.plots.gallery import Tile, gallery
from unlearn_core.plots.tiles import image_uri, pixels_of

if TYPE_CHECKING:
    from unlearn_core.channels.feature_maps import LayerSurvey, Survey

_MOST_CLASSES = 20
_TOP = 9


def lens(view: View, layer: str, channel: int, key: str) -> None:
    """One channel of one layer, on the image in view and on the test images of every class."""
    values = view.seen.maps[layer][channel]
    st.subheader(f"Channel {channel} of {layer}" if key != "lens" else f"Channel {channel}")
    _pictures(view, layer, channel, key)
    height, width = values.shape
    st.caption(
        f"{height} × {width} · min {values.min():.3g} · mean {values.mean():.3g} · max {values.max():.3g}"
    )
    survey = survey_of(view.selection, layer)
    of_layer = survey.layers[layer]
    _top_images(view, survey, of_layer.means, channel, key)
    _histogram(view, survey, of_layer.means[:, channel], float(values.mean()), key)
    _class_maps(view, survey, of_layer, channel, key)


def _pictures(view: View, layer: str, channel: int, key: str) -> None:
    values, high = view.seen.maps[layer][channel], view.high(layer, channel)
    tiles = [
        Tile(0, image_uri(view.pixels), "image"),
        Tile(1, map_uri(values, high), "map"),
        Tile(2, image_uri(overlay(view.pixels, values, high)), "map on the image"),
    ]
    words = f"The image, channel {channel}'s map of it, and the map laid over the image."
    draw(gallery(tiles, 3, row_height=150, clickable=False), f"maps_{key}_pictures", words)


def _top_images(view: View, survey: "Survey", means: Means, channel: int, key: str) -> None:
    from unlearn_core.channels.feature_maps import top_images

    test = dataset(view.selection).test
    tops = top_images(means, channel, _TOP)
    tiles = [
        Tile(
            int(survey.indices[t]),
            image_uri(pixels_of(test.images[int(survey.indices[t])])),
            view.classes[int(survey.labels[t])],
            f"test image {survey.indices[t]}, {view.classes[int(survey.labels[t])]}: mean activation {means[t, channel]:.3g}",
        )
        for t in tops
    ]
    _heading(
        "Test images that drive it most",
        f"The {len(tops)} highest mean activations among {len(survey.labels):,} test images. A click shows one.",
    )

    def clicked(position: int) -> None:
        st.session_state["maps_source"] = "Test images"
        choose(image=position)

    chart = gallery(tiles, _TOP, row_height=64, selected=view.position)
    draw(
        chart,
        f"maps_{key}_top",
        f"Test images with the highest mean activation of channel {channel}.",
        clicked,
    )


def _histogram(view: View, survey: "Survey", values: Means, here: float, key: str) -> None:
    from unlearn_core.channels.feature_maps import class_histogram

    drawn = driving_classes(values, survey.labels, len(view.classes), _MOST_CLASSES)
    names = [view.classes[k] for k in drawn]
    edges, shares = class_histogram(values, survey.labels, len(view.classes))
    in_focus = view.classes.index(view.selection.cls)
    focus = drawn.index(in_focus) if in_focus in drawn else -1
    forgotten = [i for i, name in enumerate(names) if name in view.selection.forget]
    _heading(
        "How strongly each class drives it",
        "Histograms of its mean activation over test images, each by its own fullest bin. The line is the image above.",
    )
    st.altair_chart(
        ridges(edges, shares[drawn], names, focus, here, forgotten),
        key=f"maps_{key}_ridges",
        alt=f"Histograms of mean activation by class, up to {edges[-1]:.3g}; the image shown has {here:.3g}.",
    )


def _class_maps(view: View, survey: "Survey", of_layer: "LayerSurvey", channel: int, key: str) -> None:
    drawn = driving_classes(of_layer.means[:, channel], survey.labels, len(view.classes), _MOST_CLASSES)
    maps = class_maps_of(of_layer.class_maps, channel)
    high = float(maps.max())
    tiles = [
        Tile(
            k,
            map_uri(maps[k], high),
            view.classes[k],
            f"{view.classes[k]}: mean {maps[k].mean():.3g}",
        )
        for k in drawn
    ]
    _heading("Its mean map for each class", f"Averages over the same test images; 0 to {high:.3g}.")
    chart = gallery(tiles, min(10, len(tiles)), row_height=62, clickable=False)
    draw(chart, f"maps_{key}_classes", f"Mean map of channel {channel} for each class.")


def _heading(title: str, words: str) -> None:
    st.markdown(f"**{title}**", help=words)
