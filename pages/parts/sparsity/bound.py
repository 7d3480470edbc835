"""Gradient ascent over sparsity beside the bound of Proposition 2."""

from typing import Any

import streamlit as st

from pages.parts.charts import inked
from pages.parts.downloads import table_behind
from pages.parts.measured import origin_of
from pages.parts.text import md
from unlearn_core.experiments.proposition import CURVE, SERIES, bound_and_error, points_of, relative
from unlearn_core.experiments.study import Study
from unlearn_core.plots import sparsity as plots

FORMULA = (
    r"\mathrm{e}(m) = \mathcal{O}\!\left(\eta^2\, t\, \|m \odot (\theta_t - \theta_0)\|_2\, \sigma(m)\right)"
)
ERRORS = (
    "Error: distance of the weights to those of retraining. One step back adds the forget set's training steps back with "
    "gradients at the first weights, the ascent that the proposition is about; gradient ascent is the method by its defaults."
)
WHAT = (
    "Proposition 2 of the paper: how far the weights after gradient ascent lie from those of retraining grows at most with the "
    "square of the learning rate η, the training steps t, how far training moved the weights that the mask m keeps, and σ(m), "
    "the largest curvature of the loss along these weights. The paper concludes that the error is smaller where fewer weights "
    "are kept. Whether bound and error do fall here is what the figure shows."
)
SETTING = (
    "Measured in the proposition's own setting: plain SGD at a constant rate, retraining on the same batches in the same order "
    "without the forget set, distances over the weights that the mask keeps. The proposition leaves a constant open, so every "
    "curve begins at 1 on the dense model. Departures: the network has batch norms; the curvature is that at the end of "
    "training, by power iteration on 256 training images; and the method as it is run takes its own rate and steps."
)


def draw(studies: list[Study]) -> None:
    """The stored curves, one study at a time."""
    st.caption(md(WHAT))
    st.latex(FORMULA)
    swept = [s for s in studies if points_of(s.curves)]
    if not swept:
        st.info("The bound hasn't been measured yet. From the folder of the app, this makes it:")
        st.code("python -m benchmarks.proposition", language="bash")
        return
    study = swept[0]
    if len(swept) > 1:
        study = st.selectbox("Study", swept, format_func=lambda s: s.about, key="sparsity bound of")
    rows = relative(points_of(study.curves))
    text = bound_and_error(rows)
    if text:
        st.markdown(f"**{md(text)}**")
    names = list(SERIES.values())
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.altair_chart(inked(plots.relative(rows, names)), width="stretch", key=f"bound {study.name}")
    with right:
        st.altair_chart(inked(plots.legend(names, "", 1)), width="stretch", key=f"bound legend {study.name}")
        st.caption(md(ERRORS))
        st.caption(md(SETTING))
    with st.expander("Where these numbers come from"):
        origin_of(study)
    table_behind([_readable(p) for p in _points(study)], f"bound-{study.name}", formats=_FORMATS)


_FORMATS = {
    k: "%.4g"
    for k in ("η", "‖m⊙(θₜ−θ₀)‖", "σ(m)", "bound", "after one step back", "after ascent", "untouched")
}


def _points(study: Study) -> list[dict[str, Any]]:
    return list(study.curves[CURVE]["points"])


def _readable(point: dict[str, Any]) -> dict[str, Any]:
    return {
        "sparsity, %": 100 * point["sparsity"],
        "seed": point["seed"],
        "η": point["lr"],
        "t": point["steps"],
        "‖m⊙(θₜ−θ₀)‖": point["moved"],
        "σ(m)": point["sigma"],
        "bound": point["bound"],
        "after one step back": point["single"],
        "after ascent": point["ascent"],
        "untouched": point["untouched"],
        "test accuracy, %": 100 * point["accuracy"],
    }
