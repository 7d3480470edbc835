"""The tabs of Before / after: classes, predictions, the ladder, controls, size and speed, channels."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import compared
from pages.parts.before_after import cell_images
from pages.parts.charts import inked
from pages.parts.downloads import table_behind
from pages.parts.text import md
from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.plots.cuts import cuts
from unlearn_core.plots.dumbbell import dumbbell, most_telling
from unlearn_core.plots.forget_retain import forget_retain
from unlearn_core.plots.ladder import ladder
from unlearn_core.results import comparison
from unlearn_core.results.claims import came_back, verdicts
from unlearn_core.results.result import Forgetting
from unlearn_core.unlearning.registry import REFERENCE, short_label
from unlearn_core.words import signed

TONES = {
    "good": ":green-badge[holds]",
    "bad": ":orange-badge[speaks against it]",
    "note": ":gray-badge[note]",
}
_MOST_RISES = 40
# Less is good for one number and bad for the next: colours and arrows would mislead.
QUIET: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off", "border": True}


def draw(a: compared.Side, b: compared.Side) -> None:
    """Draws the tabs; only the open one is computed."""
    drawn = {
        "Classes": _classes,
        "Predictions": cell_images.draw,
        "Ladder": _ladder,
        "Controls": _controls,
        "Size and speed": _size,
        "Channels": _channels,
    }
    for tab, drawer in zip(
        st.tabs(list(drawn), key="tab", on_change="rerun", bind="query-params"), drawn.values(), strict=True
    ):
        if tab.open:
            with tab:
                drawer(a, b)


def _classes(a: compared.Side, b: compared.Side) -> None:
    rows = comparison.per_class(a.evaluation, b.evaluation)
    shown = most_telling(rows)
    chart = dumbbell(shown, "A", "B")
    st.altair_chart(inked(chart), width="stretch")
    part = (
        f" The {len(shown)} of {len(rows)} classes that changed most; all in the table."
        if len(shown) < len(rows)
        else ""
    )
    st.caption(
        f"○ A · ● B · ✕ forgotten class · whiskers: 95 % Wilson intervals, A above, B below · "
        "number: difference in points · "
        f"grey: the difference lies within noise.{part}"
    )
    table_behind(rows, "accuracy_by_class")


def _ladder(a: compared.Side, b: compared.Side) -> None:
    rows = comparison.ladder(b.result.before, b.result.ladder)
    courses = _control_courses(b.result)
    picked = (
        st.pills("Controls, dashed", list(courses), selection_mode="multi", key="ladder controls", wrap=True)
        if courses
        else []
    )
    share = b.result.before.is_share
    chart = ladder(rows, {name: courses[name] for name in picked}, share)
    st.altair_chart(inked(chart), width="stretch")
    back = came_back(b.result)
    if back:
        st.warning(md(back))
    st.caption(
        "Accuracy after each step; bands: 95 % intervals · ✕ the images to forget, whose target is what retraining gives · "
        "● test images of all classes."
        if share
        else "Test accuracy after each step; bands: 95 % intervals · ✕ forgotten classes · ● all others."
    )
    table_behind(rows, "ladder")


def _control_courses(result: Forgetting) -> dict[str, list[dict[str, Any]]]:
    """Each control's ladder; all but retraining, which begins with a new model, start from the original."""
    start = result.ladder[:1]
    return {
        short_label(name): comparison.ladder(
            result.before, [*([] if name == REFERENCE else start), *control.ladder]
        )
        for name, control in result.controls.items()
        if control.ladder
    }


def _controls(a: compared.Side, b: compared.Side) -> None:
    for verdict in verdicts(b.result):
        st.markdown(f"{TONES[verdict.tone]} {md(verdict.text)}")
    rows = comparison.standing(b.result)
    if any(row["forgotten"] is not None for row in rows):
        chart = forget_retain(rows)
        st.altair_chart(inked(chart), width="stretch")
        st.caption(
            "✕ accuracy on forgotten classes · ● on all others · bars: 95 % intervals · controls are dashed."
        )
    columns = {
        "name": "Model",
        "forgotten": "Forgotten, %",
        "retained": "Others, %",
        "ua": "UA, %",
        "ra": "RA, %",
        "ta": "TA, %",
        "seconds": "Seconds",
        "parameters": "Parameters",
    }
    if b.evaluation.is_share:  # no class is gone, and TA is of all of them
        columns = {k: v for k, v in columns.items() if k not in {"forgotten", "retained"}}
    frame_ = pd.DataFrame(rows)[list(columns)].rename(columns=columns)
    formats = {
        c: st.column_config.NumberColumn(format="%.1f", help=_HELP.get(c))
        for c in list(columns.values())[1:-1]
    }
    st.dataframe(
        frame_,
        hide_index=True,
        column_config={**formats, "Parameters": st.column_config.NumberColumn(format="localized")},
    )
    table_behind(rows, "controls")


def _size(a: compared.Side, b: compared.Side) -> None:
    facts = (
        ("Parameters", "parameters", 1, "", "{:,.0f}"),
        ("Multiply-accumulates an image", "macs", 1e6, " M", "{:,.2f}"),
        ("Weights file", "bytes", 1e3, " KB", "{:,.0f}"),
        (f"A batch of {b.size.batch} images on {b.size.device}", "milliseconds", 1, " ms", "{:,.1f}"),
    )
    for column, (label, name, unit, suffix, form) in zip(st.columns(4), facts, strict=True):
        before, after = getattr(a.size, name), getattr(b.size, name)
        if before and after:
            told = form.format(after / unit) + suffix
            was = f"{signed(100 * (after / before - 1))} % from {form.format(before / unit)}{suffix}"
            column.metric(label, told, was, **QUIET)
    st.caption(
        "The batch time is the median of repeated measurements at the time of the run. Channels that are only silenced make "
        "the model neither smaller nor faster; channels that are cut out do."
    )
    rows = [
        {"fact": label, "A": getattr(a.size, name), "B": getattr(b.size, name)} for label, name, *_ in facts
    ]
    table_behind(rows, "size_and_speed")


def _channels(a: compared.Side, b: compared.Side) -> None:
    plan = b.result.plan
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Channels pruned, by layer**")
        if plan is None:
            st.info("This method prunes no channel.")
        else:
            rows = comparison.cuts(plan)
            chart = cuts(rows)
            st.altair_chart(inked(chart), width="stretch")
            table_behind(rows, "pruned_by_layer")
    with right:
        st.markdown("**Channels that took the class up**")
        _rises(b, plan)


def _rises(b: compared.Side, plan: PruningPlan | None) -> None:
    start = compared.Side(b.key, b.result, b.request, b.source, "before")
    if not b.evaluation.forget_classes:
        st.info("A random share was forgotten: there is no class that a channel could have taken up.")
        return
    before, after = compared.stats(start), compared.stats(b)
    if before is None or after is None:
        st.info("This run kept no activations, so it can't be said which channels took the class up.")
        return
    rows = comparison.re_encoded(before, after, plan, b.evaluation.forget_classes)
    if not rows:
        st.success("No surviving channel became more specific to the forgotten class.")
        return
    most = rows[0]
    st.markdown(
        md(
            f"{len(rows)} surviving channels became more specific to the forgotten class after fine-tuning, most of all "
            f"channel {most['channel']} of {most['layer']}."
        )
    )
    forms = {c: st.column_config.NumberColumn(format="%.4f") for c in ("before", "after", "rise")}
    st.dataframe(pd.DataFrame(rows[:_MOST_RISES]), hide_index=True, column_config=forms, height=320)
    st.caption(
        "TF-IDF for the forgotten class, among surviving channels only, on 100 training images of each class, before and "
        "after. Rising scores hint that the class is being encoded anew; they are no proof that it is recognised."
    )
    table_behind(rows, "risen_channels", formats={"before": "%.4f", "after": "%.4f", "rise": "%.4f"})


_HELP = {
    "UA, %": "Unlearning accuracy: share of the forgotten training images that are now answered wrongly. Its target is "
    "what retraining gives: near 100 % for whole classes, far less for a random share.",
    "RA, %": "Remaining accuracy: on the retained training images.",
    "TA, %": "Testing accuracy: on the test images of the retained classes.",
    "Forgotten, %": "Test accuracy on the forgotten classes: low is forgotten.",
    "Others, %": "Test accuracy on all other classes: high is kept.",
}
