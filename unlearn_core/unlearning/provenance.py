"""How the settings of a result came about: derived from what was run, never from what somebody says."""

from collections.abc import Mapping
from typing import Any

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


def how_chosen(
    published: Mapping[str, Any], values: Mapping[str, Any], defaults: Mapping[str, Any], *, tuned: bool
) -> str:
    """A key of `CHOSEN`; empty for a method without settings.

    Args:
        published: What the paper or its authors' code sets otherwise than the defaults.
        values: Every setting that was run.
        defaults: The method's defaults; for retraining, the model's own recipe.
        tuned: Whether it is one of several settings that were run beside retraining.
    """
    if not values:
        return ""
    if tuned:
        return "tuned"
    if _same(values, {**defaults, **published}):
        return "published"
    return "recommended" if _same(values, defaults) else "by hand"


def sentence_of(chosen: str) -> str:
    """The word with its meaning, as a sentence; empty where nobody noted it."""
    return f"Settings: {chosen} ({CHOSEN[chosen]})." if chosen in CHOSEN else ""


def _same(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    return all(one.get(name, two[name]) == two[name] for name in two.keys() - _OF_THE_MACHINE)
