"""Charts of a federation: who holds what, and who trained in which round."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from unlearn_core.plots.colors import ACCENT, FOCUS, QUIET, SEQUENTIAL
from unlearn_core.plots.marks import CROSS, FORGOTTEN, RETAINED, Rows, class_axis, described, marked

MOST_BUBBLES = 30
"""More clients than this are drawn as a heatmap."""
_FEW = 12
MOST_CELLS = 10_000
"""More cells than this make a picture slow."""


def holdings(rows: Rows, classes: Sequence[str]) -> alt.LayerChart:
    """Clients by classes: a bubble's area is how many images; what is to be forgotten is a cross, as are its carriers.

    Args:
        rows: From `federation.holding_rows`.
        classes: The K class names, in the model's order.
    """
    clients = sorted({r["client"] for r in rows})
    table = pd.DataFrame([{**r, "class": marked(r["class"], r["forget"])} for r in rows])
    forgotten = {r["class"] for r in rows if r["forget"]}
    order = [marked(name, name in forgotten) for name in classes]
    carriers = {r["client"] for r in rows if r["carries"]}
    x = alt.X(
        "class:N",
        sort=order,
        axis=class_axis(None, orient="top", labelAngle=0, labelOverlap="greedy", labelFontSize=13),
    )
    y = alt.Y("client:O", axis=_client_axis(carriers, len(clients)))
    tooltip = [alt.Tooltip("client:O"), alt.Tooltip("class:N"), alt.Tooltip("images:Q", format=",")]
    base = alt.Chart(table[table["images"] > 0], height=alt.Step(_step(len(clients)))).encode(
        x, y, tooltip=tooltip
    )
    many = len(clients) > MOST_BUBBLES
    layers = _tiles(base, rows) if many else _bubbles(base, rows, len(clients))
    return described(alt.layer(*layers), holdings_alt(rows, len(clients)))


def holdings_alt(rows: Rows, clients: int) -> str:
    """What the picture shows, as a sentence."""
    hidden = [r for r in rows if r["forget"] and r["images"]]
    carriers = f" {len({r['client'] for r in hidden})} clients carry a class to forget." if hidden else ""
    largest = max((r["images"] for r in rows), default=0)
    return f"Images of each class at each of {clients} clients, up to {largest} in one place.{carriers}"


def _bubbles(base: alt.Chart, rows: Rows, clients: int) -> list[alt.Chart]:
    largest = max((r["images"] for r in rows), default=1)
    size = alt.Size(
        "images:Q",
        scale=alt.Scale(domain=[0, largest], range=[0, 800 if clients <= _FEW else 420]),
        legend=alt.Legend(
            title="images",
            orient="bottom",
            values=sorted({1, -(-largest // 2), largest}),
            symbolFillColor=RETAINED,
        ),
    )
    kept = base.transform_filter("!datum.forget").mark_circle(color=RETAINED, opacity=0.85).encode(size)
    gone = base.transform_filter("datum.forget").mark_point(
        shape="cross", angle=45, filled=True, color=FORGOTTEN, opacity=1
    )
    return [kept, gone.encode(size)]


def _tiles(base: alt.Chart, rows: Rows) -> list[alt.Chart]:
    largest = max((r["images"] for r in rows), default=1)
    legend = alt.Legend(title="images", orient="bottom", direction="horizontal", values=[0, largest])
    colour = alt.Color("images:Q", scale=_sequential(largest), legend=legend)
    return [base.mark_rect().encode(colour)]


def _sequential(high: float) -> alt.Scale:
    return alt.Scale(scheme=SEQUENTIAL, domain=[0, high])  # type: ignore[arg-type]


def _client_axis(carriers: set[int], clients: int) -> alt.Axis:
    carried = f"indexof({sorted(carriers)}, datum.value) >= 0"
    return alt.Axis(
        title="client",
        labelExpr=f"({carried} ? '{CROSS} ' : '') + datum.label",
        labelOverlap="greedy" if clients > MOST_BUBBLES else False,
        labelFontSize=13,
        grid=clients <= MOST_BUBBLES,
        ticks=False,
        domain=False,
    )


def _step(clients: int) -> float:
    """Height of a client's row."""
    return 32 if clients <= _FEW else 22 if clients <= MOST_BUBBLES else max(1.0, 640 / clients)


def participation(rows: Rows) -> alt.LayerChart:
    """Rounds by clients: brighter is a higher loss; a stroke is a client that gave no usable answer.

    Args:
        rows: From `federation.cells`.
    """
    table = pd.DataFrame(rows)
    known = [r["loss"] for r in rows if r["loss"] is not None]
    high = max(known, default=1.0)
    clients = len({r["client"] for r in rows})
    x = alt.X(
        "round:O",
        title="round",
        axis=alt.Axis(labelAngle=0, labelOverlap="greedy", ticks=False, domain=False),
    )
    y = alt.Y("client:O", title="client", axis=alt.Axis(labelOverlap="greedy", ticks=False, domain=False))
    tooltip = [
        alt.Tooltip("round:O"),
        alt.Tooltip("client:O"),
        alt.Tooltip("state:N"),
        alt.Tooltip("loss:Q", format=".4g"),
        alt.Tooltip("bytes_down:Q", title="bytes received", format=","),
        alt.Tooltip("bytes_up:Q", title="bytes sent", format=","),
    ]
    legend = alt.Legend(
        title="loss of the last batch", orient="top", direction="horizontal", values=[0, high], format=".2~g",
        gradientLength=160, gradientThickness=10, titleFontWeight="normal", titleLimit=260,
    )  # fmt: skip
    base = alt.Chart(
        table, height=alt.Step(24 if clients <= MOST_BUBBLES else max(1.0, 640 / clients))
    ).encode(x, y, tooltip=tooltip)
    trained = base.transform_filter("datum.state == 'trained'").mark_rect(stroke=QUIET, strokeWidth=0.5)
    unknown = trained.transform_filter("datum.loss == null").mark_rect(color=FOCUS, opacity=0.5)
    scale = _sequential(high)
    coloured = trained.transform_filter("datum.loss != null").encode(
        alt.Color("loss:Q", scale=scale, legend=legend)
    )
    missed = base.transform_filter("datum.state == 'dropped' || datum.state == 'rejected'")
    strokes = missed.mark_text(text="╱", color=ACCENT, fontSize=16, fontWeight="bold")
    return described(alt.layer(coloured, unknown, strokes), participation_alt(rows))


def participation_alt(rows: Rows) -> str:
    """Who trained and who didn't, as a sentence."""
    counts = {s: sum(r["state"] == s for r in rows) for s in ("trained", "dropped", "rejected", "not asked")}
    parts = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"Training by round and client: {parts}."
