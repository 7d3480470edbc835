"""The attack with a threshold to drag: both error rates, its advantage, and the images on each side."""

from typing import Any

import numpy as np
import streamlit as st

from pages.parts.audit import images
from pages.parts.audit.data import Audited
from pages.parts.charts import ink
from pages.parts.downloads import table_behind
from pages.parts.text import md
from unlearn_core.attacks.audit import SCORES, Answered, Contest, Score, span, staged
from unlearn_core.attacks.threshold import Attack, grid, histogram, rates
from unlearn_core.intervals import Tally, wilson
from unlearn_core.plots.attack import SELECTION, Group, Scale, alt_text, stage

_BINS = 80
_CHART = "audit stage"
_WANTED = "audit wanted"
_SHOWN = "audit shown"
_KINDS = {"forget": "forgotten", "retain": "retained"}
_QUIET: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off", "border": True}


def draw(found: Audited) -> None:
    """Draws the tab."""
    model, contest, score = pickers(found)
    answers = found.models[model]
    attack = staged(answers, contest, score)
    low, high = span(
        [found.models[m] for m in ("before", "after", found.retrained) if m in found.models], score
    )
    thresholds = grid(low, high, attack.best)
    where = f"{found.side.source} {model} {contest.name} {score.name}"
    present = _threshold(where, score, thresholds, attack)
    _metrics(contest, attack, present)
    left, right = st.columns([5, 3], gap="large")
    with left:
        _slider(thresholds, present, score, attack)
        _chart(found, answers, contest, score, attack, thresholds, present)
    with right:
        _told(found, contest, score, attack, present)
    images.draw(found, answers, contest, score, present)


def pickers(found: Audited, *, model: bool = True) -> tuple[str, Contest, Score]:
    """Which model is attacked, on which images, by which score; kept in the URL."""
    chosen = "after"
    if model:
        chosen = _segmented("Model", "attacked", list(found.models), found.label, "after")
    with st.container(horizontal=True, gap="medium"):
        contest = _segmented(
            "Told apart", "told_apart", list(found.contests), _CONTESTS.__getitem__, "forget"
        )
        score = _segmented(
            "Score",
            "score",
            list(SCORES),
            lambda name: SCORES[name].label,
            "confidence",
            help=" ".join(f"**{s.label}.** {s.about}" for s in SCORES.values()),
        )
    return chosen, found.contests[contest], SCORES[score]


_CONTESTS = {"forget": "✕ Forget set | unseen", "retain": "Retain set | unseen"}


def _segmented(label: str, key: str, options: list[str], told: Any, default: str, **more: Any) -> str:
    picked = st.segmented_control(
        label, options, format_func=told, default=default, key=key, required=True, bind="query-params", **more
    )
    return str(picked) if picked in options else default


def _threshold(where: str, score: Score, thresholds: list[float], attack: Attack) -> float:
    """The chosen threshold of this score; the strongest attack's where none was chosen yet."""
    wanted = st.session_state.setdefault(_WANTED, {})
    if score.name not in wanted:
        wanted[score.name] = _from_url(score.name, attack.best)
    near = float(thresholds[int(np.abs(np.array(thresholds) - wanted[score.name]).argmin())])
    shown = st.session_state.get(_SHOWN, {})
    if shown.get("where") != where:
        _move(where, near)
    return near


def _move(where: str, threshold: float) -> None:
    """Has the chart draw its line anew; one that was dragged in the chart stands there already."""
    moves = st.session_state.get(_SHOWN, {}).get("moves", 0)
    st.session_state[_SHOWN] = {"where": where, "threshold": threshold, "moves": moves + 1}


def _from_url(score: str, otherwise: float) -> float:
    name, _, value = st.query_params.get("threshold", "").partition(" ")
    try:
        return float(value) if name == score and np.isfinite(float(value)) else otherwise
    except ValueError:
        return otherwise


def _choose(score: str, threshold: float, *, redraw: bool = True) -> None:
    st.session_state[_WANTED][score] = threshold
    st.query_params["threshold"] = f"{score} {threshold:.6g}"
    if redraw:
        _move(st.session_state[_SHOWN]["where"], threshold)


def _slider(thresholds: list[float], present: float, score: Score, attack: Attack) -> None:
    key = f"audit threshold {score.name}"
    st.session_state[key] = present
    bar, button = st.columns([4, 1], vertical_alignment="bottom")
    bar.select_slider(
        f"Threshold on the {score.label.lower()}: from here on, “trained on”",
        thresholds,
        format_func=score.told,
        key=key,
        on_change=lambda: _choose(score.name, st.session_state[key]),
        help="Drag it here or in the chart, or use the arrow keys.",
    )
    button.button(
        "Strongest",
        key="audit strongest",
        help="The threshold with the largest advantage: an attacker who knew the truth would choose it.",
        on_click=lambda: _choose(score.name, attack.best),
        width="stretch",
    )


def _chart(
    found: Audited,
    answers: Answered,
    contest: Contest,
    score: Score,
    attack: Attack,
    thresholds: list[float],
    present: float,
) -> None:
    low, high = thresholds[0], thresholds[-1]
    edges = np.linspace(low, high, _BINS + 1)
    groups = [
        Group(
            name,
            _KINDS.get(part, "unseen"),
            len(answers[part]),
            histogram(score.of(answers[part]), edges),
            part in (contest.members, contest.others),
        )
        for part, name in found.groups().items()
        if len(answers[part])
    ]
    table = [{**row, "told": score.told(row["threshold"])} for row in rates(attack, thresholds)]
    scale = Scale(low, high, {t: score.tick(t) for t in score.ticks}, f"{score.label} (surer to the right)")
    shown = st.session_state[_SHOWN]
    near = min(thresholds, key=lambda t: abs(t - shown["threshold"]))
    spec = stage(groups, table, scale, near, attack.blind, ink())
    # A chart of the same key would put back the line that was last dragged in it.
    key = f"{_CHART} {shown['moves']}"
    st.vega_lite_chart(
        spec,
        key=key,
        on_select=lambda: _dragged(key, score.name),
        selection_mode=SELECTION,
        alt=alt_text(
            groups, score.told(present), 1 - attack.caught(present).share, attack.alarms(present).share
        ),
    )
    st.caption(
        "Solid: called “trained on”; pale: called “never seen”, or not part of this attack. Each row is scaled to its highest "
        "bar, and the outer bars hold what lies beyond. Grey band: advantages that a blind attack reaches by chance, 95 %."
    )
    table_behind(
        [{k: 100 * v if k != "threshold" and k != "told" else v for k, v in row.items()} for row in table],
        "attack_thresholds",
        formats={"threshold": "%.4f"},
    )


def _dragged(key: str, score: str) -> None:
    points = st.session_state[key].get("selection", {}).get(SELECTION, [])
    if points:
        _choose(score, float(points[0]["threshold"]), redraw=False)


def _metrics(contest: Contest, attack: Attack, threshold: float) -> None:
    caught, alarms, right = attack.caught(threshold), attack.alarms(threshold), attack.auc
    missed = Tally(caught.total - caught.correct, caught.total)
    gained = f"{100 * attack.advantage(threshold):+.1f}".replace("-", "−")
    cross = "✕ " if contest.members == "forget" else ""
    shown = (
        (f"{cross}Missed", _share(missed), _interval(missed), "missed"),
        ("False alarms", _share(alarms), _interval(alarms), "alarms"),
        ("Advantage, points", gained, f"by chance up to {100 * attack.blind:.1f}", "advantage"),
        (
            "Tells which is which",
            f"{100 * right.estimate:.0f} %",
            f"{100 * right.low:.0f} to {100 * right.high:.0f}; guessing 50",
            "right",
        ),
    )
    for column, (label, value, delta, name) in zip(st.columns(4), shown, strict=True):
        column.metric(label, value, delta, help=_HELP[name], **_QUIET)


def _told(found: Audited, contest: Contest, score: Score, attack: Attack, threshold: float) -> None:
    names = {part: name[0].lower() + name[1:] for part, name in found.groups().items()}
    caught, alarms = attack.caught(threshold), attack.alarms(threshold)
    st.markdown(
        md(
            f"An image with a {score.label.lower()} of {score.told(threshold)} or {_BETTER[score.name]} is called “trained on”: "
            f"{caught.correct:,} of {caught.total:,} in the {names[contest.members]}, and {alarms.correct:,} of "
            f"{alarms.total:,} of the images “{names[contest.others]}”."
        )
    )
    if attack.largest <= attack.blind:
        st.markdown(
            f":gray-badge[within noise] Even the strongest threshold gains {100 * attack.largest:.1f} points, and with so many "
            f"images a blind attack reaches {100 * attack.blind:.1f} by chance."
        )
    else:
        st.markdown(
            f":orange-badge[above chance] The strongest threshold gains {100 * attack.largest:.1f} points; a blind attack "
            f"reaches no more than {100 * attack.blind:.1f} by chance in 95 of 100 cases."
        )
    st.caption(
        "A threshold attack is weak: that it fails does not prove that a class is forgotten inside. A masked logit fools it too."
    )


def _share(tally: Tally) -> str:
    return f"{100 * tally.share:.1f} %"


def _interval(tally: Tally) -> str:
    ends = wilson(tally)
    return f"{tally.correct:,} of {tally.total:,}, 95 %: {100 * ends.low:.0f} to {100 * ends.high:.0f}"


_BETTER = {"confidence": "more", "entropy": "less", "loss": "less"}
_HELP = {
    "missed": "Images that the original model was trained on, called “never seen”. After forgetting, this should be as high as "
    "among unseen images.",
    "alarms": "Unseen images, called “trained on”.",
    "advantage": "Members caught less false alarms, in points: 0 tells nothing, 100 everything. The best threshold is picked "
    "knowing the truth, so that chance alone gives it something.",
    "right": "Shown one image of each group, how often the one with the higher score is the one that was trained on: the area "
    "under the ROC curve, with DeLong's 95 % interval over images.",
}
