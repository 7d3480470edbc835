"""The second figure: the three courses of l1-sparse's penalty beside fine-tuning and retraining."""

from typing import Any

import streamlit as st

from pages.parts.charts import inked
from pages.parts.downloads import table_behind
from pages.parts.sparsity.sweep import READ_GREY
from pages.parts.text import md
from unlearn_core.experiments.grouping import DENSE
from unlearn_core.experiments.sweep import (
    QUANTITIES,
    Family,
    Series,
    floor_at,
    retrained_at,
    series_of,
    trials_at,
    values_at,
)
from unlearn_core.plots import sparsity as plots
from unlearn_core.unlearning.registry import REFERENCE, short_label
from unlearn_core.words import counted

SCHEDULES = ("decreasing", "constant", "increasing")
_COLUMNS = 3
_SMALL = "convolution weights below 1e-4, %"
WHAT = (
    "l1-sparse begins with the dense model and adds γ times the sum of all absolute weights to the loss of fine-tuning. "
    "The weight γ stays, falls to 0 or grows from 0 over the epochs; the paper finds that falling does best."
)


def draw(family: Family) -> None:
    """Six charts, one a measure, and the best course as a sentence."""
    st.caption(md(WHAT))
    rows = _rows(family)
    names = list(dict.fromkeys(r["series"] for r in rows))
    measured = [n for n in names if n in {_name(c) for c in SCHEDULES}]
    if not measured:
        st.info(
            "No run of l1-sparse is stored for this model and what it forgets. Start one on the Forget page; under "
            "“Course of the penalty” stand the three."
        )
        return
    lacking = [c for c in SCHEDULES if _name(c) not in measured]
    if lacking:
        st.caption(
            md(f"Not measured here: {', '.join(lacking)}. Start them on the Forget page with l1-sparse.")
        )
    st.markdown(f"**{md(best(rows))}**")
    label = short_label(REFERENCE)
    st.altair_chart(inked(plots.legend(names, label)), width="stretch", key=f"l1 legend {family.key}")
    for start in range(0, len(QUANTITIES), _COLUMNS):
        columns = st.columns(_COLUMNS)
        for column, quantity in zip(columns, QUANTITIES[start : start + _COLUMNS], strict=False):
            mine = [r for r in rows if r["quantity"] == quantity]
            if mine:
                chart = plots.schedules(mine, names, quantity, label)
                column.altair_chart(inked(chart), width="stretch", key=f"l1 {quantity} {family.key}")
    st.caption(md(f"{READ_GREY} The dashed line is fine-tuning without a penalty."))
    table_behind([_readable(r) for r in rows], f"l1-sparse-{family.key}", formats={_SMALL: "%.2f"})


def best(rows: list[dict[str, Any]]) -> str:
    """Which course comes closest to retraining, against fine-tuning; a sentence."""
    gaps = [r for r in rows if r["quantity"] == "avg_gap"]
    own = [r for r in gaps if r["gamma"]]
    tuned = next((r for r in gaps if r["method"] == "fine_tune"), None)
    if not own:
        return "Without a retrained model the courses can't be told apart by their gap."
    first = min(own, key=lambda r: r["mean"])
    nearest = (
        f"Closest to retraining: {first['series']} at γ = {first['gamma']}, {first['mean']:.1f} points away"
    )
    sure = f" ({counted(first['seeds'], 'seed')})."
    others = [r["mean"] for r in own if r["series"] != first["series"]]
    close = f"; the next course is {min(others):.1f} away" if others else ""
    if tuned is None:
        return nearest + close + sure
    word = "no nearer than" if first["mean"] >= tuned["mean"] else "against"
    return f"{nearest}, {word} fine-tuning's {tuned['mean']:.1f}{close}{sure}"


def _rows(family: Family) -> list[dict[str, Any]]:
    """A row a series, γ and quantity, on the dense model."""
    rows: list[dict[str, Any]] = []
    every = series_of(family)
    for series in every:
        params = dict(series.params)
        if series.method == "l1_sparse" and _plainly(series, every):
            rows += _of(family, series, _name(params["penalty"]), params["gamma"])
        elif series.method in (REFERENCE, "fine_tune") and series.usual:
            rows += _of(family, series, short_label(series.method), "")
    floor = floor_at(family, DENSE)
    if floor is not None:
        rows.append(
            {
                "quantity": "avg_gap",
                "series": short_label(REFERENCE),
                "method": REFERENCE,
                "gamma": "",
                "mean": 100 * floor,
                "low": 0.0,
                "high": 100 * floor,
                "seeds": len(retrained_at(family, DENSE)),
                "small": None,
            }
        )
    order = {_name(c): i for i, c in enumerate(SCHEDULES)}
    return sorted(rows, key=lambda r: order.get(r["series"], -1))


def _plainly(series: Series, every: list[Series]) -> bool:
    """Whether, but for course and weight of the penalty, it ran under the settings that most did."""
    usual = next(s for s in every if s.method == "l1_sparse" and s.usual)
    same = [{k: v for k, v in s.params if k not in ("penalty", "gamma")} for s in (series, usual)]
    return same[0] == same[1]


def _of(family: Family, series: Series, name: str, gamma: str) -> list[dict[str, Any]]:
    small = [t.facts.get("sparsity") for t in trials_at(family, series, DENSE)]
    known = [s for s in small if s is not None]
    rows = []
    for quantity, value in values_at(family, series, DENSE).items():
        if not value.count:
            continue
        scale = 1 if quantity == "seconds" else 100
        low, high = value.ends(scale)
        rows.append(
            {
                "quantity": quantity,
                "series": name,
                "method": series.method,
                "gamma": gamma,
                "mean": scale * value.estimate,
                "low": low,
                "high": high,
                "seeds": value.count,
                "small": 100 * sum(known) / len(known) if known else None,
            }
        )
    return rows


def _name(schedule: str) -> str:
    return f"l1-sparse, {schedule}"


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    floor = row["quantity"] == "avg_gap" and row["method"] == REFERENCE
    return {
        "method": row["series"],
        "γ": row["gamma"],
        "measure": "noise floor, points" if floor else plots.TITLES[row["quantity"]],
        "mean": row["mean"],
        "95 % from": row["low"],
        "to": row["high"],
        "seeds": row["seeds"],
        _SMALL: row["small"],
    }
