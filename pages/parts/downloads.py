"""Under every chart: the table behind it, to read and to take home."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

Rows = Sequence[Mapping[str, Any]]


def table_behind(rows: Rows, name: str, *, formats: Mapping[str, str] | None = None) -> None:
    """An expander with the table behind a chart and its CSV.

    Args:
        rows: The chart's data.
        name: Of the file, without ending; also keys the widgets.
        formats: Number formats by column ("%.1f"); one decimal for other fractions.
    """
    with st.expander("Show data"):
        frame = pd.DataFrame(rows)
        fractions = {c: "%.1f" for c in frame.columns if pd.api.types.is_float_dtype(frame[c])}
        columns = {
            c: st.column_config.NumberColumn(format=f) for c, f in {**fractions, **(formats or {})}.items()
        }
        st.dataframe(frame, hide_index=True, column_config=columns)
        st.download_button(
            "CSV",
            data=csv_bytes(rows),
            file_name=f"{name}.csv",
            mime="text/csv",
            key=f"csv {name}",
            on_click="ignore",
        )


def csv_bytes(rows: Rows) -> bytes:
    """The rows as CSV in UTF-8, with text that a spreadsheet would take for a formula made harmless."""
    safe = [{k: _harmless(v) for k, v in row.items()} for row in rows]
    return pd.DataFrame(safe).to_csv(index=False).encode("utf-8")


def json_bytes(value: Any) -> bytes:
    """The value as indented JSON."""
    return json.dumps(value, indent=1, ensure_ascii=False).encode("utf-8")


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value[:1] else value
