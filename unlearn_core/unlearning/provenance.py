"""How the settings of a result came about: derived from what was run, never from what somebody says."""

from collections.abc import Mapping
from typing import Any

from unlearn_core.unlearning.advice import PRESETS

CHOSEN: Mapping[str, str] = {
    "published": "rate, epochs and weights as in the method's paper or its authors' code; batch, momentum and shifts of the "
    "images are Lethe's",
    "recommended": "Lethe's own defaults or the model's own recipe, which differ from the published settings",
    "by hand": "changed by hand",
    "shared": "those of the method that it stands beside, so that nothing else differs",
    "tuned": "several settings were tried beside a retrained model: an oracle that nobody has in production",
}
"""What each word means, to follow the word in a sentence."""

# A machine's arithmetic and memory are no choice about the method.
_OF_THE_MACHINE = frozenset({"precision", "memory"})
_FROM_SCRATCH = {"epochs": 182, "lr": 0.1, "schedule": "multistep"}
_PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "tfidf_prune": PRESETS["Paper as released (global threshold)"],
    "random_prune": PRESETS["Paper as released (global threshold)"],
    "retrain": _FROM_SCRATCH,
    "omp": {**_FROM_SCRATCH, "rewind_epoch": 8},
    "imp": {**_FROM_SCRATCH, "rewind_epoch": 8},
    "synflow": _FROM_SCRATCH,
    "random": _FROM_SCRATCH,
    "influence": {"solver": "released"},
}
"""Where the defaults aren't the published settings: what the published ones have otherwise."""


def how_chosen(method: str, values: Mapping[str, Any], defaults: Mapping[str, Any], *, tuned: bool) -> str:
    """A key of `CHOSEN`; empty for a method without settings.

    Args:
        method: Name in the registry.
        values: Every setting that was run.
        defaults: The method's defaults; for retraining, the model's own recipe.
        tuned: Whether it is one of several settings that were run beside retraining.
    """
    if not values:
        return ""
    if tuned:
        return "tuned"
    if method in _PUBLISHED and _same(values, {**defaults, **_PUBLISHED[method]}):
        return "published"
    if _same(values, defaults):
        return "recommended" if method in _PUBLISHED else "published"
    return "by hand"


def told(chosen: str) -> str:
    """The word with its meaning, as a sentence; empty where nobody noted it."""
    return f"Settings: {chosen} ({CHOSEN[chosen]})." if chosen in CHOSEN else ""


def _same(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    return all(one.get(name, two[name]) == two[name] for name in two.keys() - _OF_THE_MACHINE)
