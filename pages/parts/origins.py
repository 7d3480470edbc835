"""Where stored numbers come from: each study with its machine and the command that repeats it."""

from collections.abc import Iterable

import streamlit as st

from pages.parts.text import md
from unlearn_core.experiments.study import Study


def draw(studies: Iterable[Study]) -> None:
    """A sentence and the command for each study."""
    for study in studies:
        machine = ", ".join(f"{k}: {v}" for k, v in study.machine.items() if v)
        st.markdown(md(f"Stored study {study.name}, {study.date}. {study.about} Measured on: {machine}."))
        st.code(study.command, language="bash")
