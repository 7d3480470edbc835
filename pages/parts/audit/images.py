"""The images on each side of the threshold."""

import streamlit as st

from pages.parts import compared, selection
from pages.parts.audit.data import Audited
from pages.parts.charts import draw as draw_tiles
from pages.parts.opened import dataset, thumbnails
from pages.parts.text import md
from unlearn_core.attacks.answers import ModelAnswers
from unlearn_core.attacks.contests import Contest
from unlearn_core.attacks.signals import Signal, confidence_text
from unlearn_core.attacks.threshold import sides
from unlearn_core.errors import UnlearnError
from unlearn_core.plots.gallery import Tile, gallery

_MOST = 14
_COLUMNS = 7
_ORDERS = ("Nearest the threshold", "Furthest from it")


def draw(run: Audited, answers: ModelAnswers, contest: Contest, signal: Signal, threshold: float) -> None:
    """Two walls: images called trained on, and images called never seen; in each the members, then the unseen ones."""
    title, order = st.columns([3, 2], vertical_alignment="center")
    title.markdown("**The images on each side**")
    nearest = (
        order.segmented_control(
            "Order",
            _ORDERS,
            key="audit_order",
            default=_ORDERS[0],
            required=True,
            label_visibility="collapsed",
        )
        == _ORDERS[0]
    )
    try:
        _same_images(run)
        left, right = st.columns(2, gap="large")
        for column, beyond, said in ((left, False, "never seen"), (right, True, "trained on")):
            with column:
                st.markdown(f"{'Above' if beyond else 'Below'} the threshold: called **{said}**")
                for part in (contest.members, contest.others):
                    _wall(run, answers, part, signal, threshold, beyond, nearest)
    except UnlearnError as error:
        st.info(md(f"The images can't be shown: {error}"))


def _same_images(run: Audited) -> None:
    """Refuses a data set that has changed since the run."""
    digest = dataset(compared.selection_of(selection.current(), run.side)).digest
    if digest != run.side.result.inputs.data_digest:
        raise UnlearnError(
            "the data set has changed since this run, so its images are not those that were measured."
        )


def _wall(
    run: Audited,
    answers: ModelAnswers,
    part: str,
    signal: Signal,
    threshold: float,
    beyond: bool,
    nearest: bool,
) -> None:
    values = signal.of(answers[part])
    places = sides(values, threshold)[beyond]
    rows = (places if nearest else places[::-1])[:_MOST]
    name = run.groups()[part]
    wrong = beyond == (part.startswith("test"))
    cross = "✕ " if part == "forget" else ""
    caption = f"{cross}{name}: {len(places):,} of {len(values):,}{', the attack errs' if wrong else ', the attack is right'}"
    st.caption(md(caption + (f", {len(rows)} shown" if len(places) > len(rows) else "")))
    if len(rows):
        draw_tiles(
            gallery(_tiles(run, answers, part, signal, rows), _COLUMNS, clickable=False),
            f"audit {part} {beyond}",
            f"{len(rows)} images: {caption}",
        )


def _tiles(run: Audited, answers: ModelAnswers, part: str, signal: Signal, rows: list[int]) -> list[Tile]:
    group = answers[part]
    source = "test" if part.startswith("test") else "train"
    which = compared.selection_of(selection.current(), run.side)
    names = run.side.evaluation.classes
    values = signal.of(group)
    tiles = []
    for i, uri in zip(rows, thumbnails(which, group.indices[rows], source), strict=True):
        hint = (
            f"{'test' if source == 'test' else 'training'} image {group.indices[i]}: “{names[group.labels[i]]}”, answered "
            f"“{names[group.predicted[i]]}”, probability of the true class {confidence_text(float(group.margin[i]))}"
        )
        tiles.append(Tile(int(group.indices[i]), uri, signal.rough_text(float(values[i])), hint))
    return tiles
