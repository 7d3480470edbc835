"""The first figure: each measure against sparsity for each method, and a slider through the stored sweep."""

from collections import Counter
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts.charts import inked
from pages.parts.downloads import table_behind
from pages.parts.sparsity.families import names_of
from pages.parts.text import md
from unlearn_core.experiments.grouping import DENSE, Level
from unlearn_core.experiments.sweep import (
    QUANTITIES,
    Family,
    Series,
    change,
    curves,
    floor_at,
    levels,
    nearest,
    retrained_at,
    series_of,
    values_at,
)
from unlearn_core.plots import sparsity as plots
from unlearn_core.unlearning.registry import REFERENCE, in_sparsity_paper
from unlearn_core.words import figure, trimmed_percent

_CLOCKS = " Run time is that of the stored studies alone: your own runs were timed on another machine."
_COLUMNS = 3
_SHORT = {"ua": "UA", "mia": "MIA", "ra": "RA", "ta": "TA", "seconds": "run time, s", "avg_gap": "avg. gap"}
READ_GREY = (
    "Grey is retraining from scratch with its 95 % interval over seeds: a method does well where it lies on the grey, not "
    "where it is high. In the last chart grey reaches up to the noise floor, how far retraining lies from itself under "
    "another seed without the same images."
)
_RING = (
    "A ring is the dense model, a filled mark the sparse one; the left edge is retraining itself, and within the grey no "
    "model can be told from retraining. In the table: dense → sparse, means over seeds; “clear” says whether the 95 % "
    "interval of the change of the gap, seed by seed, leaves 0 out."
)
_READ = (
    "Retraining is under the same mask. The axis gives each halving of the weights the same room. Run time is the "
    "unlearning alone; making the model sparse comes on top."
)


def draw(family: Family) -> None:
    """Six charts, and what they hold at one sparsity."""
    names = names_of(family)
    maker = _sparsifier(family)
    picked = _methods(family, names)
    if not picked:
        st.info("Pick at least one method above.")
        return
    _scrubbed(family, picked, names, maker)


def _sparsifier(family: Family) -> str:
    """Which sparsifier's models are drawn beside the dense one; a choice only where there are several."""
    counts = Counter(level.sparsifier for level in levels(family) if level.sparsity)
    makers = sorted(counts)
    if len(makers) < 2:
        return makers[0] if makers else ""
    most = max(makers, key=counts.__getitem__)
    return str(
        st.segmented_control(
            "Weights chosen by", makers, default=most, required=True, key=f"sparsity maker {family.key}"
        )
    )


def _methods(family: Family, names: dict[Series, str]) -> list[Series]:
    every = [s for s in series_of(family) if s.method != REFERENCE]
    by_name = {names[s]: s for s in every}
    usual = [names[s] for s in every if s.usual and in_sparsity_paper(s.method)]
    picked = st.multiselect(
        "Methods beside retraining",
        list(by_name),
        default=usual or list(by_name)[:5],
        key=f"sparsity methods {family.key}",
        help="Those of the paper at first. A method that was run under several settings stands there once for each.",
    )
    return [by_name[name] for name in picked]


@st.fragment
def _scrubbed(family: Family, picked: list[Series], names: dict[Series, str], maker: str) -> None:
    """Charts, slider and table in one fragment: scrubbing draws nothing else anew."""
    there = [level for level in levels(family) if level.sparsifier in ("", maker)]
    level = _slider(family, there)
    reference = next((s for s in series_of(family) if s.method == REFERENCE), None)
    drawn = [s for s in (reference, *picked) if s is not None]
    rows = [
        r for r in [*curves(family, drawn, names), *_floors(family, there)] if r["sparsifier"] in ("", maker)
    ]
    order = [names[s] for s in series_of(family)]
    label = names[reference] if reference else ""
    styled = [name for name in order if name in {names[s] for s in drawn}]
    st.altair_chart(
        inked(plots.legend(styled, label)),
        width="stretch",
        key=f"sparsity legend {family.key}",
    )
    for start in range(0, len(QUANTITIES), _COLUMNS):
        columns = st.columns(_COLUMNS)
        for column, quantity in zip(columns, QUANTITIES[start : start + _COLUMNS], strict=False):
            mine = [r for r in rows if r["quantity"] == quantity]
            if mine:
                chart = plots.over_sparsity(
                    mine, styled, quantity, label, 100 * level.sparsity if level else None
                )
                column.altair_chart(inked(chart), width="stretch", key=f"sparsity {quantity} {family.key}")
            else:
                column.info(f"{plots.TITLES[quantity]}: nothing measured yet.")
    mixed = family.stored and not all(t.stored for t in family.trials)
    st.caption(md(f"{READ_GREY} {_READ}{_CLOCKS if mixed else ''}"))
    table_behind(_readable(rows), f"sparsity-{family.key}")
    if level:
        _at(family, drawn, names, level, styled)


def _slider(family: Family, there: list[Level]) -> Level | None:
    sparse = [level for level in there if level.sparsity]
    if not sparse:
        return None
    if len(sparse) == 1:
        st.caption(f"Dense beside the one sparsity that was measured: {trimmed_percent(sparse[0].sparsity)}.")
        return sparse[0]
    by_sparsity = {
        level.sparsity: level for level in sparse
    }  # options that are pairs would be taken for a range
    usual = nearest(sparse, 0.95) or sparse[0]
    picked = st.select_slider(
        "Sparsity to look at",
        list(by_sparsity),
        value=usual.sparsity,
        format_func=trimmed_percent,
        key=f"sparsity at {family.key} {sparse[0].sparsifier}",
        help="Scrubs through what was measured: the line in the charts and the table below follow.",
    )
    return by_sparsity[float(picked)]


def _floors(family: Family, there: list[Level]) -> list[dict[str, Any]]:
    """The noise floor as retraining's band in the chart of gaps."""
    rows = []
    reference = next((s for s in series_of(family) if s.method == REFERENCE), None)
    label = names_of(family)[reference] if reference else ""
    for level in there:
        floor = floor_at(family, level)
        if floor is not None:
            rows.append(
                {
                    "quantity": "avg_gap",
                    "series": label,
                    "method": REFERENCE,
                    "sparsity": 100 * level.sparsity,
                    "sparsifier": level.sparsifier,
                    "mean": 100 * floor,
                    "low": 0.0,
                    "high": 100 * floor,
                    "seeds": len(retrained_at(family, level)),
                }
            )
    return rows


def _readable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as a person reads them; retraining's gap is the noise floor."""
    return [
        {
            "method": r["series"],
            "measure": "noise floor, points"
            if r["quantity"] == "avg_gap" and r["method"] == REFERENCE
            else plots.TITLES[r["quantity"]],
            "sparsity, %": r["sparsity"],
            "by": r["sparsifier"],
            "mean": r["mean"],
            "95 % from": r["low"],
            "to": r["high"],
            "seeds": r["seeds"],
        }
        for r in rows
    ]


def _at(
    family: Family, drawn: list[Series], names: dict[Series, str], level: Level, order: list[str]
) -> None:
    """One sparsity beside the dense model: a chart of the gaps, and all measures as a table."""
    percent = trimmed_percent(level.sparsity)
    st.subheader(f"At {percent} sparsity, beside the dense model")
    changes = [(names[s], change(family, s, level)) for s in drawn if s.method != REFERENCE]
    rows = [
        {
            "series": name,
            **{k: 100 * c[k] for k in ("dense", "sparse", "difference", "low", "high")},
            "clear": c["clear"],
        }
        for name, c in changes
        if c
    ]
    if rows:
        left, right = st.columns([3, 2], gap="large")
        floor = floor_at(family, level)
        reference = next((names[s] for s in drawn if s.method == REFERENCE), "")
        grey = 100 * floor if floor is not None else None
        chart = plots.beside_dense(rows, order, "avg_gap", reference, grey)
        left.altair_chart(inked(chart), width="stretch", key=f"sparsity beside {family.key}")
        right.caption(md(_RING))
    else:
        st.info(
            "No method was measured on both the dense and this sparse model; queue what is missing below."
        )
    table = [_line(family, s, names[s], level, dict(changes).get(names[s])) for s in drawn]
    st.dataframe(pd.DataFrame(table), hide_index=True, key=f"sparsity table {family.key}")


def _line(
    family: Family, series: Series, name: str, level: Level, changed: dict[str, Any] | None
) -> dict[str, str]:
    sides = [values_at(family, series, where) for where in (DENSE, level)]
    cells = {_SHORT[q]: _arrow(*(side[q] for side in sides), q) for q in QUANTITIES}
    clear = (
        ""
        if changed is None
        else ("yes" if changed["clear"] else "no" if changed["seeds"] > 1 else "one seed")
    )
    return {"method": name, **cells, "clear": clear}


def _arrow(dense: Any, sparse: Any, quantity: str) -> str:
    ends = [_number(v, quantity) if v.count else "–" for v in (dense, sparse)]
    return "" if ends == ["–", "–"] else " → ".join(ends)


def _number(value: Any, quantity: str) -> str:
    return f"{value.estimate:.1f}" if quantity == "seconds" else figure(value.estimate)
