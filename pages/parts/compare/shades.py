"""How near each cell of the table is to retraining, as its ground: blue for the closest, orange for the furthest."""

from collections.abc import Mapping, Sequence

import pandas as pd

from pages.parts.compare.columns import LABELS, TIMED, distance_in
from unlearn_core.experiments.table import Row

_CLOSE, _FAR, _SAME = (0, 114, 178), (213, 94, 0), (140, 140, 140)
_STRONGEST = 0.45


def shades(rows: Sequence[Row], columns: Sequence[str], frame: pd.DataFrame) -> pd.DataFrame:
    """The ground of each cell as CSS."""
    ground = pd.DataFrame("", index=frame.index, columns=frame.columns)
    for name in columns:
        known = {i: distance_in(r, name) for i, r in enumerate(rows) if r.kind != "reference"}
        low, high = _extremes(rows, known, timed=name in TIMED)
        for i, distance in known.items():
            if distance is not None:
                same = name in rows[i].inside
                ground.loc[i, LABELS[name]] = _rgba(_SAME, 0.28) if same else _shade(distance, low, high)
    return ground


def _extremes(rows: Sequence[Row], known: Mapping[int, float | None], timed: bool) -> tuple[float, float]:
    """The best and the worst of a column; of times among methods only, as next to a control's none all look slow."""
    values = [d for i, d in known.items() if d is not None and not (timed and rows[i].kind == "control")]
    return min(values, default=0.0), max(values, default=0.0)


def _shade(distance: float, low: float, high: float) -> str:
    """From blue for the closest over nothing to orange for the furthest."""
    if high <= low:
        return ""
    position = min(1.0, max(-1.0, 2 * (distance - low) / (high - low) - 1))
    return _rgba(_FAR if position > 0 else _CLOSE, _STRONGEST * abs(position))


def _rgba(color: tuple[int, int, int], strength: float) -> str:
    return f"background-color: rgba({', '.join(map(str, color))}, {strength:.2f})"
