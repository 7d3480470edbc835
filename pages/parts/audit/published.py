"""The attacks that papers report, for every model of the run, with what each number should be."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.parts.audit.data import Audited
from pages.parts.downloads import csv_bytes
from pages.parts.text import md
from unlearn_core.intervals import Tally, guessing, wilson
from unlearn_core.words import figure, span

_COLUMNS = {
    "efficacy": "MIA efficacy, %",
    "privacy": "MIA privacy, %",
    "loss_attack": "Loss attack, %",
}
_ABOUT = {
    "efficacy": (
        "MIA efficacy",
        "Share of the forget set that a support vector machine, which learned from the confidences of retained and of test "
        "images, takes for never seen.",
    ),
    "privacy": (
        "MIA privacy",
        "The same machine, learned on one half and tried on the other: how well it tells retained from test images; 50 is "
        "guessing, and nothing that was forgotten plays a part in it.",
    ),
    "loss_attack": (
        "Loss attack",
        "The starter kit's: logistic regression on the loss tells the forget set from unseen images; 50 is ideal.",
    ),
}


def draw(run: Audited) -> None:
    """Draws the tab."""
    rows = _rows(run)
    if not rows:
        st.info(
            "This run was made before these attacks were part of a result; start it again on the Forget page."
        )
        return
    columns = {"model": "Model", **_COLUMNS}
    table = pd.DataFrame(rows)[list(columns)].rename(columns=columns)
    formats = {
        label: st.column_config.NumberColumn(format="%.1f", help=_ABOUT[name][1])
        for name, label in _COLUMNS.items()
    }
    st.dataframe(table, hide_index=True, column_config=formats)
    st.download_button(
        "CSV", csv_bytes(rows), "published_attacks.csv", "text/csv", key="csv published", on_click="ignore"
    )
    for name, (title, about) in _ABOUT.items():
        st.markdown(f"**{title}.** {about} {md(_null(run, rows, name))}")
    if run.classes:
        st.caption(
            "Where a class is forgotten, the test images that MIA efficacy learns from hold none of that class. On images to "
            "which a model gives a confidence that no other image has, the machine's curve runs out to one side or the other: "
            "efficacy is then 0 or 100 and changes with the seed, whether the class is forgotten or only hidden; see the masked "
            "logit. The threshold attack compares with unseen images of the same class instead."
        )
    st.caption(
        "MIA efficacy and privacy: Jia et al., NeurIPS 2023. Loss attack: NeurIPS 2023 machine unlearning challenge."
    )


def _rows(run: Audited) -> list[dict[str, Any]]:
    result = run.side.result
    evaluations = {
        "before": result.before,
        "after": result.after,
        **{name: control.evaluation for name, control in result.controls.items()},
    }
    order = sorted(evaluations, key=lambda name: name != "before" and name != "after" and name != "retrain")
    rows = []
    for name in order:
        attacks = evaluations[name].mia
        if attacks:
            values = {k: getattr(attacks, k) for k in _COLUMNS}
            shares = {k: None if share is None else 100 * share for k, share in values.items()}
            stored = name in result.controls and result.controls[name].stored
            label = run.label(name) + (" (stored)" if stored else "")
            rows.append({"name": name, "model": label, **shares})
    return rows


def _null(run: Audited, rows: list[dict[str, Any]], measure: str) -> str:
    """What this run gave beside what retraining gave."""
    values = {row["name"]: row[measure] for row in rows}
    if values.get("after") is None:
        return "There were too few images for it here."
    ours = f"Here: {values['after']:.1f} %"
    if measure == "efficacy":
        total = len(run.models["after"]["forget"])
        ends = wilson(Tally.nearest(values["after"] / 100, total))
        ours += f" (95 % interval {span(ends.low, ends.high)}, {total:,} images)"
    reference = values.get("retrain")
    theirs = "" if reference is None else f"; retraining gave {reference:.1f} %"
    if measure != "efficacy":
        return f"{ours}{theirs}; {_by_chance(run, measure)}"
    if reference is None:
        return f"{ours}; the aim is what retraining would give, which nobody measured for this run."
    return f"{ours}; the aim is what retraining gives, {reference:.1f} %."


def _by_chance(run: Audited, measure: str) -> str:
    """How far from 50 such an attack gets with this many images where there is nothing to find, 95 %."""
    images = run.side.result.images
    of_retained = min(images.retain, images.test) // 2
    of_forgotten = min(images.forget, images.test_forget or images.test)
    few = of_retained if measure == "privacy" else of_forgotten
    reach = guessing(2 * few).high - 0.5
    return (
        f"with {few:,} images of each kind, chance alone moves it about {figure(reach, 0)} points up or down."
    )
