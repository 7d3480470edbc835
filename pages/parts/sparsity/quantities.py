"""What the figures over sparsity and of l1-sparse share: a chart for each quantity, and their rows as a person reads them."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from pages.parts.charts import inked
from unlearn_core.experiments.sweep import QUANTITIES
from unlearn_core.plots import sparsity as plots
from unlearn_core.plots.marks import Rows
from unlearn_core.unlearning.registry import REFERENCE

READ_GREY = (
    "Grey is retraining from scratch with its 95 % interval over seeds: a method does well where it lies on the grey, not "
    "where it is high. In the last chart grey reaches up to the noise floor, how far retraining lies from itself under "
    "another seed without the same images."
)
_COLUMNS = 3


def draw(rows: Rows, chart_of: Callable[[Rows, str], Any], key: str) -> None:
    """A chart for each quantity, three beside each other; a sentence where nothing of it was measured."""
    for start in range(0, len(QUANTITIES), _COLUMNS):
        for column, quantity in zip(st.columns(_COLUMNS), QUANTITIES[start : start + _COLUMNS], strict=False):
            of_quantity = [row for row in rows if row["quantity"] == quantity]
            if of_quantity:
                chart = inked(chart_of(of_quantity, quantity))
                column.altair_chart(chart, width="stretch", key=f"{key} {quantity}")
            else:
                column.info(f"{plots.TITLES[quantity]}: nothing measured yet.")


def readable(rows: Rows, columns: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The rows of the table behind the charts; retraining's gap is the noise floor.

    Args:
        rows: As the charts draw them.
        columns: Title and key of what stands between the method and its values.
    """
    return [
        {
            "method": row["series"],
            **{title: row[key] for title, key in columns},
            "measure": _measure(row["quantity"], row["method"]),
            "mean": row["mean"],
            "95 % from": row["low"],
            "to": row["high"],
            "seeds": row["seeds"],
        }
        for row in rows
    ]


def _measure(quantity: str, method: str) -> str:
    return (
        "noise floor, points" if (quantity, method) == ("avg_gap", REFERENCE) else str(plots.TITLES[quantity])
    )
