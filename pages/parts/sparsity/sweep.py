"""The first figure: each measure against sparsity for each method, and a slider through the stored sweep."""

from collections import Counter
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts.charts import inked
from pages.parts.downloads import table_behind
from pages.parts.sparsity import quantities
from pages.parts.sparsity.families import names_of
from pages.parts.text import md
from unlearn_core.experiments.families import Family, Series, levels, series_of
from unlearn_core.experiments.grouping import DENSE, Level
from unlearn_core.experiments.sweep import (
    QUANTITIES,
    Change,
    change,
    curves,
    floor_at,
    nearest,
    values_at,
)
from unlearn_core.plots import sparsity as plots
from unlearn_core.unlearning.registry import REFERENCE, in_sparsity_paper
from unlearn_core.words import figure, trimmed_percent

_CLOCKS = " Run time is that of the stored studies alone: your own runs were timed on another machine."
_SHORT = {"ua": "UA", "mia": "MIA", "ra": "RA", "ta": "TA", "seconds": "run time, s", "avg_gap": "avg. gap"}
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
    level = _slider(family, [level for level in levels(family) if level.sparsifier in ("", maker)])
    reference = next((s for s in series_of(family) if s.method == REFERENCE), None)
    drawn = [s for s in (reference, *picked) if s is not None]
    rows = [row for row in curves(family, drawn, names) if row["sparsifier"] in ("", maker)]
    # In the family's order, so that a series keeps its colour whichever are drawn.
    order = [names[s] for s in series_of(family) if s in drawn]
    grey, at = names[reference] if reference else "", 100 * level.sparsity if level else None
    st.altair_chart(inked(plots.legend(order, grey)), width="stretch", key=f"sparsity legend {family.key}")
    quantities.draw(rows, lambda r, q: plots.over_sparsity(r, order, q, grey, at), f"sparsity {family.key}")
    mixed = family.stored and not all(t.stored for t in family.trials)
    st.caption(md(f"{quantities.READ_GREY} {_READ}{_CLOCKS if mixed else ''}"))
    table = quantities.readable(rows, (("sparsity, %", "sparsity"), ("by", "sparsifier")))
    table_behind(table, f"sparsity-{family.key}")
    if level:
        _at(family, drawn, names, level, order)


def _slider(family: Family, there: list[Level]) -> Level | None:
    sparse = [level for level in there if level.sparsity]
    if not sparse:
        return None
    if len(sparse) == 1:
        st.caption(f"Dense beside the one sparsity that was measured: {trimmed_percent(sparse[0].sparsity)}.")
        return sparse[0]
    # Options that are pairs would be taken for a range.
    by_sparsity = {level.sparsity: level for level in sparse}
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


def _at(
    family: Family, drawn: list[Series], names: dict[Series, str], level: Level, order: list[str]
) -> None:
    """One sparsity beside the dense model: a chart of the gaps, and all measures as a table."""
    percent = trimmed_percent(level.sparsity)
    st.subheader(f"At {percent} sparsity, beside the dense model")
    changes = {s: change(family, s, level) for s in drawn if s.method != REFERENCE}
    rows = [_dumbbell(names[s], changed) for s, changed in changes.items() if changed]
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
    table = [_line(family, s, names[s], level, changes.get(s)) for s in drawn]
    st.dataframe(pd.DataFrame(table), hide_index=True, key=f"sparsity table {family.key}")


def _dumbbell(name: str, changed: Change) -> dict[str, Any]:
    """A change in points, as the chart draws it."""
    difference = changed.difference
    ends = {"dense": changed.dense, "sparse": changed.sparse, "difference": difference.estimate}
    points = {**ends, "low": difference.low, "high": difference.high}
    return {"series": name, **{end: 100 * share for end, share in points.items()}, "clear": changed.clear}


def _line(family: Family, series: Series, name: str, level: Level, changed: Change | None) -> dict[str, str]:
    sides = [values_at(family, series, where) for where in (DENSE, level)]
    cells = {_SHORT[q]: _arrow(*(side[q] for side in sides), q) for q in QUANTITIES}
    return {"method": name, **cells, "clear": _clear(changed)}


def _clear(changed: Change | None) -> str:
    if changed is None:
        return ""
    return "one seed" if changed.seeds < 2 else "yes" if changed.clear else "no"


def _arrow(dense: Any, sparse: Any, quantity: str) -> str:
    ends = [_number(v, quantity) if v.count else "–" for v in (dense, sparse)]
    return "" if ends == ["–", "–"] else " → ".join(ends)


def _number(value: Any, quantity: str) -> str:
    return f"{value.estimate:.1f}" if quantity == "seconds" else figure(value.estimate)
