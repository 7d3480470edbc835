"""What stands around every page: the sidebar with the selection, and the head and foot of a page."""

import importlib
import runpy
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from pages.parts import dock, models, selection
from pages.parts.text import md
from unlearn_core.errors import UnlearnError

# More classes than this don't fit as pills.
_MOST_PILLS = 20
_WARM_UP_SECONDS = 4.0
_APP = Path(__file__).resolve().parents[2] / "app.py"
FRAMED = "framed"
"""In the session while the frame draws a page."""

TF_IDF = (
    "TF-IDF, as for words in texts: a channel is a word, a class is a document. TF is the channel's share "
    "of its layer's activation on the images of a class; IDF is large when few classes use the channel. "
    "Their product is high for channels that fire a lot for one class and little for others."
)


def sidebar() -> None:
    """Model, class in focus, forget basket, running jobs and a link to share."""
    chosen = selection.current()
    with st.sidebar:
        _pick_model(chosen)
        if chosen.model:
            _pick_class(chosen)
            _pick_forget(chosen)
        dock.dock()
        _share()


def show(page: Callable[[], None]) -> None:
    """Draws a page inside the frame.

    When a link to a page is the first request that a fresh server gets, Streamlit runs that page's file alone, because of
    the name of its folder. Then the frame is drawn first, and draws the page in turn.
    """
    if FRAMED in st.session_state:
        page()
    else:
        runpy.run_path(str(_APP))


def head(title: str, finding: str = "", about: str = "") -> None:
    """A page's title, the sentence of what is to be seen, and where its numbers come from; plain texts."""
    st.title(title)
    if finding:
        st.markdown(f"#### {md(finding)}")
    if about:
        st.caption(md(about))


def of_model(title: str, body: Callable[[], None]) -> None:
    """Draws a page of the selected model under its title, or why there is nothing to show."""
    st.title(title)
    if selection.current().model:
        body()
    else:
        no_model()


@contextmanager
def explained() -> Iterator[None]:
    """What a person can mend is drawn as its sentence, in the place of what could not be drawn."""
    try:
        yield
    except UnlearnError as error:
        st.error(md(str(error)))


def no_model() -> None:
    """What a page says when there is no model at all."""
    st.info("No model is at hand: the bundled ones are missing from assets/models and none was opened.")
    selection.link("pages/open.py", "Open a model")


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Imports torch a little later, in the background: the first click that needs it need not wait."""
    timer = threading.Timer(_WARM_UP_SECONDS, lambda: importlib.import_module("torch"))
    timer.daemon = True
    if "torch" not in sys.modules:
        timer.start()


def _pick_model(chosen: selection.Selection) -> None:
    found = list(dict.fromkeys([*models.at_hand(), *([chosen.model] if chosen.model else [])]))
    if found:
        _synced("pick model", chosen.model)
        st.selectbox(
            "Model",
            found,
            format_func=models.label_of,
            key="pick model",
            on_change=lambda: selection.choose(model=st.session_state["pick model"]),
            help="Bundled models, those that you opened, with the test accuracy that their card records.",
        )
        st.caption(f"Data set: {md(chosen.data)}")
        if sentence := models.forgotten_of(chosen.model).sentence():
            st.caption(md(sentence))
    selection.link("pages/open.py", "Your own model or data →")


def _pick_class(chosen: selection.Selection) -> None:
    _synced("pick class", chosen.cls)
    st.selectbox(
        "Class in focus",
        models.classes_of(chosen.model),
        key="pick class",
        on_change=lambda: selection.choose(cls=st.session_state["pick class"]),
        help="Charts are sorted by this class. At first it is the one with the most selective channel.",
    )


def _pick_forget(chosen: selection.Selection) -> None:
    names = models.classes_left(chosen.model)
    _synced("pick forget", list(chosen.forget))

    def mark(name: str) -> str:
        return f"✕ {name}" if name in chosen.forget else name

    given = {
        "label": f"Classes to forget · {len(chosen.forget)} of {len(names)}"
        if chosen.forget
        else "Classes to forget",
        "options": names,
        "key": "pick forget",
        "on_change": lambda: selection.choose(forget=tuple(st.session_state["pick forget"])),
        "help": "Put classes in here, then go to Forget. A cross marks them in every chart.",
    }
    if len(names) > _MOST_PILLS:
        st.multiselect(**given, format_func=mark, placeholder="none yet")
    else:
        st.pills(**given, format_func=lambda name: md(mark(name)), selection_mode="multi")


def _share() -> None:
    with st.popover("Share this view", width="stretch"):
        address = (st.context.url or "").partition("?")[0]
        st.caption("This link opens the same page with the same selection, on this machine's Lethe.")
        st.code(f"{address}?{selection.query()}", language=None, wrap_lines=True)


def _synced(key: str, value: object) -> None:
    """Sets a widget to what is selected, however it came to be selected: the URL, another page, a chart."""
    if st.session_state.get(key) != value:
        st.session_state[key] = value
