"""What the charts of results have in common: the forgotten class's cross, and colours that hold on light and dark."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

# Each has a contrast of 3 or more to the light and to the dark ground, and no two look alike to any colour vision.
FORGOTTEN = "#D55E00"
RETAINED = "#2F86C1"
NOISE = "#8C8C8C"
CROSS = "✕"

Rows = Sequence[Mapping[str, Any]]
"""What a chart draws: values by name, a row for each mark."""


def marked(name: str, forgotten: bool) -> str:
    """A class's name as charts show it: with a cross where it is forgotten."""
    return f"{CROSS} {name}" if forgotten else name


def class_axis(title: str | None, **options: Any) -> alt.Axis:
    """An axis of class names on which the forgotten ones stand out in bold."""
    weight = {
        "condition": {"test": f"substring(datum.label, 0, 1) == '{CROSS}'", "value": "bold"},
        "value": "normal",
    }
    return alt.Axis(
        title=title, labelFontWeight=weight, labelLimit=160, labelFlush=False, labelBound=False, **options
    )


def percent_axis(title: str) -> alt.Axis:
    """An axis of per cent with few lines."""
    return alt.Axis(title=title, values=[0, 25, 50, 75, 100], labelExpr="datum.value + ' %'")


def described(chart: Any, text: str) -> Any:
    """The chart with the sentence that a screen reader says."""
    return chart.properties(description=text)
