"""The frame around all pages: page setup, navigation, sidebar; nothing else."""

from pathlib import Path

import streamlit as st

from pages.parts import frame
from pages.parts.text import md
from unlearn_core.errors import UnlearnError

HERE = Path(__file__).parent
PAGES = {
    "overview": "Overview",
    "open": "Open",
    "channel_scores": "Scores",
    "feature_maps": "Maps",
    "forget": "Forget",
    "before_after": "Before / after",
    "compare": "Compare",
    "sparsity": "Sparsity",
    "audit": "Audit",
    "federated": "Federated",
    "runs": "Runs",
}

st.set_page_config(
    page_title="Lethe", page_icon=str(HERE / "assets" / "icon.svg"), layout="wide", initial_sidebar_state=248
)
st.logo(str(HERE / "assets" / "logo.svg"), size="large")
page = st.navigation(
    [st.Page(f"pages/{name}.py", title=title, default=name == "overview") for name, title in PAGES.items()],
    position="top",
)
st.session_state[frame.FRAMED] = True
try:
    frame.sidebar()
    page.run()
except UnlearnError as error:
    st.error(md(str(error)))
finally:
    st.session_state.pop(frame.FRAMED, None)
frame.warm_up()
