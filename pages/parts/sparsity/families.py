"""What can be drawn over sparsity, by model and what is forgotten, and what its series are called."""

from collections.abc import Iterable

from pages.parts import models
from pages.parts.selection import Selection
from unlearn_core.experiments.families import Family, Series, distinguishing, levels, series_of, swept
from unlearn_core.experiments.sweep import nearest
from unlearn_core.experiments.trial import Trial
from unlearn_core.unlearning.registry import short_label


def of_measured(trials: Iterable[Trial], selected: Selection) -> list[Family]:
    """What can be drawn over sparsity: all that was measured on sparse models, and the selected model's own."""
    return [f for f in swept(trials) if nearest(levels(f), 0.0) or is_of(f, selected)]


def names_of(family: Family) -> dict[Series, str]:
    """What each series is called: its method, and by which settings it differs where a method was run under several."""
    every = series_of(family)
    return {s: _name(s, [o for o in every if o is not s]) for s in every}


def is_of(family: Family, selected: Selection) -> bool:
    """Whether the family's dense model is the selected one."""
    card = models.card_of(selected.model)
    digest = card.get("facts", {}).get("weights_digest")
    return digest == family.base if digest else card.get("name") == family.model


def _name(series: Series, others: list[Series]) -> str:
    label = short_label(series.method)
    settings = {} if series.usual else distinguishing(series, others)
    return label + (f" ({', '.join(f'{k} {v}' for k, v in settings.items())})" if settings else "")
