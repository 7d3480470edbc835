"""What is compared, in words: the scenarios of the picker, and the rows of the table."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pages.parts import methods, models
from pages.parts.opened import store
from unlearn_core.experiments.gathering import KINDS, UNKNOWN_MASK
from unlearn_core.experiments.grouping import Scenario, scenarios
from unlearn_core.experiments.table import Row
from unlearn_core.experiments.trial import FEDERATED, ORIGINAL, STORED, Trial
from unlearn_core.sparsify.registry import short_label as sparsifier_label
from unlearn_core.store.records import is_run_id
from unlearn_core.unlearning.registry import REFERENCE, short_label
from unlearn_core.words import trimmed_percent

_MOST_SETTINGS = 2


def ordered(trials: Iterable[Trial], model: str) -> list[Scenario]:
    """What can be compared: that of a model first, and of these what has a retrained model."""
    name = models.card_of(model).get("name", "")
    return sorted(scenarios(trials), key=lambda s: (s.model != name, not _has_reference(s)))


def of_model(scenario: Scenario, model: str) -> bool:
    """Whether a scenario is of the model behind a reference."""
    return scenario.model == models.card_of(model).get("name", "")


def waiting(scenario: Scenario | None) -> int:
    """How many runs are still at work that may belong to a scenario, or at all."""
    runs = [r for r in store().unfinished() if r.kind in KINDS]
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
    return f"forgetting {trimmed_percent(scenario.fraction)} at random"


def names_of(rows: list[Row]) -> dict[str, str]:
    """A name for each row by its key, no two alike: the method and sparsity, then whatever tells it from the others.

    A row with published or recommended settings doesn't list them, unless another one is called the same.
    """
    names = {row.key: _name(row) for row in rows}
    for more in (_where, settings_named, lambda row: row.key.rpartition("-")[2][:4]):
        counts = Counter(names.values())
        for row in rows:
            extra = more(row)
            if counts[names[row.key]] > 1 and extra and extra not in names[row.key]:
                names[row.key] += f", {extra}"
    return names


def settings_named(row: Row, most: int = _MOST_SETTINGS) -> str:
    """The settings in which a row differs from others of its method, the first few of them."""
    known = [f"{methods.label(k, row.method).lower()} {_value(v)}" for k, v in row.changed.items()]
    rest = f", {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + rest


def method_label(name: str) -> str:
    """What a method is called."""
    if name == ORIGINAL:
        return "Original model"
    plain = name.removeprefix(FEDERATED)
    label = short_label(plain)
    return f"{label}, federated" if name.startswith(FEDERATED) else label


def depth(row: Row) -> str:
    """Of what model a row is: dense, or how sparse, by what, and whether strictly."""
    if not row.sparsity:
        return "dense"
    name, comma, strict = row.sparsifier.partition(", ")
    return f"{trimmed_percent(row.sparsity, 3)} {_sparsifier(name)}{comma}{strict}"


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
        "" if usual else settings_named(row),
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


def _sparsifier(name: str) -> str:
    return "sparse" if name == UNKNOWN_MASK else sparsifier_label(name)
