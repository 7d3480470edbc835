"""What was measured, for the pages that compare it: read once, with where it comes from and what had to be left out."""

from collections.abc import Iterable, Mapping, Sequence

import streamlit as st

from pages.parts.opened import store
from pages.parts.text import md
from unlearn_core.experiments import gathering
from unlearn_core.experiments.gathering import Measured
from unlearn_core.experiments.study import Study
from unlearn_core.experiments.trial import Trial
from unlearn_core.words import counted


def measured() -> Measured:
    """The trials of finished runs, of the stored studies and of the run that came with the app."""
    with st.spinner("Reading what was measured …"):
        return gathering.measured(store())


def origin(trials: Iterable[Trial], studies: Mapping[str, Study], note: str = "") -> None:
    """Draws where the numbers of some trials come from, with the command that repeats each stored study."""
    sources = dict.fromkeys(trial.source for trial in trials)
    stored = [studies[name] for name in sources if name in studies]
    runs = len(sources) - len(stored)
    with st.expander("Where these numbers come from"):
        if runs:
            st.markdown(f"{counted(runs, 'finished run')}, kept on the Runs page or with the app.")
        for study in stored:
            origin_of(study)
        if note:
            st.markdown(note)


def origin_of(study: Study) -> None:
    """Draws a study's sentence and command."""
    machine = ", ".join(f"{k}: {v}" for k, v in study.machine.items() if v)
    st.markdown(md(f"Stored study {study.name}, {study.date}. {study.about} Measured on: {machine}."))
    st.code(study.command, language="bash")


def left_out(damaged: Sequence[str]) -> None:
    """Draws what can't be read, a sentence each; nothing where all can."""
    if not damaged:
        return
    count = "One run is" if len(damaged) == 1 else f"{len(damaged)} runs are"
    with st.expander(f"{count} left out"):
        for problem in damaged:
            st.markdown(md(problem))
