"""Audit: can an attacker still tell from the model's answers which images it was trained on?"""

import streamlit as st

from pages.parts import compared, frame, selection
from pages.parts.audit import data, models, published, threshold
from pages.parts.text import md
from unlearn_core.attacks.contests import summary
from unlearn_core.attacks.signals import SIGNALS
from unlearn_core.errors import UnlearnError
from unlearn_core.results.result import FederatedResult
from unlearn_core.words import listed, quoted

_TABS = {
    "Threshold": threshold.draw,
    "All models": models.draw,
    "Published attacks": published.draw,
}


def page() -> None:
    """The whole page."""
    chosen = selection.current()
    keys = compared.choices(chosen)
    if not keys:
        frame.head("Audit", "There is no finished run yet, so there is nothing to attack.")
        st.markdown(
            "After a run, this page shows whether an attacker can tell the forgotten images from unseen ones."
        )
        selection.link("pages/forget.py", "Go to Forget and start one")
        return
    top = st.container()
    key = _pick_run(chosen, keys)
    with top:
        try:
            side = compared.side(key)
            run = data.audited(side)
        except UnlearnError as error:
            frame.head("Audit")
            st.error(md(str(error)))
            return
        if run is None or "forget" not in run.contests:
            frame.head("Audit", "This run can't be attacked here.")
            st.info(md(data.why_not(side)))
            selection.link("pages/forget.py", "Go to Forget")
            return
        _head(run)
    _body(run)


def _pick_run(chosen: selection.Selection, keys: list[str]) -> str:
    """As on Before / after: run B of the selection."""
    present = chosen.b if chosen.b in keys else keys[0]
    st.session_state["pick audited"] = present
    st.selectbox(
        "Run",
        keys,
        format_func=compared.label_of,
        key="pick audited",
        on_change=lambda: selection.choose(b=st.session_state["pick audited"]),
    )
    return present


def _head(run: data.Audited) -> None:
    names = listed([quoted(name) for name in run.classes], 3)
    members = f"a training image of {names}" if names else "an image of the forget set"
    by_model = run.success(run.contests["forget"], SIGNALS["confidence"])
    sentences = summary(by_model, members, "an unseen one", retrained=run.retrained == "after")
    facts, settings = run.side.result.inputs, run.side.request["settings"]
    images = run.models["after"]
    contest = run.contests["forget"]
    about = (
        f"{facts.model} on {facts.data} · {len(images[contest.members]):,} images of the forget set against "
        f"{len(images[contest.others]):,} unseen ones · attack on the confidence · seed {settings.get('seed', 0)}"
    )
    if isinstance(run.side.result, FederatedResult):
        about += " · on this machine, which dealt the images; a federation's server has none of them"
    frame.head(
        "Audit", sentences, about + (" · stored with the app" if run.side.key == compared.STORED else "")
    )


@st.fragment
def _body(run: data.Audited) -> None:
    for tab, draw in zip(
        st.tabs(list(_TABS), key="audit", on_change="rerun", bind="query-params"), _TABS.values(), strict=True
    ):
        if tab.open:
            with tab:
                draw(run)


frame.show(page)
