"""The ladder: accuracy on forgotten and retained classes from the original over the pruned model to the last epoch."""

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from unlearn_core.plots.marks import FORGOTTEN, NOISE, RETAINED, Rows, described, percent_axis

_GROUPS = alt.Scale(domain=["forgotten", "retained"], range=[FORGOTTEN, RETAINED])
_SHAPES = alt.Scale(domain=["forgotten", "retained"], range=["cross", "circle"])


def ladder(
    rows: Rows,
    controls: Mapping[str, Rows] | None = None,
    share: bool = False,
) -> alt.LayerChart:
    """Lines with 95 % bands over the rungs; a control's line is dashed.

    Args:
        rows: From `comparison.ladder`.
        share: Whether a random share is forgotten, so that one line is of training images.
        controls: Rows of each control's ladder, by its label.
    """
    table = pd.DataFrame(rows)
    axis = "accuracy" if share else "test accuracy"
    rungs = order([r["rung"] for r in rows], *[[r["rung"] for r in c] for c in (controls or {}).values()])
    x = alt.X(
        "rung:N",
        sort=rungs,
        title=None,
        axis=alt.Axis(labelAngle=0, labelOverlap="greedy"),
        scale=alt.Scale(padding=0.3),
    )
    y = alt.Y("accuracy:Q", scale=alt.Scale(domain=[0, 100]), axis=percent_axis(axis))
    colour = alt.Color(
        "group:N",
        scale=_GROUPS,
        title=None,
        legend=alt.Legend(orient="top", symbolType="circle", symbolOpacity=1),
    )
    base = alt.Chart(table, height=330).encode(x, color=colour)
    tooltip = [
        "rung:N",
        "group:N",
        alt.Tooltip("accuracy:Q", format=".1f"),
        alt.Tooltip("images:Q", title="images"),
    ]
    layers = [
        base.mark_area(opacity=0.16).encode(alt.Y("low:Q", axis=percent_axis(axis)), alt.Y2("high:Q")),
        base.mark_line(strokeWidth=2.5).encode(y),
        base.mark_point(size=110, filled=True, opacity=1).encode(
            y,
            shape=alt.Shape("group:N", scale=_SHAPES, legend=None),
            angle=alt.condition("datum.group == 'forgotten'", alt.value(45), alt.value(0)),
            tooltip=tooltip,
        ),
    ]
    if controls:
        layers += [_dashed(controls, x, y), *_written(controls, x, y)]
    return described(alt.layer(*layers), alt_text(rows, share))


def loss(rows: Rows) -> alt.Chart:
    """Loss over the steps of a stage; rows of step and loss."""
    chart = (
        alt.Chart(pd.DataFrame(rows), height=150)
        .mark_line(strokeWidth=2, color=NOISE, point=alt.OverlayMarkDef(color=NOISE, size=30))
        .encode(
            alt.X("step:Q", title="step"),
            alt.Y("loss:Q", title="loss", scale=alt.Scale(zero=True)),
            tooltip=["step:Q", alt.Tooltip("loss:Q", format=".4f")],
        )
    )
    return described(
        chart,
        f"Training loss over {len(rows)} reports; now {rows[-1]['loss']:.3g}." if rows else "No loss yet.",
    )


def order(*courses: Sequence[str]) -> list[str]:
    """The rungs of several courses in one order: original, pruned, then the epochs by number."""
    names = dict.fromkeys(name for course in courses for name in course)
    return sorted(names, key=_rank)


def alt_text(rows: Rows, share: bool = False) -> str:
    """What the ladder shows, as a sentence."""
    parts = []
    names = {"forgotten": "images to forget", "retained": "test images"} if share else {}
    for group in ("forgotten", "retained"):
        course = [f"{r['rung']} {r['accuracy']:.0f} %" for r in rows if r["group"] == group]
        if course:
            parts.append(f"{names.get(group, f'{group} classes')}: {', '.join(course)}")
    return f"{'Accuracy' if share else 'Test accuracy'} by rung. {'; '.join(parts)}."


def _rank(rung: str) -> tuple[int, int, str]:
    first = {"original": 0, "pruned": 1}.get(rung, 2)
    number = rung.rpartition(" ")[2]
    return first, int(number) if number.isdigit() else 0, rung


def _dashed(controls: Mapping[str, Rows], x: alt.X, y: alt.Y) -> alt.Chart:
    """What the controls leave of the forgotten classes."""
    rows = [
        {**r, "control": name}
        for name, course in controls.items()
        for r in course
        if r["group"] == "forgotten"
    ]
    return (
        alt.Chart(pd.DataFrame(rows, columns=["control", "rung", "accuracy", "images"]))
        .mark_line(strokeWidth=2, color=NOISE, point=alt.OverlayMarkDef(color=NOISE, size=25))
        .encode(
            x,
            y,
            strokeDash=alt.StrokeDash(
                "control:N",
                legend=None,
                scale=alt.Scale(domain=list(controls), range=_DASHES[: len(controls)]),
            ),
            tooltip=[
                "control:N",
                "rung:N",
                alt.Tooltip("accuracy:Q", title="forgotten class, %", format=".1f"),
            ],
        )
    )


def _written(controls: Mapping[str, Rows], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Each control's name at the end of its line, one below the other where lines end together."""
    texts = []
    for i, (name, course) in enumerate(controls.items()):
        last = [r for r in course if r["group"] == "forgotten"][-1:]
        down = -9 - 13 * i if last and last[0]["accuracy"] < 50 else 14 + 13 * i
        table = pd.DataFrame([{**r, "control": name} for r in last], columns=["rung", "accuracy", "control"])
        mark = alt.Chart(table).mark_text(align="right", dx=8, dy=down, fontSize=12)
        texts.append(mark.encode(x, y, text="control:N"))
    return texts


_DASHES = [[6, 4], [2, 3], [10, 4], [10, 3, 2, 3], [4, 8], [1, 5]]
