"""Compare: every method that was measured on one model and forget set in one table, beside retraining and the papers."""

from typing import Any

import streamlit as st

from pages.parts import frame, origins, selection
from pages.parts.compare import charts, published, trials
from pages.parts.compare import table as compare_table
from pages.parts.text import md
from unlearn_core.experiments.finding import finding
from unlearn_core.experiments.table import Row, Scenario, table


def page() -> None:
    """The whole page."""
    chosen = selection.current()
    found = trials.found(chosen)
    if not found.scenarios:
        frame.head("Compare", "Nothing has been measured yet, so there is nothing to compare.")
        _busy(None)
        st.markdown("Each finished run adds its method, its controls and the original model to this table.")
        selection.link("pages/forget.py", "Go to Forget and start a run")
        _damaged(found.damaged)
        return
    top = st.container()
    scenario = _picker(chosen, found)
    rows = table(scenario.trials)
    names = trials.names_of(rows)
    with top:
        frame.head("Compare", finding(rows, lambda row: names[row.key]), _about(scenario, rows))
    _busy(scenario)
    _reference(rows, scenario)
    picked = charts.chosen_rows(rows, chosen.rows)
    shown = compare_table.filtered(rows, names)
    compare_table.draw(shown, names, [row.key for row in picked])
    st.caption(compare_table.legend(rows))
    charts.draw(picked, names, not scenario.classes)
    charts.open_two(picked, names)
    published.draw(rows, scenario, names)
    _origin(scenario, found)
    _damaged(found.damaged)


def _picker(chosen: selection.Selection, found: trials.Found) -> Scenario:
    by_key = {s.key: s for s in found.scenarios}
    present = chosen.scenario if chosen.scenario in by_key else found.scenarios[0].key
    labels = trials.labels_of(found.scenarios)
    st.session_state["pick scenario"] = present
    st.selectbox(
        "Compared on",
        list(by_key),
        format_func=lambda key: labels.get(key, key),
        key="pick scenario",
        on_change=lambda: selection.choose(scenario=st.session_state["pick scenario"]),
        help="Only what was measured on the same model, images and forget set stands in one table.",
    )
    if not found.own and not chosen.scenario:
        st.caption("Nothing has been measured on the model in the sidebar yet; this is another one.")
    return by_key[present]


def _about(scenario: Scenario, rows: list[Row]) -> str:
    own = sum(not t.stored for row in rows for t in row.trials)
    stored = sum(len(row.trials) for row in rows) - own
    parts = [f"{own} measured here" if own else "", f"{stored} stored with the app" if stored else ""]
    what = f"{trials.label_of(scenario)} · {len(rows)} rows of {own + stored} measured models"
    return f"{what} ({', '.join(p for p in parts if p)})"


def _reference(rows: list[Row], scenario: Scenario) -> None:
    """Without retraining there are no gaps: what to do then."""
    if any(row.kind == "reference" for row in rows):
        return
    st.warning(
        "No retrained model was measured here, so the gap columns are empty and nothing is shaded. Run any method with “Retrain” "
        "among its controls, and all rows of this table are measured by it."
    )
    forget = scenario.classes or None
    selection.link("pages/forget.py", "Go to Forget and have it retrained →", forget=forget)


def _busy(scenario: Scenario | None) -> None:
    count = trials.waiting(scenario)
    if count:
        runs, they = ("One run is", "it has") if count == 1 else (f"{count} runs are", "they have")
        st.info(f"{runs} still at work; what comes of it stands here when {they} finished.")


def _damaged(told: list[str]) -> None:
    if told:
        count = "One run is" if len(told) == 1 else f"{len(told)} runs are"
        with st.expander(f"{count} left out"):
            for text in told:
                st.markdown(md(text))


def _origin(scenario: Scenario, found: trials.Found) -> None:
    """Where the numbers come from, with the command that repeats each stored study."""
    sources: dict[str, Any] = {t.source: None for t in scenario.trials}
    stored = [found.studies[name] for name in sources if name in found.studies]
    with st.expander("Where these numbers come from"):
        runs = len(sources) - len(stored)
        if runs:
            st.markdown(
                f"{runs} finished run{'s' if runs > 1 else ''}, kept on the Runs page or with the app."
            )
        origins.draw(stored)
        st.markdown(
            "Gaps are taken seed by seed, to the retrained model of the same forget set: at the same sparsity where there is "
            "one, else dense; of the same seed where there is one. What differs stands in the column “Beside”."
        )


frame.show(page)
