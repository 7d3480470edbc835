"""What was measured over sparsity: the stored studies and this person's own runs, by model and what is forgotten."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st

from pages.parts import models
from pages.parts.opened import store
from pages.parts.selection import Selection
from unlearn_core.checkpoints import catalog
from unlearn_core.errors import UnlearnError
from unlearn_core.experiments.study import STUDIES, Study, read_study, studies
from unlearn_core.experiments.sweep import Family, Series, families, series_of, told_apart
from unlearn_core.experiments.trial import REFERENCE, Trial, trials_of
from unlearn_core.home import home
from unlearn_core.store.runs import RunState
from unlearn_core.unlearning.registry import short_label

PAPER = (REFERENCE, "fine_tune", "gradient_ascent", "influence", "fisher", "l1_sparse")
"""The methods of the paper's figures."""
_MOST_RUNS = 500


def all_families() -> list[Family]:
    """Everything that can be drawn over sparsity; stored studies first."""
    finished = tuple(r.id for r in store().list("unlearn", _MOST_RUNS) if r.state is RunState.SUCCEEDED)
    return _families(_stamp(), finished, str(home()))


def stored() -> list[Study]:
    """The stored studies that can be read."""
    return _stored(_stamp())


def damaged() -> list[str]:
    """What is wrong with stored studies that can't be read."""
    problems = []
    for name in studies():
        try:
            read_study(name)
        except UnlearnError as error:
            problems.append(str(error))
    return problems


def names_of(family: Family) -> dict[Series, str]:
    """What each series is called: its method, and by which settings it differs where a method was run under several."""
    every = series_of(family)
    return {s: _name(s, [o for o in every if o is not s]) for s in every}


def is_of(family: Family, chosen: Selection) -> bool:
    """Whether the family's dense model is the selected one."""
    card = models.card_of(chosen.model)
    digest = card.get("facts", {}).get("weights_digest")
    return digest == family.base if digest else card.get("name") == family.model


def sparse_facts(result: Mapping[str, Any], model: str) -> Mapping[str, Any] | None:
    """Of the model that a run began with: its card's facts where it is sparse; None for a dense one.

    Where the model's file is gone, the result still says how sparse it was.
    """
    facts = facts_of(model)
    if "sparsity" in facts:
        return facts
    measured = result.get("sparsity")
    return {"sparsity": {"measured": measured, "method": "a mask"}} if measured else None


def facts_of(model: str) -> Mapping[str, Any]:
    """The facts on a model's card, also of one that a run was given by its path; none where it is gone."""
    card = models.card_of(model)
    if not card and Path(model).is_file():
        with suppress(UnlearnError, KeyError):
            card = dict(catalog.read_header(Path(model))["card"])
    return dict(card.get("facts", {}))


def _name(series: Series, others: list[Series]) -> str:
    label = short_label(series.method)
    told = {} if series.usual else told_apart(series, others)
    return label + (f" ({', '.join(f'{k} {v}' for k, v in told.items())})" if told else "")


@st.cache_resource(show_spinner=False, max_entries=4)
def _families(stamp: tuple[Any, ...], finished: tuple[str, ...], home: str) -> list[Family]:
    trials = [t for study in _stored(stamp) for t in study.trials]
    for run_id in finished:
        trials += _of_run(run_id, home)
    return families(trials)


@st.cache_resource(show_spinner=False, max_entries=4)
def _stored(stamp: tuple[Any, ...]) -> list[Study]:
    found = []
    for name, *_ in stamp:
        try:
            found.append(read_study(name))
        except UnlearnError:
            continue  # `damaged` tells of it
    return found


@st.cache_resource(show_spinner=False, max_entries=1000)
def _of_run(run_id: str, _home: str) -> list[Trial]:
    """A finished run's trials; none where its model had already forgotten something, or its files are damaged."""
    try:
        record = store().get(run_id)
        result = record.result
        if result is None:
            return []
        model = str(record.request["settings"]["model"])
        if "unlearned_from" in facts_of(model):
            return []
        return trials_of(run_id, result, record.request, sparse_facts(result, model))
    except (UnlearnError, KeyError):
        return []


def _stamp() -> tuple[Any, ...]:
    """Changes with the stored studies, so that a study that grows is read again."""
    paths = [STUDIES / f"{name}.json" for name in studies()]
    return tuple((p.stem, p.stat().st_size, p.stat().st_mtime_ns) for p in paths)
