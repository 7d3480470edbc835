"""The same attack on every model of the run: before, after, retrained, controls."""

from typing import Any

import streamlit as st

from pages.parts import selection
from pages.parts.audit.data import Audited
from pages.parts.audit.threshold import pickers
from pages.parts.charts import inked
from pages.parts.downloads import table_behind
from pages.parts.text import md
from unlearn_core.attacks.contests import Success
from unlearn_core.attacks.threshold import FEW_ALARMS, roc
from unlearn_core.intervals import wilson
from unlearn_core.plots.attack_success import attack_success, few_alarms
from unlearn_core.unlearning.registry import REFERENCE
from unlearn_core.words import percent


def draw(run: Audited) -> None:
    """Draws the tab."""
    _, contest, signal = pickers(run, model=False)
    by_model = run.success(contest, signal)
    rows = [_row(run, name, success) for name, success in by_model.items()]
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**How often the attack tells which is which**")
        st.altair_chart(inked(attack_success(rows)), width="stretch")
        st.caption(
            "Lines: 95 % intervals over images · grey ●: no difference from retraining (or guessing) beyond noise · ◆ a trace · "
            "■ retrained and its band · controls are dashed · dotted line: guessing."
        )
    with right:
        st.markdown("**How much it catches with few false alarms**")
        st.altair_chart(inked(_few(run, by_model)), width="stretch")
        st.caption(_resolution(len(next(iter(by_model.values())).attack.others)))
    table_behind(rows, "attack_by_model", formats=_FORMATS)
    _reference(run, by_model)


def _row(run: Audited, name: str, success: Success) -> dict[str, Any]:
    few = success.attack.caught_at()
    ends = wilson(few)
    gap = success.gap
    return {
        "name": run.label(name),
        "right": 100 * success.auc.estimate,
        "low": 100 * success.auc.low,
        "high": 100 * success.auc.high,
        "noise": success.noise,
        "control": name not in {"before", "after", run.retrained},
        "reference": name == run.retrained,
        "over_retrained": 100 * gap.estimate if gap else None,
        "over_low": 100 * gap.low if gap else None,
        "over_high": 100 * gap.high if gap else None,
        "largest_advantage": 100 * success.attack.largest,
        "advantage_by_chance": 100 * success.attack.blind,
        "caught_at_1_percent": 100 * few.share,
        "caught_low": 100 * ends.low,
        "caught_high": 100 * ends.high,
    }


def _few(run: Audited, by_model: dict[str, Success]) -> Any:
    """Before, after and retrained; controls would crowd it. Shares of nothing stand at half an image."""
    rows = []
    for name in ("after", "before", "retrain"):
        if name not in by_model:
            continue
        attack = by_model[name].attack
        floor = 0.5 / max(len(attack.members), len(attack.others))
        rows += [
            {"name": run.label(name), **{k: max(v, floor) for k, v in row.items()}} for row in roc(attack)
        ]
    return few_alarms(rows, FEW_ALARMS)


def _resolution(unseen: int) -> str:
    if unseen * FEW_ALARMS >= 1:
        return "Both axes are logarithmic; the upright line marks 1 % false alarms, the dotted one guessing."
    return (
        f"Both axes are logarithmic; the dotted line is guessing. With {unseen} unseen images the smallest rate of false alarms "
        f"above 0 is {percent(1 / unseen)}, so that what happens at 1 % (the upright line) can hardly be said."
    )


def _reference(run: Audited, by_model: dict[str, Success]) -> None:
    if run.retrained == "after":
        st.caption("This run is a retraining itself, so there is no other retrained model to compare with.")
    elif "retrain" in by_model:
        st.caption(
            "The retrained model is one of many: another seed gives a slightly different one, and these intervals, which are "
            "over images, don't know that. So a trace has to differ from guessing as well."
        )
    else:
        reference = run.side.result.controls.get(REFERENCE)
        why = (
            "The retrained reference of this run came with the app, without answers image by image"
            if reference and reference.stored
            else "No model was retrained beside this run"
        )
        st.info(
            md(
                f"{why}; so models are compared with guessing, 50 %, which is what retraining gives on average."
            )
        )
        selection.link("pages/forget.py", "Go to Forget and tick “Retrain” among the controls")


_FORMATS = {
    name: "%.1f"
    for name in ("right", "low", "high", "over_retrained", "over_low", "over_high", "caught_at_1_percent")
}
