"""How many channels of each layer go."""

import altair as alt
import pandas as pd

from unlearn_core.plots.marks import FORGOTTEN, NOISE, Rows, described


def cuts(rows: Rows) -> alt.LayerChart:
    """A bar a layer: channels that go over all its channels; solid where cut out, striped border where silenced.

    Args:
        rows: From `comparison.cuts`.
    """
    table = pd.DataFrame(rows)
    table["text"] = [f"{r['pruned']} of {r['size']} {r['how']}" for r in rows]
    table["end"] = [r["size"] for r in rows]
    base = alt.Chart(table, height=alt.Step(22)).encode(
        alt.Y("layer:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=180)),
        tooltip=["layer:N", "pruned:Q", "kept:Q", alt.Tooltip("how:N", title="pruned channels are")],
    )
    longest = max((r["size"] for r in rows), default=1)
    x = alt.Scale(domain=[0, longest * 1.45], nice=False)
    chart = alt.layer(
        base.mark_bar(size=12, cornerRadiusEnd=3, color=NOISE, opacity=0.25).encode(
            alt.X("size:Q", title="channels", scale=x, axis=alt.Axis(tickCount=4, grid=False))
        ),
        base.mark_bar(size=12, color=FORGOTTEN, stroke=FORGOTTEN, strokeWidth=1.5).encode(
            alt.X("pruned:Q"),
            fillOpacity=alt.condition("datum.how == 'cut out'", alt.value(1), alt.value(0.35)),
            strokeDash=alt.condition("datum.how == 'cut out'", alt.value([1, 0]), alt.value([4, 2])),
        ),
        base.mark_text(align="left", dx=6, fontSize=12).encode(alt.X("end:Q"), text="text:N"),
    )
    total = sum(r["pruned"] for r in rows)
    return described(
        chart,
        f"Channels to prune in each layer: {total} of {sum(r['size'] for r in rows)} in {len(rows)} layers.",
    )
