"""Several runs from one request: every combination of the seeds and the values of settings that a person asks for."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.params import Setting, checked

MOST = 60
"""Runs in one set: more than anybody waits for, and few enough that a slip of the finger does no harm."""

Request = Mapping[str, Any]


@dataclass(frozen=True)
class Planned:
    """One run of a set.

    Attributes:
        request: What to run, as `jobs.submit` takes it.
        varied: What this run has different from others of its set: settings, then the seed.
    """

    request: Request
    varied: Mapping[str, Any]


def expand(
    request: Request, seeds: Sequence[int], values: Mapping[str, Sequence[Any]], group: str = ""
) -> list[Planned]:
    """A request for each combination of values of the settings, and within it for each seed.

    A set of more than one run carries its group and how many combinations of settings were tried (`variants`), so that
    its seeds can be put together again and nobody takes the best of many for a published setting.

    Args:
        request: `settings` and `params`; what isn't varied is the same in all.
        seeds: At least one.
        values: The values of each setting to vary, each at least one.
        group: A name that all runs of the set carry.

    Raises:
        UnlearnError: More than `MOST` runs.
    """
    variants = list(product(*values.values()))
    count = len(variants) * len(seeds)
    if count > MOST:
        raise UnlearnError(
            f"{len(variants)} combinations of settings and {len(seeds)} seeds make {count} runs; "
            f"at most {MOST} can be queued at once. Take fewer values."
        )
    shared = {"group": group, "variants": len(variants)} if count > 1 else {}
    return [
        _one(request, dict(zip(values, variant, strict=True)), seed, shared, len(seeds) > 1)
        for variant in variants
        for seed in seeds
    ]


def seeds_in(text: str, first: int) -> tuple[int, ...]:
    """The seeds that a text names: none gives `first`, one number that many seeds from `first` on, a list itself.

    Raises:
        UnlearnError: Something in it is no whole number of 0 or more, or there are too many.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        raise UnlearnError(
            f"Seeds can't be {text[:80]!r}; give how many (5), or the seeds themselves with commas between (0, 7, 42)."
        )
    if len(words) == 1 and not text.strip().endswith(","):
        count = int(words[0])
        if not 1 <= count <= MOST:
            raise UnlearnError(f"The number of seeds can't be {count}; it must lie between 1 and {MOST}.")
        return tuple(range(first, first + count))
    return tuple(dict.fromkeys(int(word) for word in words)) or (first,)


def values_in(setting: Setting, text: str) -> tuple[Any, ...]:
    """The values of a setting that a text lists with commas between, each once; none for an empty text.

    Raises:
        UnlearnError: One of them isn't allowed.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    return tuple(dict.fromkeys(checked(setting, word) for word in words))


def group_id(*parts: Any) -> str:
    """A short name for a set of runs: the same for the same parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _one(
    request: Request, varied: Mapping[str, Any], seed: int, shared: Mapping[str, Any], many_seeds: bool
) -> Planned:
    told = {**varied, "seed": seed} if many_seeds else dict(varied)
    settings = {**request["settings"], **shared, "seed": seed}
    return Planned({**request, "settings": settings, "params": {**request["params"], **varied}}, told)
