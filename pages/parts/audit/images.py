"""The images on each side of the threshold."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.parts import compared, selection
from pages.parts.audit.data import Audited
from pages.parts.charts import draw as draw_tiles
from pages.parts.opened import dataset, thumbnails
from pages.parts.text import md
from unlearn_core.attacks.audit import Answered, Contest, Score, share_told
from unlearn_core.errors import UnlearnError
from unlearn_core.plots.gallery import Tile, gallery

_MOST = 14
_COLUMNS = 7
_ORDERS = ("Nearest the threshold", "Furthest from it")


def draw(found: Audited, answers: Answered, contest: Contest, score: Score, threshold: float) -> None:
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
        _same_images(found)
        left, right = st.columns(2, gap="large")
        for column, beyond, said in ((left, False, "never seen"), (right, True, "trained on")):
            with column:
                st.markdown(f"{'Above' if beyond else 'Below'} the threshold: called **{said}**")
                for part in (contest.members, contest.others):
                    _wall(found, answers, part, score, threshold, beyond, nearest)
    except UnlearnError as error:
        st.info(md(f"The images can't be shown: {error}"))


def _same_images(found: Audited) -> None:
    """Refuses a data set that has changed since the run."""
    digest = dataset(compared.selection_of(selection.current(), found.side)).digest
    if digest != found.side.result["inputs"]["data_digest"]:
        raise UnlearnError(
            "the data set has changed since this run, so its images are not those that were measured."
        )


def _wall(
    found: Audited,
    answers: Answered,
    part: str,
    score: Score,
    threshold: float,
    beyond: bool,
    nearest: bool,
) -> None:
    scores = score.of(answers[part])
    places = np.flatnonzero((scores >= threshold) == beyond)
    ranked = places[np.argsort(np.abs(scores[places] - threshold), kind="stable")]
    shown = (ranked if nearest else ranked[::-1])[:_MOST]
    name = found.groups()[part]
    wrong = beyond == (part.startswith("test"))
    cross = "✕ " if part == "forget" else ""
    told = f"{cross}{name}: {len(places):,} of {len(scores):,}{', the attack errs' if wrong else ', the attack is right'}"
    st.caption(md(told + (f", {len(shown)} shown" if len(places) > len(shown) else "")))
    if len(shown):
        draw_tiles(
            gallery(_tiles(found, answers, part, score, shown), _COLUMNS, clickable=False),
            f"audit {part} {beyond}",
            f"{len(shown)} images: {told}",
        )


def _tiles(
    found: Audited, answers: Answered, part: str, score: Score, shown: NDArray[np.int64]
) -> list[Tile]:
    group = answers[part]
    source = "test" if part.startswith("test") else "train"
    which = compared.selection_of(selection.current(), found.side)
    names = found.side.evaluation["classes"]
    scores = score.of(group)
    tiles = []
    for i, uri in zip(shown, thumbnails(which, group.indices[shown], source), strict=True):
        hint = (
            f"{'test' if source == 'test' else 'training'} image {group.indices[i]}: “{names[group.labels[i]]}”, answered "
            f"“{names[group.predicted[i]]}”, probability of the true class {share_told(float(group.margin[i]))}"
        )
        tiles.append(Tile(int(group.indices[i]), uri, score.tick(float(scores[i])), hint))
    return tiles
