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

MOST_IMAGES = 1_000_000_000
MOST_MEAN = 32.0  # of an image's mean activation in a channel, far above what batch norm lets through
_LARGEST = 1e6  # far above any weight or batch-norm statistic of a network that works

_DUST = 1e-3  # of an image's activation: what masked numbers are rounded by, and more

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


def channels_in(schema: Schema) -> int:
    """All channels that statistics hold sums of."""
    return sum(shape[1] for shape, _ in schema.values() if len(shape) == 2)


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


def claim_problem(config: Mapping[str, Any], clients: int, numbers: Collection[int]) -> str:
    """What is wrong with what a client registers: its number, and how many images it holds and trains on.

    Args:
        config: Its answer.
        clients: How many there are to be.
        numbers: Those of the clients that have registered.
    """
    return (
        whole_number_problem(config, "client", 0, clients - 1)
        or whole_number_problem(config, "images", 1, MOST_IMAGES)
        or whole_number_problem(config, "train_images", 0, config["images"])
        or (f"Client {config['client']} is registered already." if config["client"] in numbers else "")
    )


def deal_problem(config: Mapping[str, Any], dealt: Sequence[tuple[int, int]], *, own: bool) -> str:
    """What is wrong with a well-formed claim beside what was dealt.

    Args:
        config: The client's answer.
        dealt: Images, and those to train on, of each client's part by its number; empty where nobody dealt any.
        own: Whether clients may hold images of their own.
    """
    if config.get("own_data") is True:
        return "" if own else "It says that its images are its own, but this run dealt them."
    claimed = (config["images"], config["train_images"])
    if dealt and claimed != dealt[config["client"]]:
        return "It registers {} images, {} to train on; it was dealt {} and {}.".format(
            *claimed, *dealt[config["client"]]
        )
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


def stats_problem(
    answer: Answer, member: Member, schema: Schema, *, reach: float, sums_reach: float = 0.0
) -> str:
    """What is wrong with activation statistics.

    Args:
        answer: The statistics.
        member: Who sent them.
        schema: What they must be.
        reach: How far noise takes a count at most, up or down; 0 without noise. With it, sums may be negative.
        sums_reach: How far it takes a sum at most.
    """
    reason = arrays_problem(answer.arrays, schema) or _counts_problem(
        answer.arrays["counts"], member.images, reach
    )
    if reason:
        return reason
    counts = answer.arrays["counts"]
    problems = (
        _sums_problem(name, sums, counts, reach, sums_reach)
        for name, sums in answer.arrays.items()
        if name != "counts"
    )
    return next(filter(None, problems), "")


def _sums_problem(
    name: str, sums: NDArray[Any], counts: NDArray[np.int64], reach: float, sums_reach: float
) -> str:
    """What is wrong with the sums (K, C) of one layer, by themselves: beside others, two clients that lie are a majority."""
    if not reach and sums.min(initial=0) < 0:
        return f"{name!r} holds negative sums of activations, which a ReLU can't give."
    if sums[counts == 0].any():
        return f"{name!r} holds sums of a class that it has no images of."
    # Noise may hide images from a count, but then each of them was clipped to less than the reach of a sum has room for.
    most = MOST_MEAN * counts[:, None] + sums_reach
    if (np.abs(sums) > most).any():
        return (
            f"{name!r} holds sums above {MOST_MEAN:g} for each image, which batch norm doesn't let through."
        )
    return ""


def total_problem(arrays: Arrays, schema: Schema, images: int, *, reach: float) -> str:
    """What is wrong with the sum of all clients' statistics, of which nothing else can be checked.

    Args:
        arrays: The sums; counts are whole numbers.
        schema: What they must be.
        images: All that the clients in the sum registered.
        reach: How far the noise of all of them together takes a count at most; 0 without noise.
    """
    reason = arrays_problem(arrays, schema) or _counts_problem(arrays["counts"], images, reach)
    if reason:
        return reason
    dust = _DUST * max(1.0, float(images))
    if not reach and any(a.min(initial=0.0) < -dust for n, a in arrays.items() if n != "counts"):
        return "It holds negative sums of activations, which a ReLU can't give."
    return ""


def _counts_problem(counts: NDArray[np.int64], images: int, reach: float) -> str:
    """What is wrong with counts by class (K,), each on its own first: a sum of large ones wraps around in 64 bits."""
    if counts.min() < 0:
        return "It counts fewer than no images of a class."
    most = images + reach
    if counts.max() > most:
        return f"It counts {counts.max()} images of a class, but registered {images}."
    total = sum(counts.tolist())
    if total > images + reach * len(counts):
        return f"It counts {total} images, but registered {images}."
    return ""


def without_dust(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The same sums without what rounding under masks left: below zero, and of classes without images."""
    none = arrays["counts"] == 0
    return {
        name: values if name == "counts" else np.where(none[:, None], 0.0, values)
        for name, values in arrays.items()
    }


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


def mean_size(arrays: Arrays) -> float:
    """The L2 norm of the mean activations over all of a client's images; 0 where it reported none."""
    count = int(arrays["counts"].sum())
    sums = (
        [values.sum(axis=0) / count for name, values in arrays.items() if name != "counts"] if count else []
    )
    return float(np.sqrt(sum(float(s @ s) for s in sums)))


def _squares(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    if np.issubdtype(ours.dtype, np.integer):
        return 0.0
    difference = ours.astype(np.float64) - theirs
    return float((difference * difference).sum())
