"""Who holds which images: the training set cut into clients, drawn before a run and the same for the same seed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unlearn_core.errors import UnlearnError

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Partition:
    """How images are dealt to clients; `str(partition)` is what a person types.

    Attributes:
        kind: A key of `PARTITIONS`.
        value: The kind's number: alpha, shards of a client, or share of the main class; 0 for iid.
    """

    kind: str
    value: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind}:{self.value:g}" if self.kind != "iid" else self.kind


def parse_partition(text: str) -> Partition:
    """The partition that a person typed: iid, dirichlet:A, shards:S or biased:P.

    Raises:
        UnlearnError: An unknown kind, or its number is missing or out of range.
    """
    kind, _, number = text.strip().partition(":")
    if kind not in PARTITIONS:
        raise UnlearnError(
            f"Unknown partition {text!r}; use iid, dirichlet:A, shards:S or biased:P, for instance dirichlet:0.5."
        )
    if kind == "iid" and not number:
        return Partition("iid")
    low, high, meaning = _RANGES[kind]
    try:
        value = float(number)
        if not low <= value <= high or (kind == "shards" and value != int(value)):
            raise ValueError
    except ValueError:
        raise UnlearnError(f"Partition {text!r} can't be drawn: {meaning}.") from None
    return Partition(kind, value)


def draw(
    labels: NDArray[np.int64], clients: int, partition: Partition, *, seed: int
) -> tuple[Positions, ...]:
    """The positions that each client holds, ascending: every position at one client, no client without any.

    Args:
        labels: Class of each of N images, (N,).
        clients: How many clients; at most N.
        partition: How images are dealt.
        seed: Of every random draw.

    Raises:
        UnlearnError: There are fewer images, or shards of them, than the clients need.
    """
    if not 1 <= clients <= len(labels):
        raise UnlearnError(
            f"{len(labels):,} images can't be dealt to {clients:,} clients; take 1 to {len(labels):,} clients."
        )
    rng = np.random.default_rng(seed)
    parts = PARTITIONS[partition.kind](labels, clients, partition.value, rng)
    return tuple(np.sort(part).astype(np.int64) for part in _without_empty(parts))


def holdings(labels: NDArray[np.int64], parts: tuple[Positions, ...], num_classes: int) -> NDArray[np.int64]:
    """Images of each class at each client, (clients, K)."""
    return np.stack([np.bincount(labels[part], minlength=num_classes) for part in parts]).astype(np.int64)


def _iid(labels: NDArray[np.int64], clients: int, value: float, rng: np.random.Generator) -> list[Positions]:
    return list(np.array_split(rng.permutation(len(labels)), clients))


def _dirichlet(
    labels: NDArray[np.int64], clients: int, alpha: float, rng: np.random.Generator
) -> list[Positions]:
    """Each class is dealt in shares drawn from Dirichlet(alpha): the smaller alpha, the more uneven.

    Source: Hsu, Qi and Brown, "Measuring the Effects of Non-Identical Data Distribution", arXiv 1909.06335.
    """
    held: list[list[Positions]] = [[] for _ in range(clients)]
    for k in np.unique(labels):
        positions = rng.permutation(np.flatnonzero(labels == k))
        shares = rng.dirichlet(np.full(clients, alpha))
        cuts = np.rint(np.cumsum(shares)[:-1] * len(positions)).astype(int)
        for client, part in enumerate(np.split(positions, cuts)):
            held[client].append(part)
    return [np.concatenate(parts) for parts in held]


def _shards(
    labels: NDArray[np.int64], clients: int, value: float, rng: np.random.Generator
) -> list[Positions]:
    """Images sorted by class are cut into equal shards, and each client is dealt that many of them.

    Source: McMahan et al., "Communication-Efficient Learning of Deep Networks", AISTATS 2017, arXiv 1602.05629.
    """
    count = clients * int(value)
    if count > len(labels):
        raise UnlearnError(
            f"{len(labels):,} images can't be cut into {count:,} shards; take fewer clients or shards a client."
        )
    shuffled = rng.permutation(len(labels))
    pieces = np.array_split(shuffled[np.argsort(labels[shuffled], kind="stable")], count)
    dealt = rng.permutation(count).reshape(clients, int(value))
    return [np.concatenate([pieces[i] for i in own]) for own in dealt]


def _biased(
    labels: NDArray[np.int64], clients: int, share: float, rng: np.random.Generator
) -> list[Positions]:
    """Clients take turns at the classes: that share of each one's images from its main class, the rest from all that is left.

    Where a class has too few images for all whose main class it is, they share it evenly.
    """
    sizes = [len(part) for part in np.array_split(np.arange(len(labels)), clients)]
    classes = np.unique(labels)
    main = [int(classes[client % len(classes)]) for client in range(clients)]
    held: list[Positions] = [np.empty(0, dtype=np.int64)] * clients
    for k in classes:
        owners = [client for client in range(clients) if main[client] == k]
        fair = np.array_split(rng.permutation(np.flatnonzero(labels == k)), max(1, len(owners)))
        for client, part in zip(owners, fair, strict=False):
            held[client] = part[: round(share * sizes[client])]
    rest = rng.permutation(np.setdiff1d(np.arange(len(labels)), np.concatenate(held)))
    wanted = np.cumsum([size - len(part) for size, part in zip(sizes, held, strict=True)])
    return [np.concatenate(both) for both in zip(held, np.split(rest, wanted[:-1]), strict=True)]


def _without_empty(parts: list[Positions]) -> list[Positions]:
    """The same parts, where a client without any image is given one of the richest client's."""
    parts = list(parts)
    for empty in [i for i, part in enumerate(parts) if not len(part)]:
        richest = max(range(len(parts)), key=lambda i: len(parts[i]))
        parts[empty], parts[richest] = parts[richest][-1:], parts[richest][:-1]
    return parts


Deal = Callable[[NDArray[np.int64], int, float, np.random.Generator], list[Positions]]

PARTITIONS: Mapping[str, Deal] = {"iid": _iid, "dirichlet": _dirichlet, "shards": _shards, "biased": _biased}

_RANGES = {
    "iid": (0.0, 0.0, "iid takes no number"),
    "dirichlet": (1e-3, 1e6, "dirichlet:A needs a number A from 0.001 (very uneven) to 1000000 (even)"),
    "shards": (1, 1e6, "shards:S needs a whole number S of shards a client, 1 or more"),
    "biased": (0.0, 1.0, "biased:P needs a share P of the main class from 0 to 1"),
}
