"""What there is to compare: the trials of finished runs, of the bundled example and of the stored studies."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from pages.parts import methods, models, selection
from pages.parts.opened import store
from unlearn_core.checkpoints import catalog
from unlearn_core.errors import UnlearnError
from unlearn_core.experiments.study import STUDIES, Study, read_study, studies
from unlearn_core.experiments.table import Row, Scenario, scenarios
from unlearn_core.experiments.trial import FEDERATED, ORIGINAL, REFERENCE, STORED, Trial, trials_of
from unlearn_core.home import home
from unlearn_core.store.records import is_run_id
from unlearn_core.store.runs import RunRecord, RunState
from unlearn_core.unlearning.registry import short_label
from unlearn_core.workflows import pack

_MOST_RUNS = 500
_KINDS = ("unlearn", "federated")
_SETTINGS_TOLD = 2
_SPARSIFIERS = {"omp": "OMP", "imp": "IMP", "synflow": "SynFlow"}


@dataclass(frozen=True)
class Found:
    """All that can be compared.

    Attributes:
        scenarios: Those of the selected model first, and of these the ones with a retrained model.
        own: How many of them are of the selected model.
        studies: The stored studies, by name.
        damaged: What was left out, a sentence each.
    """

    scenarios: list[Scenario]
    own: int
    studies: dict[str, Study]
    damaged: list[str]


def found(chosen: selection.Selection) -> Found:
    """Everything that was measured, newest runs first, then what came with the app."""
    damaged: list[str] = []
    trials: list[Trial] = []
    for record in _finished():
        try:
            trials += _of_run(record.id, str(home()), _stamp(store().folder(record.id) / "result.json"))
        except UnlearnError as error:
            damaged.append(str(error))
    stored: dict[str, Study] = {}
    for name in studies():
        try:
            stored[name] = _study(name, _stamp(STUDIES / f"{name}.json"))
            trials += stored[name].trials
        except UnlearnError as error:
            damaged.append(str(error))
    trials += _example()
    all_of_them = scenarios(trials)
    name = models.card_of(chosen.model).get("name", "")
    ordered = sorted(all_of_them, key=lambda s: (s.model != name, not _has_reference(s)))
    return Found(ordered, sum(s.model == name for s in ordered), stored, damaged)


def waiting(scenario: Scenario | None) -> int:
    """How many runs are still at work that may belong to a scenario, or at all."""
    runs = [r for r in store().unfinished() if r.kind in _KINDS]
    names = [models.card_of(str(r.request.get("settings", {}).get("model", ""))).get("name") for r in runs]
    return sum(scenario is None or name == scenario.model for name in names)


def labels_of(listed: list[Scenario]) -> dict[str, str]:
    """What each scenario is called in the picker, by its key; two models of one name are told apart by their weights."""
    labels = {s.key: label_of(s) for s in listed}
    counts = Counter(labels.values())
    return {
        s.key: f"{labels[s.key]} · weights {s.trials[0].base[:8]}"
        if counts[labels[s.key]] > 1
        else labels[s.key]
        for s in listed
    }


def label_of(scenario: Scenario) -> str:
    """What a scenario is called."""
    sparse = ", sparse" if all(t.sparsity for t in scenario.trials) else ""
    return f"{scenario.model}{sparse} on {scenario.data.partition(':')[0]} · {forgets(scenario)}"


def forgets(scenario: Scenario) -> str:
    """What is forgotten, in words."""
    if scenario.classes:
        return f"forgetting ✕ {', '.join(scenario.classes)}"
    return f"forgetting {100 * scenario.fraction:.3g} % at random"


def names_of(rows: list[Row]) -> dict[str, str]:
    """A name for each row by its key, no two alike: the method and sparsity, then whatever tells it from the others.

    A row with published or recommended settings doesn't list them, unless another one is called the same.
    """
    names = {row.key: _name(row) for row in rows}
    for more in (_where, settings_told, lambda row: row.key.rpartition("-")[2][:4]):
        counts = Counter(names.values())
        for row in rows:
            extra = more(row)
            if counts[names[row.key]] > 1 and extra and extra not in names[row.key]:
                names[row.key] += f", {extra}"
    return names


def settings_told(row: Row, most: int = _SETTINGS_TOLD) -> str:
    """The settings in which a row differs from others of its method, the first few of them."""
    known = [f"{methods.label(k, row.method).lower()} {_value(v)}" for k, v in row.changed.items()]
    rest = f", {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + rest


def method_label(name: str) -> str:
    """What a method is called."""
    if name == ORIGINAL:
        return "Original model"
    plain = name.removeprefix(FEDERATED)
    shown = short_label(plain)
    return f"{shown}, federated" if name.startswith(FEDERATED) else shown


def depth(row: Row) -> str:
    """Of what model a row is: dense, or how sparse, by what, and whether strictly."""
    if not row.sparsity:
        return "dense"
    name, comma, strict = row.sparsifier.partition(", ")
    return f"{100 * row.sparsity:.3g} % {_SPARSIFIERS.get(name, name) or 'sparse'}{comma}{strict}"


def run_of(row: Row) -> str:
    """A run whose result this row is, to be opened in Before / after; empty for controls and for what was measured elsewhere."""
    results = [t for t in row.trials if t.part == "after" and (is_run_id(t.source) or t.source == STORED)]
    return results[0].source if results else ""


def _has_reference(scenario: Scenario) -> bool:
    return any(t.method == REFERENCE for t in scenario.trials)


def _name(row: Row) -> str:
    usual = row.chosen in {"published", "recommended"} or row.kind != "method"
    words = [
        method_label(row.method),
        depth(row) if row.sparsity else "",
        "" if usual else settings_told(row),
    ]
    return ", ".join(word for word in words if word)


def _where(row: Row) -> str:
    if not row.stored:
        return ""
    if row.stored == STORED:
        return "stored"
    return f"study {row.stored.removeprefix(row.trials[0].model).strip('-')}"


def _value(value: Any) -> str:
    return (
        f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value).lower()
    )


def _finished() -> list[RunRecord]:
    records = [r for kind in _KINDS for r in store().list(kind, _MOST_RUNS)]
    return sorted((r for r in records if r.state is RunState.SUCCEEDED), key=lambda r: -r.created)


def _example() -> list[Trial]:
    """The example run of the data pack, where the pack is whole."""
    try:
        request = {"settings": dict(pack.read_pack()["run"]["settings"])}
        return trials_of(STORED, pack.read_run(), request)
    except UnlearnError:
        return []


# Size and time of change beside the id: a finished run's result never changes, unless somebody damages it.
@st.cache_resource(show_spinner="Reading the runs …", max_entries=1024)
def _of_run(run_id: str, home: str, stamp: tuple[int, int]) -> list[Trial]:
    request = store().get(run_id).request
    result = store().result(run_id)
    card = _card(str(request.get("settings", {}).get("model", "")))
    ours = card.get("name") == result.get("inputs", {}).get("model")
    return trials_of(run_id, result, request, card.get("facts") if ours else None)


def _card(reference: str) -> dict[str, Any]:
    """The card of the model that a run began with, also where it was given as a file; empty where it is gone."""
    known = models.card_of(reference)
    path = Path(reference)
    if known or path.suffix != ".safetensors" or not path.is_file():
        return known
    try:
        return dict(catalog.read_header(path)["card"])
    except UnlearnError:
        return {}


@st.cache_resource(show_spinner="Reading the stored studies …", max_entries=32)
def _study(name: str, stamp: tuple[int, int]) -> Study:
    return read_study(name)


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change; zeros for a file that is gone."""
    try:
        about = path.stat()
    except OSError:
        return 0, 0
    return about.st_size, about.st_mtime_ns
