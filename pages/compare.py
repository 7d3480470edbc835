"""Compare: every method that was measured on one model and forget set in one table, beside retraining and the papers."""

import streamlit as st

from pages.parts import frame, selection
from pages.parts.compare import charts, published, words
from pages.parts.compare import table as compare_table
from pages.parts.measured import left_out, measured, origin
from unlearn_core.experiments.grouping import Scenario
from unlearn_core.experiments.ranking import closest
from unlearn_core.experiments.table import Row, table

_PAIRED = (
    "Gaps are taken seed by seed, to the retrained model of the same forget set: at the same sparsity where there is "
    "one, else dense; of the same seed where there is one. What differs stands in the column “Beside”."
)


def page() -> None:
    """The whole page."""
    selected = selection.current()
    every = measured()
    scenarios = words.ordered(every.trials, selected.model)
    if not scenarios:
        frame.head("Compare", "Nothing has been measured yet, so there is nothing to compare.")
        _busy(None)
        st.markdown("Each finished run adds its method, its controls and the original model to this table.")
        selection.link("pages/forget.py", "Go to Forget and start a run")
        left_out(every.damaged)
        return
    top = st.container()
    scenario = _picker(selected, scenarios)
    rows = table(scenario.trials)
    names = words.names_of(rows)
    with top:
        frame.head("Compare", closest(rows, lambda row: names[row.key]), _about(scenario, rows))
    _busy(scenario)
    _reference(rows, scenario)
    ticked = charts.ticked_rows(rows, selected.rows)
    compare_table.draw(compare_table.filtered(rows, names), names, [row.key for row in ticked])
    st.caption(compare_table.legend(rows))
    charts.draw(ticked, names, not scenario.classes)
    charts.open_two(ticked, names)
    published.draw(rows, scenario, names)
    origin(scenario.trials, every.studies, _PAIRED)
    left_out(every.damaged)


def _picker(selected: selection.Selection, scenarios: list[Scenario]) -> Scenario:
    by_key = {s.key: s for s in scenarios}
    present = selected.scenario if selected.scenario in by_key else scenarios[0].key
    labels = words.labels_of(scenarios)
    st.session_state["pick scenario"] = present
    st.selectbox(
        "Compared on",
        list(by_key),
        format_func=lambda key: labels.get(key, key),
        key="pick scenario",
        on_change=lambda: selection.choose(scenario=st.session_state["pick scenario"]),
        help="Only what was measured on the same model, images and forget set stands in one table.",
    )
    if not words.of_model(scenarios[0], selected.model) and not selected.scenario:
        st.caption("Nothing has been measured on the model in the sidebar yet; this is another one.")
    return by_key[present]


def _about(scenario: Scenario, rows: list[Row]) -> str:
    own = sum(not t.stored for row in rows for t in row.trials)
    stored = sum(len(row.trials) for row in rows) - own
    parts = [f"{own} measured here" if own else "", f"{stored} stored with the app" if stored else ""]
    what = f"{words.label_of(scenario)} · {len(rows)} rows of {own + stored} measured models"
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
    count = words.waiting(scenario)
    if count:
        runs, they = ("One run is", "it has") if count == 1 else (f"{count} runs are", "they have")
        st.info(f"{runs} still at work; what comes of it stands here when {they} finished.")


frame.show(page)
