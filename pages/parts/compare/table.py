"""The table of methods: sorted, filtered, shaded from worst to best by closeness to retraining; retraining on top."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import selection
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
_PAPER = ("ua", "mia", "ra", "ta", AVERAGE, "seconds", "share")
_MORE = (
    "tow",
    "tow_mia",
    "share_same",
    "epochs",
    "preparing",
    "sparsifying",
    "forget_test",
    "js forget",
    "js retain",
    "js test",
    "agreement forget",
    "agreement retain",
    "agreement test",
    "mia_privacy",
    "loss_attack",
)
_LABELS = {
    "ua": "UA, %",
    "mia": "MIA-efficacy, %",
    "ra": "RA, %",
    "ta": "TA, %",
    AVERAGE: "Avg. gap",
    "seconds": "RTE, s",
    "share": "RTE, % of retraining",
    "tow": "ToW, %",
    "tow_mia": "ToW-MIA, %",
    "share_same": "RTE, % of retraining to the same TA",
    "epochs": "RTE, epochs of FT",
    "preparing": "of these preparing, s",
    "sparsifying": "before: making it sparse, s",
    "forget_test": "Forgotten, test, %",
    "js forget": "JS, forget set",
    "js retain": "JS, retain set",
    "js test": "JS, test set",
    "agreement forget": "Same answers, forget set, %",
    "agreement retain": "Same answers, retain set, %",
    "agreement test": "Same answers, test set, %",
    "mia_privacy": "MIA-privacy, %",
    "loss_attack": "Loss attack, %",
}
HELP = {
    "ua": "Unlearning accuracy: share of the images to forget that are answered wrongly. The aim is what retraining gives: near "
    "100 % for a whole class, far less for a random share.",
    "mia": "Share of the images to forget that the membership attack (SVM on the confidence in the true class) takes for never "
    "trained on. The aim is what retraining gives.",
    "ra": "Remaining accuracy: on the training images to keep.",
    "ta": "Testing accuracy: on test images of the classes to keep.",
    AVERAGE: "Mean distance to retraining in UA, MIA-efficacy, RA and TA, in points; run time is no part of it. Taken seed by "
    "seed, so never smaller than the papers' distance of means.",
    "seconds": "Run-time efficiency: everything that the method itself needed. Making a model sparse beforehand is no part of "
    "it; that time has a column of its own (All measures).",
    "share": "Its seconds by those of full retraining.",
    "tow": "Tug of war: (1 − gap in UA) (1 − gap in RA) (1 − gap in TA); 100 is retraining.",
    "tow_mia": "Tug of war with MIA-efficacy for UA.",
    "share_same": "Its seconds by those that retraining took to reach the same testing accuracy; empty where it never did.",
    "epochs": "Its seconds by those of one epoch of fine-tuning on the same model.",
    "preparing": "Of methods that prune channels: the seconds until these were pruned, before fine-tuning.",
    "sparsifying": "Seconds that making the model sparse took before the method began: the mask, and training under it. Paid "
    "once for all that is unlearned from it, so it is no part of RTE.",
    "forget_test": "Test accuracy on the forgotten classes.",
    **dict.fromkeys(
        ("js forget", "js retain", "js test"),
        "Mean Jensen-Shannon divergence to the retrained model's answers, natural log: 0 is the same, 0.69 the most.",
    ),
    **dict.fromkeys(
        ("agreement forget", "agreement retain", "agreement test"),
        "Share of images that it answers like the retrained model.",
    ),
    "mia_privacy": "How often the attack tells retained from test images; 50 is guessing.",
    "loss_attack": "How often the loss tells the forget set from unseen images; 50 is ideal.",
}
_TIMES = ("seconds", "preparing", "sparsifying")
_TIMED = ("seconds", "share", "share_same", "epochs")
_CLOSE, _FAR, _SAME = (0, 114, 178), (213, 94, 0), (140, 140, 140)
_STRONGEST = 0.45
# Pixels for a value with its interval and gap: a column is made as wide as its bare numbers.
_WIDE = 136
_SORTED = {
    "Closeness to retraining": AVERAGE,
    **{_LABELS[name]: name for name in ("ua", "mia", "ra", "ta", "seconds", "tow")},
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
    columns = (*_PAPER, *(_MORE if wide else _MORE[:2]))
    values = [_line(row, names) for row in rows]
    data = pd.DataFrame(values)[["name", *columns, "settings", "seeds", "where", "beside"]]
    frame = data.rename(columns=_LABELS | _WORDS)
    style = frame.style.apply(lambda _: _shades(rows, columns, frame), axis=None)
    for i, row in enumerate(rows):
        texts = {_LABELS[name]: _as_text(_text(row, name, intervals)) for name in columns}
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
        **{name: _number(row, name) for name in (*_PAPER, *_MORE)},
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
    for name in (*_PAPER, *_MORE):
        line[_LABELS[name]] = _number(row, name)
    for name in (*MEASURES, AVERAGE):
        known = row.gaps.get(name) if name == AVERAGE else row.values.get(name)
        line[f"{name} 95 % low"], line[f"{name} 95 % high"] = _ends(known)
        line[f"{name} gap"] = 100 * row.gaps[name].estimate if name in row.gaps else None
        line[f"{name} noise floor"] = (
            None if row.floor.get(name) is None else 100 * float(row.floor[name] or 0)
        )
    settings = " ".join(f"{k}={v}" for k, v in row.params.items())
    return {**line, "settings": settings, "settings chosen": row.chosen, "seeds": " ".join(str(t.seed) for t in row.trials),
            "where": _where(row), "measured beside": _beside(row)}  # fmt: skip


def _number(row: Row, name: str) -> float | None:
    """What a column sorts by: per cent for shares, seconds, or a plain number."""
    if name.startswith(("js ", "agreement ")):
        kind, _, images = name.partition(" ")
        value = getattr(row, kind).get(images)
        return value if value is None or kind == "js" else 100 * value
    if name in ("share", "share_same", "epochs"):
        value = getattr(row, name)
        return value if value is None or name == "epochs" else 100 * value
    known = _interval(row, name)
    if known is None or not known.count:
        return None
    return known.estimate if name in _TIMES else 100 * known.estimate


def _interval(row: Row, name: str) -> Mean | None:
    if name in ("tow", "tow_mia"):
        known: Mean = getattr(row, name)
        return known
    return row.gaps.get(name) if name == AVERAGE else row.values.get(name)


def _as_text(text: str) -> Callable[[Any], str]:
    """A cell's text, whatever its value: it sorts by the one and shows the other."""
    return lambda value: text


def _text(row: Row, name: str, intervals: bool) -> str:
    """A cell as the papers print it: mean ± 95 % (gap to retraining)."""
    number = _number(row, name)
    if number is None:
        return "–"
    half = _half(_interval(row, name)) if intervals else None
    scale = 1 if name in _TIMES else 100
    sure = "" if half is None else f" ± {half * scale:.2g}"
    gap = row.gaps.get(name) if name in MEASURES and row.kind != "reference" else None
    return f"{_figure(name, number)}{sure}{'' if gap is None else f' ({figure(gap.estimate)})'}"


def _figure(name: str, number: float) -> str:
    if name.startswith("js "):
        return f"{number:.4f}"
    if name == AVERAGE or name.startswith("tow"):
        return f"{number:.2f}"
    times = name in _TIMES or name in ("share", "share_same", "epochs")
    digits = ".2g" if number < 1 else ".3g" if number < 10 else ".1f"
    return f"{number:{digits}}" if times else f"{number:.1f}"


def _half(known: Mean | None) -> float | None:
    return known.high - known.estimate if known is not None and known.count > 1 else None


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
    value = _distance(row, name)
    return 1, value is None, value or 0.0, 0


def _distance(row: Row, name: str) -> float | None:
    """How far a cell lies from the best: from retraining, or for times from none; None where nobody knows."""
    if name in row.gaps:
        return row.gaps[name].estimate
    if name in ("tow", "tow_mia"):
        known: Mean = getattr(row, name)
        return 1 - known.estimate if known.count else None
    if name in _TIMED:
        value = _number(row, name)
        return None if value is None else math.log(max(value, 1e-3))
    if name.startswith("js "):
        return row.js.get(name.partition(" ")[2])
    if name.startswith("agreement "):
        value = row.agreement.get(name.partition(" ")[2])
        return None if value is None else 1 - value
    return None


def _shades(rows: Sequence[Row], columns: Sequence[str], frame: pd.DataFrame) -> pd.DataFrame:
    """The ground of each cell as CSS."""
    shades = pd.DataFrame("", index=frame.index, columns=frame.columns)
    for name in columns:
        known = {i: _distance(r, name) for i, r in enumerate(rows) if r.kind != "reference"}
        low, high = _extremes(rows, known, timed=name in _TIMED)
        for i, distance in known.items():
            if distance is not None:
                same = name in rows[i].inside
                shades.loc[i, _LABELS[name]] = _rgba(_SAME, 0.28) if same else _shade(distance, low, high)
    return shades


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


def _config(columns: Sequence[str], width: int | None) -> dict[str, Any]:
    numbers = {_LABELS[name]: st.column_config.NumberColumn(help=HELP[name], width=width) for name in columns}
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
