"""A result among its controls: what each leaves of the forgotten class, and what it keeps of the others."""

import altair as alt
import pandas as pd

from unlearn_core.plots.marks import FORGOTTEN, NOISE, RETAINED, Rows, described, percent_axis


def forget_retain(rows: Rows) -> alt.LayerChart:
    """One line a model from forget accuracy (a cross) to retain accuracy (a disc), with 95 % whiskers; controls dashed.

    Args:
        rows: From `comparison.standing`.
    """
    known = [r for r in rows if r["forgotten"] is not None]
    table = pd.DataFrame(known)
    table["kind"] = ["control" if r["control"] else "result" for r in known]
    base = alt.Chart(table, height=alt.Step(34)).encode(
        alt.Y(
            "name:N",
            sort=list(table["name"]),
            title=None,
            axis=alt.Axis(
                ticks=False,
                domain=False,
                labelLimit=220,
                labelFontWeight={
                    "condition": {"test": f"datum.label == {_main(known)!r}", "value": "bold"},
                    "value": "normal",
                },
            ),
        ),
        tooltip=[
            alt.Tooltip("name:N", title=""),
            alt.Tooltip("forgotten:Q", title="forgotten classes, %", format=".1f"),
            alt.Tooltip("retained:Q", title="other classes, %", format=".1f"),
        ],
    )
    dashes = alt.condition("datum.kind == 'control'", alt.value([5, 4]), alt.value([1, 0]))
    x = alt.X("forgotten:Q", scale=alt.Scale(domain=[0, 100]), axis=percent_axis("test accuracy"))
    chart = alt.layer(
        base.mark_rule(strokeWidth=2, color=NOISE, opacity=0.7).encode(
            x, alt.X2("retained:Q"), strokeDash=dashes
        ),
        base.mark_rule(strokeWidth=5, color=FORGOTTEN, opacity=0.3).encode(
            alt.X("forgotten_low:Q"), alt.X2("forgotten_high:Q")
        ),
        base.mark_rule(strokeWidth=5, color=RETAINED, opacity=0.3).encode(
            alt.X("retained_low:Q"), alt.X2("retained_high:Q")
        ),
        base.mark_point(shape="cross", angle=45, size=140, filled=True, color=FORGOTTEN, opacity=1).encode(x),
        base.mark_point(shape="circle", size=110, filled=True, color=RETAINED, opacity=1).encode(
            alt.X("retained:Q")
        ),
    )
    parts = "; ".join(f"{r['name']}: {r['forgotten']:.0f} % and {r['retained']:.0f} %" for r in known)
    return described(chart, f"Test accuracy on forgotten and on other classes. {parts}.")


def _main(rows: Rows) -> str:
    return next((str(r["name"]) for r in rows if r["main"]), "")
