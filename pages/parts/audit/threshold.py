"""The attack with a threshold to drag: both error rates, its advantage, and the images on each side."""

import math
from typing import Any

import streamlit as st

from pages.parts.audit import images
from pages.parts.audit.data import Audited
from pages.parts.charts import ink
from pages.parts.downloads import table_behind
from pages.parts.text import md
from unlearn_core.attacks.answers import ModelAnswers
from unlearn_core.attacks.contests import Contest, attack_on
from unlearn_core.attacks.signals import SIGNALS, Signal, chart_range
from unlearn_core.attacks.threshold import Attack, even_bins, histogram, rates, slider_steps
from unlearn_core.intervals import Tally, wilson
from unlearn_core.plots.attack import SELECTION, Group, Scale, alt_text, stage
from unlearn_core.words import figure, percent, signed, span

_BINS = 80
_CHART = "audit stage"
_WANTED = "audit wanted"
_SHOWN = "audit shown"
_KINDS = {"forget": "forgotten", "retain": "retained"}
_QUIET: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off", "border": True}


def draw(run: Audited) -> None:
    """Draws the tab."""
    model, contest, signal = pickers(run)
    answers = run.models[model]
    attack = attack_on(answers, contest, signal)
    low, high = chart_range(
        [run.models[m] for m in ("before", "after", run.retrained) if m in run.models], signal
    )
    thresholds = slider_steps(low, high, attack.best)
    where = f"{run.side.source} {model} {contest.name} {signal.name}"
    present = _threshold(where, signal, thresholds, attack)
    _metrics(contest, attack, present)
    left, right = st.columns([5, 3], gap="large")
    with left:
        _slider(thresholds, present, signal, attack)
        _chart(run, answers, contest, signal, attack, thresholds, present)
    with right:
        _in_words(run, contest, signal, attack, present)
    images.draw(run, answers, contest, signal, present)


def pickers(run: Audited, *, model: bool = True) -> tuple[str, Contest, Signal]:
    """Which model is attacked, on which images, by which signal; kept in the URL."""
    attacked = "after"
    if model:
        attacked = _segmented("Model", "attacked", list(run.models), run.label, "after")
    with st.container(horizontal=True, gap="medium"):
        contest = _segmented("Told apart", "told_apart", list(run.contests), _CONTESTS.__getitem__, "forget")
        signal = _segmented(
            "Score",
            "score",
            list(SIGNALS),
            lambda name: SIGNALS[name].label,
            "confidence",
            help=" ".join(f"**{s.label}.** {s.about}" for s in SIGNALS.values()),
        )
    return attacked, run.contests[contest], SIGNALS[signal]


_CONTESTS = {"forget": "✕ Forget set | unseen", "retain": "Retain set | unseen"}


def _segmented(label: str, key: str, options: list[str], name: Any, default: str, **more: Any) -> str:
    picked = st.segmented_control(
        label, options, format_func=name, default=default, key=key, required=True, bind="query-params", **more
    )
    return str(picked) if picked in options else default


def _threshold(where: str, signal: Signal, thresholds: list[float], attack: Attack) -> float:
    """The threshold of this signal that the person chose; the strongest attack's until then."""
    by_signal = st.session_state.setdefault(_WANTED, {})
    if signal.name not in by_signal:
        by_signal[signal.name] = _from_url(signal.name, attack.best)
    near = min(thresholds, key=lambda t: abs(t - by_signal[signal.name]))
    if st.session_state.get(_SHOWN, {}).get("where") != where:
        _move(where, near)
    return near


def _move(where: str, threshold: float) -> None:
    """Has the chart draw its line anew; one that was dragged in the chart stands there already."""
    moves = st.session_state.get(_SHOWN, {}).get("moves", 0)
    st.session_state[_SHOWN] = {"where": where, "threshold": threshold, "moves": moves + 1}


def _from_url(signal: str, otherwise: float) -> float:
    name, _, value = st.query_params.get("threshold", "").partition(" ")
    try:
        return float(value) if name == signal and math.isfinite(float(value)) else otherwise
    except ValueError:
        return otherwise


def _choose(signal: str, threshold: float, *, redraw: bool = True) -> None:
    st.session_state[_WANTED][signal] = threshold
    st.query_params["threshold"] = f"{signal} {threshold:.6g}"
    if redraw:
        _move(st.session_state[_SHOWN]["where"], threshold)


def _slider(thresholds: list[float], present: float, signal: Signal, attack: Attack) -> None:
    key = f"audit threshold {signal.name}"
    st.session_state[key] = present
    bar, button = st.columns([4, 1], vertical_alignment="bottom")
    bar.select_slider(
        f"Threshold on the {signal.label.lower()}: from here on, “trained on”",
        thresholds,
        format_func=signal.text,
        key=key,
        on_change=lambda: _choose(signal.name, st.session_state[key]),
        help="Drag it here or in the chart, or use the arrow keys.",
    )
    button.button(
        "Strongest",
        key="audit strongest",
        help="The threshold with the largest advantage: an attacker who knew the truth would choose it.",
        on_click=lambda: _choose(signal.name, attack.best),
        width="stretch",
    )


def _chart(
    run: Audited,
    answers: ModelAnswers,
    contest: Contest,
    signal: Signal,
    attack: Attack,
    thresholds: list[float],
    present: float,
) -> None:
    low, high = thresholds[0], thresholds[-1]
    edges = even_bins(low, high, _BINS)
    groups = [
        Group(
            name,
            _KINDS.get(part, "unseen"),
            len(answers[part]),
            histogram(signal.of(answers[part]), edges),
            part in (contest.members, contest.others),
        )
        for part, name in run.groups().items()
        if len(answers[part])
    ]
    table = [{**row, "words": signal.text(row["threshold"])} for row in rates(attack, thresholds)]
    scale = Scale(
        low, high, {t: signal.rough_text(t) for t in signal.ticks}, f"{signal.label} (surer to the right)"
    )
    line = st.session_state[_SHOWN]
    near = min(thresholds, key=lambda t: abs(t - line["threshold"]))
    spec = stage(groups, table, scale, near, attack.blind, ink())
    # A chart of the same key would put back the line that was last dragged in it.
    key = f"{_CHART} {line['moves']}"
    st.vega_lite_chart(
        spec,
        key=key,
        on_select=lambda: _dragged(key, signal.name),
        selection_mode=SELECTION,
        alt=alt_text(
            groups, signal.text(present), 1 - attack.caught(present).share, attack.alarms(present).share
        ),
    )
    st.caption(
        "Solid: called “trained on”; pale: called “never seen”, or not part of this attack. Each row is scaled to its highest "
        "bar, and the outer bars hold what lies beyond. Grey band: advantages that a blind attack reaches by chance, 95 %."
    )
    table_behind(
        [{k: 100 * v if k != "threshold" and k != "words" else v for k, v in row.items()} for row in table],
        "attack_thresholds",
        formats={"threshold": "%.4f"},
    )


def _dragged(key: str, signal: str) -> None:
    points = st.session_state[key].get("selection", {}).get(SELECTION, [])
    if points:
        _choose(signal, float(points[0]["threshold"]), redraw=False)


def _metrics(contest: Contest, attack: Attack, threshold: float) -> None:
    caught, alarms, right = attack.caught(threshold), attack.alarms(threshold), attack.auc
    missed = Tally(caught.total - caught.correct, caught.total)
    gained = signed(100 * attack.advantage(threshold))
    cross = "✕ " if contest.members == "forget" else ""
    metrics = (
        (f"{cross}Missed", percent(missed.share), _interval(missed), "missed"),
        ("False alarms", percent(alarms.share), _interval(alarms), "alarms"),
        ("Advantage, points", gained, f"by chance up to {figure(attack.blind)}", "advantage"),
        (
            "Tells which is which",
            percent(right.estimate, 0),
            f"{span(right.low, right.high, 0)}; guessing 50",
            "right",
        ),
    )
    for column, (label, value, delta, name) in zip(st.columns(4), metrics, strict=True):
        column.metric(label, value, delta, help=_HELP[name], **_QUIET)


def _in_words(run: Audited, contest: Contest, signal: Signal, attack: Attack, threshold: float) -> None:
    names = {part: name[0].lower() + name[1:] for part, name in run.groups().items()}
    caught, alarms = attack.caught(threshold), attack.alarms(threshold)
    st.markdown(
        md(
            f"An image with a {signal.label.lower()} of {signal.text(threshold)} or {_BETTER[signal.name]} is called "
            f"“trained on”: {caught.correct:,} of {caught.total:,} in the {names[contest.members]}, and {alarms.correct:,} of "
            f"{alarms.total:,} of the images “{names[contest.others]}”."
        )
    )
    if attack.largest <= attack.blind:
        st.markdown(
            f":gray-badge[within noise] Even the strongest threshold gains {figure(attack.largest)} points, and with so many "
            f"images a blind attack reaches {figure(attack.blind)} by chance."
        )
    else:
        st.markdown(
            f":orange-badge[above chance] The strongest threshold gains {figure(attack.largest)} points; a blind attack "
            f"reaches no more than {figure(attack.blind)} by chance in 95 of 100 cases."
        )
    st.caption(
        "A threshold attack is weak: that it fails does not prove that a class is forgotten inside. A masked logit fools it too."
    )


def _interval(tally: Tally) -> str:
    ends = wilson(tally)
    return f"{tally.correct:,} of {tally.total:,}, 95 %: {span(ends.low, ends.high, 0)}"


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
