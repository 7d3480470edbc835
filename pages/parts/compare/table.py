"""The table of methods: sorted, filtered, shaded from worst to best by closeness to retraining; retraining on top."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import selection
from pages.parts.compare.columns import (
    HELP,
    LABELS,
    MORE,
    PAPER,
    distance_in,
    interval_in,
    number_in,
    text_in,
)
from pages.parts.compare.shades import shades
from pages.parts.compare.words import depth
from pages.parts.downloads import csv_bytes
from unlearn_core.experiments.pairing import AVERAGE
from unlearn_core.experiments.table import Row
from unlearn_core.intervals import Mean
from unlearn_core.results.closeness import MEASURES
from unlearn_core.unlearning.provenance import CHOSEN
from unlearn_core.words import figure

Names = Mapping[str, str]

_MARKS = {"reference": "★ ", "control": "◇ ", "method": ""}
# Pixels for a value with its interval and gap: a column is made as wide as its bare numbers.
_WIDE = 136
_SORTED = {
    "Closeness to retraining": AVERAGE,
    **{LABELS[name]: name for name in ("ua", "mia", "ra", "ta", "seconds", "tow")},
}


def filtered(rows: Sequence[Row], names: Names) -> list[Row]:
    """Draws the filters; the rows that pass, what they are measured by always first."""
    left, middle, right, last = st.columns([1.6, 1.8, 2, 1.2], vertical_alignment="bottom")
    text = left.text_input("Find", placeholder="method or setting", key="compare find")
    by = middle.selectbox("Sort by", list(_SORTED), key="compare sort")
    depths = [*dict.fromkeys(depth(r) for r in sorted(rows, key=lambda r: r.sparsity))]
    wanted = depths
    if len(depths) > 1:
        wanted = right.pills("Model", depths, selection_mode="multi", key="compare depth") or depths
    controls = last.toggle("Controls", True, key="compare controls", help=_ABOUT_CONTROLS)
    words = text.casefold().split()
    passed = [
        r
        for r in rows
        if r.kind == "reference"
        or (
            depth(r) in wanted
            and (controls or r.kind != "control")
            and all(w in f"{names[r.key]} {r.method}".casefold() for w in words)
        )
    ]
    return sorted(passed, key=lambda r: _order(r, _SORTED[by]))


def draw(rows: list[Row], names: Names, ticked: Sequence[str]) -> None:
    """Draws the table; ticking rows chooses them for the charts.

    Args:
        rows: In the order of the table.
        names: Of rows, by key.
        ticked: Keys of ticked rows, in the table or filtered out.
    """
    left, right, _ = st.columns([1.3, 2, 2])
    intervals = left.toggle("95 % intervals", key="compare intervals", help=_ABOUT_INTERVALS)
    wide = right.toggle("All measures", key="compare wide")
    columns = (*PAPER, *(MORE if wide else MORE[:2]))
    values = [_line(row, names) for row in rows]
    data = pd.DataFrame(values)[["name", *columns, "settings", "seeds", "where", "beside"]]
    frame = data.rename(columns=LABELS | _WORDS)
    style = frame.style.apply(lambda _: shades(rows, columns, frame), axis=None)
    for i, row in enumerate(rows):
        texts = {LABELS[name]: _as_text(text_in(row, name, intervals)) for name in columns}
        style.format(texts, subset=pd.IndexSlice[[i], list(texts)])
    key = f"compare table {selection_key(rows)}"
    places = {row.key: i for i, row in enumerate(rows)}

    def changed() -> None:
        hidden = [k for k in ticked if k not in places]
        picked = [rows[i].key for i in sorted(st.session_state[key]["selection"]["rows"])]
        selection.choose(rows=tuple([*hidden, *picked]) or None)

    st.dataframe(
        style,
        hide_index=True,
        key=key,
        on_select=changed,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [places[k] for k in ticked if k in places]}},
        height=min(720, 38 + 35 * len(rows)),
        placeholder="–",
        column_config=_config(columns, _WIDE if intervals else None),
    )
    st.download_button(
        "CSV", csv_bytes([_full(row, names) for row in rows]), "methods.csv", "text/csv", key="csv methods", on_click="ignore"
    )  # fmt: skip


def selection_key(rows: Sequence[Row]) -> str:
    """The same for the same rows in the same order: ticks are places, and mean others once the order changes."""
    return hashlib.blake2b(" ".join(r.key for r in rows).encode(), digest_size=8).hexdigest()


def legend(rows: Sequence[Row]) -> str:
    """What colours and marks mean, with the noise floor of the first reference; plain text."""
    floors = [r.floor[AVERAGE] for r in rows if r.kind == "reference"]
    floor = next((f for f in floors if f is not None), None)
    noise = (
        "No noise floor: it takes two models retrained without the same images."
        if floor is None
        else "Grey: no further from retraining than retraining is from itself under another seed "
        f"({figure(floor, 2)} points on average)."
    )
    return (
        "★ retraining, which all are measured by · ◇ controls, which a method has to beat · in brackets: gap to "
        f"retraining in points. Each column from blue (closest to retraining; fastest) to orange (furthest; slowest). {noise}"
    )


def _line(row: Row, names: Names) -> dict[str, Any]:
    return {
        "name": f"{_MARKS[row.kind]}{names[row.key]}",
        **{name: number_in(row, name) for name in (*PAPER, *MORE)},
        "settings": row.chosen,
        "seeds": len(row.trials),
        "where": _where(row),
        "beside": _beside(row),
    }


def _full(row: Row, names: Names) -> dict[str, Any]:
    """A row with everything that is known of it, for the file."""
    line: dict[str, Any] = {
        "method": names[row.key],
        "name": row.method,
        "kind": row.kind,
        "sparsity_percent": 100 * row.sparsity,
        "sparsifier": row.sparsifier,
    }
    for name in (*PAPER, *MORE):
        line[LABELS[name]] = number_in(row, name)
    for name in (*MEASURES, AVERAGE):
        known = interval_in(row, name)
        line[f"{name} 95 % low"], line[f"{name} 95 % high"] = _ends(known)
        line[f"{name} gap"] = 100 * row.gaps[name].estimate if name in row.gaps else None
        line[f"{name} noise floor"] = (
            None if row.floor.get(name) is None else 100 * float(row.floor[name] or 0)
        )
    settings = " ".join(f"{k}={v}" for k, v in row.params.items())
    return {**line, "settings": settings, "settings chosen": row.chosen, "seeds": " ".join(str(t.seed) for t in row.trials),
            "where": _where(row), "measured beside": _beside(row)}  # fmt: skip


def _as_text(text: str) -> Callable[[Any], str]:
    """A cell's text, whatever its value: it sorts by the one and shows the other."""
    return lambda value: text


def _ends(known: Mean | None) -> tuple[float | None, float | None]:
    return known.ends(100) if known is not None else (None, None)


def _where(row: Row) -> str:
    return f"stored: {row.stored}" if row.stored else "here"


def _beside(row: Row) -> str:
    if row.kind == "reference":
        return ""
    return ", ".join(row.remarks) or ("retraining, same seeds" if row.reference else "no retraining")


def _order(row: Row, name: str) -> tuple[Any, ...]:
    """What others are measured by stays on top; then from closest to retraining (or fastest), unknown ones last."""
    if row.kind == "reference":
        return 0, 0, row.sparsity, -len(row.trials)
    value = distance_in(row, name)
    return 1, value is None, value or 0.0, 0


def _config(columns: Sequence[str], width: int | None) -> dict[str, Any]:
    numbers = {LABELS[name]: st.column_config.NumberColumn(help=HELP[name], width=width) for name in columns}
    provenance = "; ".join(f"{word}: {about}" for word, about in CHOSEN.items())
    return {
        **numbers,
        "Method": st.column_config.TextColumn(pinned=True, width="medium"),
        "Settings": st.column_config.TextColumn(help=f"How the settings were chosen. {provenance}."),
        "Measured": st.column_config.TextColumn(help="Here, or on the machine of a study that came with the app."),
        "Beside": st.column_config.TextColumn(help="What the retrained model that it is measured by has otherwise."),
    }  # fmt: skip


_WORDS = {"name": "Method", "settings": "Settings", "seeds": "Seeds", "where": "Measured", "beside": "Beside"}
_ABOUT_CONTROLS = (
    "The untouched model, a masked logit, a reset classifier row, random channels: a result means nothing unless it beats "
    "them."
)
_ABOUT_INTERVALS = "Student's interval of the mean over seeds; there is none for a single seed."
