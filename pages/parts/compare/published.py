"""The papers' tables beside ours: which way each method is off, and which is closer; never value against value."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts.compare.columns import HELP
from pages.parts.compare.words import depth, method_label
from pages.parts.downloads import csv_bytes
from pages.parts.text import md
from unlearn_core.experiments.grouping import Scenario
from unlearn_core.experiments.pairing import AVERAGE
from unlearn_core.experiments.published import (
    SALUN,
    SETTING,
    SPARSE_MU,
    Beside,
    beside,
    in_epochs,
    lines,
    of_retraining,
    order_kept,
    scenario_of,
    signs_kept,
)
from unlearn_core.experiments.table import Row
from unlearn_core.unlearning.registry import REFERENCE
from unlearn_core.words import counted, signed, trimmed_percent

Names = Mapping[str, str]

_MEASURES = {"ua": "UA", "mia": "MIA-efficacy", "ra": "RA", "ta": "TA"}
_TABLES = {SPARSE_MU: "main table, arXiv 2304.04934", SALUN: "Table 1, arXiv 2310.12508"}
_AGREES = {True: "same side", False: "other side", None: "no gap to compare"}
_GLYPHS = {"same side": "✓", "other side": "⇄"}


def draw(rows: Sequence[Row], scenario: Scenario, names: Names) -> None:
    """Draws the section."""
    st.subheader("Beside the published tables")
    like = scenario_of(scenario.classes, scenario.fraction)
    if not like:
        st.info(
            f"No table was published for forgetting {trimmed_percent(scenario.fraction)} at random; the papers took 10 % "
            "and 50 %, and whole classes."
        )
        return
    pairs = beside(rows, like)
    if not pairs:
        st.info(
            f"None of the methods in the published tables ({_listed(like)}) was measured here beside retraining; "
            "run one of them on the Forget page, with “Retrain” ticked."
        )
        return
    st.markdown(md(_said(pairs)))
    _table(pairs, names)
    st.caption(
        md(
            f"Published: {SETTING}, {_sources(pairs)}, as read from the authors' own pictures. Ours: the rows above. In "
            "brackets: value less retraining's value, in points; ✓ the gap is to the same side as published, ⇄ to the other; "
            "none where a gap is nil or ours lies inside the noise. Values are not compared: for the same cell, two papers of "
            "the same lab give fine-tuning's UA as 6.83 and as 0.63 %, by another learning rate."
        )
    )


def _sources(pairs: Sequence[Beside]) -> str:
    return " and ".join(dict.fromkeys(f"{p.line.paper} ({_TABLES[p.line.paper]})" for p in pairs))


def _said(pairs: Sequence[Beside]) -> str:
    (sides, gaps), (order, couples) = signs_kept(pairs), order_kept(pairs)
    methods = len({p.line.method for p in pairs})
    side = (
        f"{sides} of {gaps} gaps are to the same side as published"
        if gaps
        else "no gap here is outside the noise, so none has a side to compare"
    )
    kept_order = (
        f"; of {couples} pairs of methods, {order} have the same one closer to retraining" if couples else ""
    )
    alone = any(p.row.floor[AVERAGE] is None for p in pairs)
    unsure = (
        " Where no two retrainings left out the same images, noise could not be told from a gap."
        if alone
        else ""
    )
    return f"{counted(methods, 'published method')} beside ours: {side}{kept_order}.{unsure}"


def _table(pairs: Sequence[Beside], names: Names) -> None:
    rows = [row for pair in pairs for row in _lines(pair, names)]
    printed = pd.DataFrame([_printed(row) for row in rows])
    config = {title: st.column_config.TextColumn(help=HELP[name]) for name, title in _MEASURES.items()}
    config["RTE, % of retraining"] = st.column_config.NumberColumn(format="%.1f", help=HELP["share"])
    config["RTE, epochs of FT"] = st.column_config.NumberColumn(format="%.1f", help=HELP["epochs"])
    config["Avg. gap"] = st.column_config.NumberColumn(format="%.2f", help=HELP["avg_gap"])
    st.dataframe(
        printed, hide_index=True, column_config=config, height=min(640, 38 + 35 * len(rows)), placeholder="–"
    )
    st.download_button(
        "CSV",
        csv_bytes(rows),
        "beside_published.csv",
        "text/csv",
        key="csv beside published",
        on_click="ignore",
    )


def _lines(pair: Beside, names: Names) -> list[dict[str, Any]]:
    """Two lines a method: published, then ours, in the same columns."""
    line, row = pair.line, pair.row
    published = f"{trimmed_percent(line.sparsity)} sparse" if line.sparsity else "dense"
    source = f"published, {line.paper}"
    theirs: dict[str, Any] = {"Method": method_label(line.method), "Model": published, "Source": source}
    seeds = f"{len(row.trials)} seeds" if len(row.trials) > 1 else "1 seed"
    ours: dict[str, Any] = {"Method": names[row.key], "Model": depth(row), "Source": f"ours, {seeds}"}
    for name, title in _MEASURES.items():
        theirs |= {title: line.values[name], f"{title} gap": pair.theirs[name], f"{title} side": ""}
        value = 100 * row.values[name].estimate if name in row.values else None
        ours |= {title: value, f"{title} gap": pair.ours[name], f"{title} side": _AGREES[pair.agrees[name]]}
    theirs |= {
        "Avg. gap": line.avg_gap,
        "RTE, % of retraining": 100 * of_retraining(line),
        "RTE, epochs of FT": in_epochs(line),
        "RTE": f"{line.minutes:g} min",
    }
    ours |= {
        "Avg. gap": None if row.gap is None else 100 * row.gap,
        "RTE, % of retraining": None if row.share is None else 100 * row.share,
        "RTE, epochs of FT": row.epochs,
        "RTE": f"{row.values['seconds'].estimate:.3g} s" if "seconds" in row.values else "",
    }
    return [theirs, ours]


def _printed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line as the papers print it: value, and the gap in brackets with its sign."""
    folded = {f"{title} {part}" for title in _MEASURES.values() for part in ("gap", "side")}
    unfolded = {name: value for name, value in row.items() if name not in folded}
    return {**unfolded, **{title: _cell(row, title) for title in _MEASURES.values()}}


def _cell(row: Mapping[str, Any], title: str) -> str:
    value, gap = row[title], row[f"{title} gap"]
    if value is None:
        return "–"
    brackets = "" if gap is None else f" ({signed(gap)})"
    return f"{value:.1f}{brackets} {_GLYPHS.get(row[f'{title} side'], '')}".rstrip()


def _listed(like: str) -> str:
    return ", ".join(sorted({method_label(p.method) for p in lines(like) if p.method != REFERENCE}))
