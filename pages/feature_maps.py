"""Feature maps: one image through a layer, all channels as one clickable picture, and a lens on one of them."""

from collections.abc import Mapping, Sequence

import streamlit as st

from pages.parts import frame
from pages.parts.charts import draw, inked
from pages.parts.feature_maps import lens, views
from pages.parts.feature_maps.views import View
from pages.parts.layers import choose_layer
from pages.parts.selection import choose, classes, current, link
from pages.parts.text import md
from unlearn_core.plots.channels import probability_bars
from unlearn_core.plots.colors import color_scale
from unlearn_core.plots.gallery import Tile, gallery
from unlearn_core.plots.tiles import image_uri

STRIP = 12
A_PAGE = 64


def page() -> None:
    """The whole page."""
    frame.of_model("Feature maps", body)


@st.fragment
def body() -> None:
    """Everything that a click changes: it reruns alone."""
    with frame.explained():
        views.take_upload()
        maps(views.view_of(current()))


def maps(view: View) -> None:
    """An image and the model's answer, all channels of a layer, the lens on one of them, and what is pinned."""
    st.markdown(f"#### {md(views.finding(view))}")
    image, answer = st.columns([1.75, 1], gap="large")
    with image:
        choose_image(view)
    with answer:
        prediction(view)
    with st.container(horizontal=True, gap="medium"):
        choose_layer(view.layers, "maps")
    pictures, detail = st.columns([1.75, 1], gap="large")
    with pictures:
        channels(view)
    with detail:
        arrows(view)
        lens.lens(view, view.layer, view.channel, "lens")
    pins(view)
    link(
        "pages/channel_scores.py",
        f"Why channel {view.channel} scores as it does",
        layer=view.layer,
        channel=view.channel,
    )
    link("pages/forget.py", "Next: forget a class")


def choose_image(view: View) -> None:
    """A strip of test images of one class, or a picture of the person's own."""
    source, which = st.columns([1, 1], gap="medium")
    with source:
        st.segmented_control(
            "Image", ["Test images", "Your own"], key="maps_source", default="Test images", required=True
        )
    if st.session_state.get("maps_source") == "Your own":
        st.file_uploader(
            "An image file",
            ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"],
            key="maps_upload",
            help=f"Its centred square is resized to {view.side} × {view.side} pixels. It stays on this machine.",
        )
        if view.problem:
            st.error(md(view.problem))
        return
    with which:
        st.session_state.setdefault("maps_class", current().cls)
        st.selectbox(
            "Test images of",
            ["every class", *classes()],
            key="maps_class",
            on_change=lambda: st.session_state.update(maps_strip=0),
        )
    strip(view)


def strip(view: View) -> None:
    """Test images of the class that is picked, a page at a time; a click shows one."""
    positions = views.strip_positions(view, st.session_state["maps_class"])
    if not len(positions):
        st.caption("There is no test image of this class.")
        return
    at = views.strip_page(positions, view.position, STRIP)
    on_page = positions[at * STRIP : (at + 1) * STRIP]
    tiles = views.image_tiles(view, on_page)
    chart = gallery(tiles, STRIP, row_height=74, selected=view.position)
    draw(
        chart,
        "maps_images",
        f"{len(tiles)} test images; the framed one is shown.",
        lambda key: choose(image=key),
    )
    last = (len(positions) - 1) // STRIP
    back, forth, count = st.columns([1, 1, 3], vertical_alignment="center")
    back.button(
        "Earlier",
        disabled=at == 0,
        key="maps_back",
        on_click=lambda: st.session_state.update(maps_strip=at - 1),
        width="stretch",
    )
    forth.button(
        "Later",
        disabled=at >= last,
        key="maps_forth",
        on_click=lambda: st.session_state.update(maps_strip=at + 1),
        width="stretch",
    )
    count.caption(f"{at * STRIP + 1}–{at * STRIP + len(on_page)} of {len(positions):,} test images")


def prediction(view: View) -> None:
    """The image, and what the model takes it for."""
    picture, answer = st.columns([1, 2], gap="medium", vertical_alignment="center")
    with picture:
        tiles = [Tile(0, image_uri(view.pixels), f"{view.side} × {view.side}")]
        if view.original:
            tiles.insert(0, Tile(1, view.original, "as uploaded"))
        draw(gallery(tiles, 1, row_height=130, clickable=False), "maps_picture", view.name)
    with answer:
        st.markdown(f"**{md(view.name)}**")
        names = view.classes
        st.altair_chart(
            inked(probability_bars(view.seen.probabilities, names, view.label)),
            key="maps_answer",
            alt=f"The model takes it for {names[view.seen.answer]}.",
        )


def channels(view: View) -> None:
    """All channels of the layer as one clickable picture, with its scale."""
    at = views.channel_page(view, A_PAGE)
    with st.container(horizontal=True, gap="medium"):
        _choice("Order", views.ORDERS, "maps_order", "number")
        _choice("Colour scale", views.SCALE_NAMES, "maps_scale", "layer", views.SCALE_HELP)
        _pager(views.pages(view.order, A_PAGE), at)
    on_page = view.order[at * A_PAGE : (at + 1) * A_PAGE]
    pinned = [channel for layer, channel in views.pinned() if layer == view.layer]
    tiles = views.channel_tiles(view, on_page)
    chart = gallery(tiles, 8, row_height=86, selected=view.channel, pinned=pinned)
    words = f"Maps of {len(on_page)} channels of {view.layer}; channel {view.channel} is framed."
    draw(chart, "maps_gallery", words, lambda key: choose(channel=key))
    low, high, scale = views.scale_words(view)
    draw(color_scale(low, high, scale), "maps_legend", f"Colours from 0 to {high:.3g}, {scale}.")
    _data(view)


def _choice(label: str, options: Mapping[str, str], key: str, default: str, about: str | None = None) -> None:
    """One of a few, side by side; `options` by what the session keeps."""
    st.segmented_control(
        label, list(options), key=key, default=default, required=True, format_func=options.get, help=about
    )


def _pager(pages: Sequence[str], at: int) -> None:
    """Which channels are in the picture, where they don't all fit."""
    if len(pages) < 2:
        return
    st.session_state["maps_page"] = at
    st.selectbox(
        "Channels",
        range(len(pages)),
        key="maps_page",
        format_func=pages.__getitem__,
        on_change=views.page_chosen,
        width=150,
    )


def _data(view: View) -> None:
    """The table behind the picture, and both as files."""
    with st.expander("Show data"):
        table = views.channel_frame(view)
        st.dataframe(table, hide_index=True, height=300)
        with st.container(horizontal=True):
            st.download_button("CSV", table.to_csv(index=False), f"{view.layer}.csv", "text/csv")
            st.download_button(
                "PNG of all channels", lambda: views.montage(view), f"{view.layer}.png", "image/png"
            )


def arrows(view: View) -> None:
    """Previous and next channel, also by keyboard, and the pin."""
    rank = view.order.index(view.channel)
    back, forth, pin = st.columns([1, 1, 1])
    before, after = view.order[rank - 1], view.order[(rank + 1) % len(view.order)]
    back.button(
        "Prev",
        key="maps_previous",
        shortcut="Left",
        width="stretch",
        on_click=lambda: views.step_to(before),
    )
    forth.button(
        "Next", key="maps_next", shortcut="Right", width="stretch", on_click=lambda: views.step_to(after)
    )
    here = (view.layer, view.channel)
    pin.button(
        "Unpin" if here in views.pinned() else "Pin",
        key="maps_pin",
        width="stretch",
        on_click=lambda: views.toggle_pin(here),
        help="Pin two channels, of any layers, to see them side by side.",
    )


def pins(view: View) -> None:
    """The pinned channels side by side."""
    here = [
        (layer, channel)
        for layer, channel in views.pinned()
        if layer in view.layers and channel < view.layers[layer]
    ]
    if not here:
        return
    st.subheader("Pinned")
    columns = st.columns(2, gap="large")
    for number, ((layer, channel), column) in enumerate(zip(here, columns, strict=False)):
        with column:
            lens.lens(view, layer, channel, f"pin{number}")
            st.button(
                "Unpin",
                key=f"maps_unpin{number}",
                on_click=lambda here=(layer, channel): views.toggle_pin(here),
            )
    if len(here) == 1:
        columns[1].caption("Pin a second channel to see it here.")


frame.show(page)
