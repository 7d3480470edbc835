"""Confusion matrices whose cells open their images."""

from typing import Any

import streamlit as st

from pages.parts import compared, selection
from pages.parts.charts import draw as draw_tiles
from pages.parts.charts import inked
from pages.parts.downloads import table_behind
from pages.parts.opened import thumbnails
from pages.parts.text import md
from unlearn_core.errors import UnlearnError
from unlearn_core.plots.confusion import CELL, confusion, destinations
from unlearn_core.plots.gallery import Tile, gallery
from unlearn_core.results import comparison
from unlearn_core.results.predictions import cell_members, places_of
from unlearn_core.words import percent

_MOST = 48
_COLUMNS = 12
_CHOSEN = "confusion cell"
_VIEWS = {"before_share": "A", "after_share": "B", "difference": "Difference, B − A"}


def draw(a: compared.Side, b: compared.Side) -> None:
    """Where the forgotten class's images go, the two matrices and their difference, and a cell's images."""
    forgotten = b.evaluation.forgotten
    rows = comparison.confusion(a.evaluation, b.evaluation)
    if forgotten:
        _destinations(a, b)
    st.markdown("**Who is taken for whom** · click a cell to see its images")
    wide = len(b.evaluation.classes) > 12
    shown = _picked_view() if wide else list(_VIEWS)
    for column, value in zip(st.columns(len(shown)), shown, strict=True):
        column.caption(_VIEWS[value])
        chart = confusion(rows, value, forgotten, _chosen(a, b)[0])
        key = f"confusion {value}"
        column.altair_chart(
            inked(chart), on_select=lambda key=key, value=value: _clicked(key, value), key=key
        )
    table_behind(rows, "confusion")
    _images(a, b)


def _destinations(a: compared.Side, b: compared.Side) -> None:
    rows = comparison.destinations(comparison.same_targets(a.evaluation, b.evaluation), b.evaluation)
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("**Where the forgotten class's images go now**")
        chart = destinations(rows)
        st.altair_chart(inked(chart), width="stretch")
        table_behind(rows, "destinations")
    with right:
        st.markdown(md(_told(rows)))
        st.caption("✕ still answered as the forgotten class · │ how many there were before.")


def _told(rows: list[dict[str, Any]]) -> str:
    others = [r for r in rows if not r["forgotten"] and r["after"]]
    total = sum(r["after"] for r in rows)
    still = sum(r["after"] for r in rows if r["forgotten"])
    if not others:
        return f"All {total} test images of the forgotten class are still answered as before."
    first = others[0]
    share = first["after"] / total
    spread = (
        "mostly into one class, which a retrained model would often do too"
        if share > 0.6
        else "over several classes"
    )
    return (
        f"{still} of {total} test images of the forgotten class are still recognised. Most of the others are now taken for "
        f"“{first['answer']}” ({first['after']} images, {percent(share, 0)}); they went {spread}."
    )


def _picked_view() -> list[str]:
    picked = st.segmented_control(
        "Matrix",
        list(_VIEWS),
        format_func=lambda v: _VIEWS[v],
        default="difference",
        key="confusion view",
        required=True,
    )
    return [str(picked)]


def _clicked(key: str, value: str) -> None:
    points = st.session_state[key]["selection"].get(CELL, [])
    if points:
        st.session_state[_CHOSEN] = (points[0]["cell"], value)


def _chosen(a: compared.Side, b: compared.Side) -> tuple[str, str]:
    """The cell whose images are shown; at first the one that gained most."""
    classes = len(b.evaluation.classes)
    cell, value = st.session_state.get(_CHOSEN, ("", "after_share"))
    if cell and max(int(k) for k in cell.split("-")) < classes:
        return cell, value
    rows = comparison.confusion(a.evaluation, b.evaluation)
    return str(
        max((r for r in rows if r["true"] != r["answer"]), key=lambda r: r["difference"])["cell"]
    ), "after_share"


def _images(a: compared.Side, b: compared.Side) -> None:
    cell, value = _chosen(a, b)
    true, answer = (int(k) for k in cell.split("-"))
    classes = b.evaluation.classes
    left, middle, right = st.columns([1, 1, 2])
    # The keyboard's way to a cell.
    picked = left.selectbox(
        "True class", range(len(classes)), true, format_func=lambda k: classes[k], key=f"cell true {cell}"
    )
    said = middle.selectbox(
        "Answer", range(len(classes)), answer, format_func=lambda k: classes[k], key=f"cell answer {cell}"
    )
    if (picked, said) != (true, answer):
        st.session_state[_CHOSEN] = (f"{picked}-{said}", value)
        st.rerun()
    try:
        positions = cell_members(compared.predictions(a), compared.predictions(b), true, answer, value)
        right.caption(md(_caption(len(positions), classes[true], classes[answer], value)))
        if positions:
            _gallery(a, b, positions[:_MOST])
    except UnlearnError as error:
        st.info(md(str(error)))


def _gallery(a: compared.Side, b: compared.Side, positions: list[int]) -> None:
    first, second = compared.predictions(a), compared.predictions(b)
    in_first, in_second = places_of(first), places_of(second)
    names = b.evaluation.classes
    tiles = []
    which = compared.selection_of(selection.current(), b)
    for position, uri in zip(positions, thumbnails(which, positions), strict=True):
        i, j = in_first[position], in_second[position]
        said = (names[first.predicted[i]], names[second.predicted[j]])
        hint = (
            f"test image {position}: A says {said[0]}, B says {said[1]}; "
            f"probability of the true class {first.confidence[i]:.2f} → {second.confidence[j]:.2f}"
        )
        tiles.append(Tile(position, uri, f"{said[0]} → {said[1]}", hint))
    chart = gallery(tiles, min(_COLUMNS, max(6, len(tiles))), clickable=False)
    draw_tiles(chart, "cell images", f"{len(tiles)} test images of the chosen cell")


def _caption(count: int, true: str, answer: str, value: str) -> str:
    where = {
        "before_share": "with A",
        "after_share": "with B",
        "difference": "with one of the two models, but not with both",
    }
    shown = f" The first {_MOST} are shown." if count > _MOST else ""
    return f"{count} test images of “{true}” are answered “{answer}” {where[value]}.{shown} Below each: A's answer → B's."
