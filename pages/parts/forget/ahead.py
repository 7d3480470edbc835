"""What can be said before a training run: what will tell whether it forgot, and what a random share takes."""

from typing import Any

import streamlit as st

from pages.parts.downloads import table_behind
from pages.parts.opened import opened
from pages.parts.selection import Selection
from unlearn_core.results.result import Part
from unlearn_core.words import percent

_MEASURES = {
    "ua": ("**UA**", "images to forget, answered wrongly"),
    "mia": ("**MIA efficacy**", "images to forget, taken for never seen"),
    "ra": ("**RA**", "retained training images, answered rightly"),
    "ta": ("**TA**", "test images of what is kept, answered rightly"),
}
_OF_CLASSES = {
    "ua": "near 100 %",
    "mia": "what retraining gives",
    "ra": "hardly below now",
    "ta": "hardly below now",
}
_OF_SHARE = {
    "ua": "what retraining gives, not 100 %",
    "mia": "what retraining gives, not 100 %",
    "ra": "hardly below now",
    "ta": "hardly below now",
}


def targets(reference: Part | None, share: bool) -> None:
    """A table of the measures, what they should be, and what a stored retrained model gives where there is one."""
    aims = _OF_SHARE if share else _OF_CLASSES
    measures = reference.evaluation.measures if reference else None
    head = "| measure | | should be |" + (" retraining gave |" if measures else "")
    lines = [head, "|:--|:--|:--|" + ("--:|" if measures else "")]
    for name, (label, what) in _MEASURES.items():
        value = getattr(measures, name, None)
        given = (f" {percent(value)} |") if measures else ""
        lines.append(f"| {label} | {what} | {aims[name]} |{given}")
    st.markdown("\n".join(lines))


def draw(chosen: Selection, fraction: float, seed: int) -> str:
    """Draws what a random share takes; the sentence that opens the page.

    Raises:
        UnlearnError: Model or data can't be opened.
    """
    rows = _by_class(chosen, fraction, seed)
    forgotten, total = (sum(r[key] for r in rows) for key in ("forgotten", "images"))
    few, many = min(r["forgotten"] for r in rows), max(r["forgotten"] for r in rows)
    st.markdown(
        f"No channel encodes a random share, so there is nothing to silence ahead. Of each class {few:,} to {many:,} "
        "training images are forgotten; the test set stays whole. Whether they are gone is told by:"
    )
    targets(None, share=True)
    st.caption(
        "A model that never saw these images still recognises most of them. Small shares on small data leave little to "
        "measure: where the untouched model's UA lies within noise of retraining's, the result says so."
    )
    table_behind(rows, "share_by_class")
    spread = ", from every class" if few else ""
    return (
        f"Draw {seed} takes {forgotten:,} of {total:,} training images to forget{spread}: unlearning should make the model "
        "answer like one that never saw them."
    )


def _by_class(chosen: Selection, fraction: float, seed: int) -> list[dict[str, Any]]:
    from unlearn_core.data.split import ForgetSpec, split_dataset

    with opened(chosen) as (loaded, data):
        return _counted(loaded.digest, data.digest, fraction, seed, data, ForgetSpec, split_dataset)


@st.cache_resource(show_spinner="Drawing the share …", max_entries=64)
def _counted(
    model: str, digest: str, fraction: float, seed: int, _data: Any, _spec: Any, _split: Any
) -> list[dict[str, Any]]:
    split = _split(_data, _spec((), fraction, seed))
    gone, all_ = split.forget.labels.tolist(), _data.train.labels.tolist()
    return [
        {"class": name, "forgotten": gone.count(k), "images": all_.count(k)}
        for k, name in enumerate(_data.classes)
    ]
