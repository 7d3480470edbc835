"""Activation statistics of a run's clients on disk: of all as one, and of each as it reported them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from unlearn_core.channels.activations import ActivationStats
from unlearn_core.store.files import write_npz

REPORTED = "stats_reported.npz"
"""The statistics that the clients gave, as one: what the plan was made of."""

BY_CLIENT = "client_stats.npz"
"""The same by client; not there where only their sum is known."""

_SUMS = "sums/"


def save_client_stats(path: Path, parts: Mapping[int, ActivationStats]) -> None:
    """Writes what M clients reported, by number: `clients` (M,), `counts` (M, K), `sums/LAYER` (M, K, C)."""
    each = list(parts.values())
    sums = {f"{_SUMS}{layer}": np.stack([part.sums[layer] for part in each]) for layer in each[0].layers}
    counts = np.stack([part.counts for part in each])
    write_npz(path, {"clients": np.array(list(parts)), "counts": counts, **sums})


def layers_in(path: Path) -> tuple[str, ...]:
    """The layers that clients reported, in the order of the forward pass."""
    with np.load(path, allow_pickle=False) as arrays:
        return tuple(name.removeprefix(_SUMS) for name in arrays.files if name.startswith(_SUMS))


def load_client_stats(path: Path, classes: Sequence[str], tap: str) -> dict[int, ActivationStats]:
    """What `save_client_stats` wrote, by client.

    Args:
        path: A run's `client_stats.npz`.
        classes: The K class names.
        tap: Where activations were read.
    """
    with np.load(path, allow_pickle=False) as arrays:
        sums = {name.removeprefix(_SUMS): arrays[name] for name in arrays.files if name.startswith(_SUMS)}
        clients, counts = arrays["clients"], arrays["counts"]
    return {
        int(client): ActivationStats(
            tuple(classes), tap, {layer: values[i] for layer, values in sums.items()}, counts[i]
        )
        for i, client in enumerate(clients)
    }
