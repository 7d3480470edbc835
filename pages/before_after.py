"""Before / after: what changed between two models, class by class, image by image, beside the controls."""

from typing import Any

import streamlit as st

from pages.parts import compared, frame, methods, selection
from pages.parts.before_after import tabs
from pages.parts.text import md
from unlearn_core.errors import UnlearnError
from unlearn_core.results import comparison
from unlearn_core.results.claims import reference_of
from unlearn_core.results.verdicts import finding, headline
from unlearn_core.unlearning.provenance import sentence_of
from unlearn_core.unlearning.registry import REFERENCE, short_label
from unlearn_core.words import duration, percent, points, signed


def page() -> None:
    """The whole page."""
    chosen = selection.current()
    keys = compared.choices(chosen)
    if not keys:
        frame.head("Before / after", "There is no finished run yet, so there is nothing to compare.")
        st.markdown("A run makes the model forget a class and measures it before and after, beside controls.")
        selection.link("pages/forget.py", "Go to Forget and start one")
        return
    top = st.container()
    a_key, b_key = _pickers(chosen, keys)
    try:
        b = compared.side(b_key)
        a = compared.side(a_key, b_key)
        refused = compared.problem(a, b)
    except UnlearnError as error:
        refused = str(error)
    with top:
        if refused:
            frame.head("Before / after")
            st.error(md(refused))
            return
        _head(a, b)
    _metrics(a, b)
    tabs.draw(a, b)


def _pickers(chosen: selection.Selection, keys: list[str]) -> tuple[str, str]:
    left, right = st.columns(2)
    options = {"a": [compared.ORIGINAL, *keys], "b": keys}
    picked = {}
    for column, name, what in ((left, "a", "A: compare"), (right, "b", "B: with")):
        wanted = getattr(chosen, name)
        present = wanted if wanted in options[name] else options[name][0]
        key = f"pick {name}"
        st.session_state[key] = present
        column.selectbox(
            what,
            options[name],
            format_func=compared.label_of,
            key=key,
            on_change=lambda name=name, key=key: selection.choose(**{name: st.session_state[key]}),
        )
        picked[name] = present
    return picked["a"], picked["b"]


def _head(a: compared.Side, b: compared.Side) -> None:
    text = _sentence(a, b)
    facts, images = b.result.inputs, b.result.images
    tested = images.test + images.test_forget
    about = f"{facts.model} on {facts.data} · {tested:,} test images · seed {b.request['settings'].get('seed', 0)}"
    origin = " · stored with the app" if b.key == compared.STORED else ""
    frame.head("Before / after", text, about + origin)
    if sentence_of(b.result.chosen):
        st.caption(md(f"{sentence_of(b.result.chosen)} {methods.batch_norms(b.result)}"))
    for note in b.result.notes:
        st.caption(md(note))
    if compared.caution(a, b):
        st.warning(md(compared.caution(a, b)))


def _sentence(a: compared.Side, b: compared.Side) -> str:
    """What the run did to its own original; between two runs, what became of the second one's classes."""
    if a.key == compared.ORIGINAL:
        return headline(b.result, compared.num_channels(b), short_label(b.result.method))
    reference = reference_of(b.result)
    return finding(
        a.evaluation,
        b.evaluation,
        what="Going from A to B",
        retrained=reference.evaluation if reference else None,
    )


def _metrics(a: compared.Side, b: compared.Side) -> None:
    one, two = comparison.same_targets(a.evaluation, b.evaluation), b.evaluation
    columns = st.columns(4)
    if b.evaluation.is_share:
        _of_share(columns[0], b)
    for column, forgotten, label in (
        (columns[0], True, "✕ Forgotten, test"),
        (columns[1], False, "All others, test" if two.forget_classes else "Test images"),
    ):
        before, after = one.group_tally(forgotten), two.group_tally(forgotten)
        if after.total:
            moved = points(after.share - before.share)
            column.metric(label, percent(after.share), moved, **tabs.QUIET)
    size, original = b.size.parameters, a.size.parameters
    if size and original:
        columns[2].metric("Parameters", f"{size:,}", f"{signed(100 * (size / original - 1))} %", **tabs.QUIET)
    control = b.result.controls.get(REFERENCE)
    retrain = control.seconds if control else None
    faster = f"retraining: {duration(retrain)}" if retrain else "no retraining to compare"
    columns[3].metric("Time to forget", duration(b.result.seconds or 0), faster, **tabs.QUIET)


def _of_share(column: Any, b: compared.Side) -> None:
    """UA of a random share beside its target, which is what retraining gives."""
    control = b.result.controls.get(REFERENCE)
    target = f"retraining: {percent(control.evaluation.ua)}" if control else "target: what retraining gives"
    column.metric("✕ Unlearning accuracy", percent(b.evaluation.ua), target, **tabs.QUIET)


frame.show(page)
