"""Several runs at once: the seeds and the values of settings to try, and the runs that would come of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.parts import methods
from pages.parts.text import md
from unlearn_core.errors import UnlearnError
from unlearn_core.params import Setting
from unlearn_core.running.grid import Planned, expand, seeds_in, values_in
from unlearn_core.unlearning.registry import REFERENCE

_ROWS = 8  # rows before the table scrolls


def draw(method: str, settings: Sequence[Setting], request: Mapping[str, Any]) -> tuple[list[Planned], str]:
    """Draws the part of the form; the runs that Start would queue, and why none can."""
    with st.expander("Several runs: seeds and values of settings"):
        try:
            plans = expand(request, _seeds(request), _values(method, settings))
        except UnlearnError as error:
            st.error(md(str(error)))
            return [], str(error)
        if len(plans) > 1:
            _table(plans, settings)
        else:
            st.caption(
                "One run. Several seeds say how far a result is chance: Compare puts them together with their 95 % "
                "interval. Several values of a setting show what it does."
            )
    if len(plans) > 1:
        st.caption(md(_count(plans, request)))
    return plans, ""


def words(planned: Planned, method: str) -> str:
    """What a run has different from the others of its set."""
    return " · ".join(f"{methods.label(name, method)} {_value(v)}" for name, v in planned.varied.items())


def _seeds(request: Mapping[str, Any]) -> tuple[int, ...]:
    text = st.text_input(
        "Seeds",
        key="forget seeds",
        placeholder="5, or 0, 7, 42",
        max_chars=400,
        persist_state="session",
        help="How many, counted from the seed above; or the seeds themselves with commas between. Empty: the one above.",
    )
    return seeds_in(text, int(request["settings"]["seed"]))


def _values(method: str, settings: Sequence[Setting]) -> dict[str, tuple[Any, ...]]:
    """The values of each setting that is varied; those without a value are left out."""
    known = {s.name: s for s in settings}
    key = f"forget vary {method}"
    names = st.multiselect(
        "Settings to vary",
        list(known),
        format_func=lambda n: known[n].label,
        key=key,
        placeholder="none",
        persist_state="session",
    )
    values = {name: _values_of(known[name], method) for name in names}
    return {name: tried for name, tried in values.items() if tried}


def _values_of(setting: Setting, method: str) -> tuple[Any, ...]:
    name = f"{setting.label}: values"
    key = f"forget values {method} {setting.name}"
    if setting.choices or setting.kind is bool:
        options = setting.choices or (False, True)
        return tuple(
            st.multiselect(name, options, format_func=_value, key=key, placeholder="all that you want to try")
        )
    current = st.session_state.get(methods.key_of(method, setting.name), setting.default)
    text = st.text_input(
        name,
        key=key,
        max_chars=400,
        placeholder=f"with commas between; now {_value(current)}",
        help=setting.help,
    )
    return values_in(setting, text)


def _table(plans: list[Planned], settings: Sequence[Setting]) -> None:
    labels = {s.name: s.label for s in settings}
    rows = [
        {
            "run": i + 1,
            **{labels.get(n, n.capitalize()): _value(v) for n, v in p.varied.items()},
        }
        for i, p in enumerate(plans)
    ]
    st.dataframe(
        rows,
        hide_index=True,
        height=35 * min(len(rows) + 1, _ROWS) + 3,
        column_config={"run": st.column_config.NumberColumn(width="small")},
        key="forget planned",
    )


def _count(plans: list[Planned], request: Mapping[str, Any]) -> str:
    """How many runs, and what that makes of their settings."""
    settings = plans[0].request["settings"]
    variants, seeds = settings["variants"], len(plans) // settings["variants"]
    made = [f"{variants} combinations of settings"] if variants > 1 else []
    made += [f"{seeds} seeds"] if seeds > 1 else []
    sentence = (
        f"{len(plans)} runs are queued together: {' × '.join(made)}, one after the other on one device."
    )
    if variants > 1:
        sentence += (
            " Where a retrained model stands beside them, their results are marked as tuned: choosing the best by "
            "retraining is an oracle that nobody has in production."
        )
    if REFERENCE in settings["controls"].split(",") and variants > 1:
        sentence += " Each of them retrains for itself."
    return sentence


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")
