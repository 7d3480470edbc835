"""The gate before any aggregation: a client may be wrong or lie, and what it sends must not reach the model.

Each check gives the reason for which an answer is rejected, as a sentence; an empty one lets it pass.
"""

import reprlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.federated.messages import Answer, Arrays
from unlearn_core.results.exchanges import Member

_LARGEST = 1e6  # far above any weight or batch-norm statistic of a network that works

Schema = Mapping[str, tuple[tuple[int, ...], str]]
"""Shape and type that each array must have, by name."""


@dataclass(frozen=True)
class Rejection:
    """An answer that was not taken."""

    node: int
    reason: str


def schema_of(arrays: Arrays) -> Schema:
    """The schema that these arrays have."""
    return {name: (values.shape, str(values.dtype)) for name, values in arrays.items()}


def genuine(
    answers: Sequence[Answer], nodes: Collection[int], exchange: int
) -> tuple[list[Answer], list[Rejection]]:
    """The first answer of each node that was asked, to this very exchange; and the others, with reasons."""
    accepted: dict[int, Answer] = {}
    rejected = []
    for answer in answers:
        reason = answer.error or answer.unreadable
        if answer.node not in nodes:
            reason = "It was not asked."
        elif not reason and answer.config.get("exchange") != exchange:
            reason = f"It answers exchange {reprlib.repr(answer.config.get('exchange'))}; this is exchange {exchange}."
        elif answer.node in accepted:
            reason = "It answered already in this exchange."
        if reason:
            rejected.append(Rejection(answer.node, reason))
        else:
            accepted[answer.node] = answer
    return list(accepted.values()), rejected


def arrays_problem(arrays: Arrays, schema: Schema) -> str:
    """What is wrong with arrays: names, shapes, types or values that aren't finite."""
    if set(arrays) != set(schema):
        missing, unknown = sorted(set(schema) - set(arrays)), sorted(set(arrays) - set(schema))
        return f"Its arrays are others: missing {missing[:3]}, unknown {reprlib.repr(unknown)}."
    for name, (shape, dtype) in schema.items():
        values = arrays[name]
        if values.shape != shape or str(values.dtype) != dtype:
            return f"{name!r} is {values.dtype} {values.shape}, not {dtype} {shape}."
        if not np.isfinite(values).all():
            return f"{name!r} holds values that are not finite."
    return ""


def whole_number_problem(config: Mapping[str, Any], name: str, low: int, high: int) -> str:
    """What is wrong with a count that a client gave."""
    value = config.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        return f"{name!r} is {reprlib.repr(value)}, not a whole number from {low} to {high}."
    return ""


def update_problem(answer: Answer, member: Member, schema: Schema) -> str:
    """What is wrong with a trained model."""
    reason = whole_number_problem(
        answer.config, "images", member.train_images, member.train_images
    ) or arrays_problem(answer.arrays, schema)
    if reason:
        return reason
    for name, values in answer.arrays.items():
        counter = np.issubdtype(values.dtype, np.integer)
        if not counter and np.abs(values).max(initial=0) > _LARGEST:
            return f"{name!r} holds values above {_LARGEST:g}."
        if (counter or name.endswith("running_var")) and values.min(initial=0) < 0:
            return f"{name!r} holds negative values."
    return ""


def tallies_problem(answer: Answer, member: Member) -> str:
    """What is wrong with the count of images classified rightly, (2, 2): to forget and to keep, each of all of them."""
    reason = arrays_problem(answer.arrays, {"tallies": ((2, 2), "int64")})
    if reason:
        return reason
    right, held = answer.arrays["tallies"].T
    registered = [member.images - member.train_images, member.train_images]
    possible = (right >= 0).all() and (right <= held).all() and held.tolist() == registered
    return "" if possible else "It counts more images than it registered, or fewer."


def far_out(sizes: Mapping[int, float], bound: float) -> list[Rejection]:
    """Those whose size is more than `bound` times the median of all: one loud client can't outweigh the rest.

    Clients that sent nothing (size 0) don't count; of fewer than three, none can be told to be the loud one.
    """
    positive = [size for size in sizes.values() if size > 0]
    if len(positive) < 3:
        return []
    limit = bound * float(np.median(positive))
    return [
        Rejection(
            node, f"Its size {size:.3g} is above {bound:g} times the median of all, {limit / bound:.3g}."
        )
        for node, size in sizes.items()
        if size > limit
    ]


def distance(update: Arrays, base: Arrays) -> float:
    """How far a client moved the model: the L2 norm over all parameters and batch-norm statistics."""
    return float(np.sqrt(sum(_squares(update[name], base[name]) for name in base)))


def _squares(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    if np.issubdtype(ours.dtype, np.integer):
        return 0.0
    difference = ours.astype(np.float64) - theirs
    return float((difference * difference).sum())
