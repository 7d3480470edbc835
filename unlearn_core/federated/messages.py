"""What server and clients say to each other, as plain data: whatever carries it knows nothing of learning, and the reverse.

torch is imported only where a network's state is touched: the settings of a federated run are read without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats
from unlearn_core.errors import UnlearnError

if TYPE_CHECKING:
    from torch import nn

Arrays = Mapping[str, NDArray[Any]]
"""Named arrays: a model's state, or activation statistics."""


@dataclass(frozen=True, eq=False)
class Question:
    """A question to one client or to many.

    Attributes:
        kind: A key of `client.ANSWERS`.
        arrays: A model's state, where the question needs one.
        config: JSON-ready values.
    """

    kind: str
    arrays: Arrays
    config: Mapping[str, Any]

    @property
    def round(self) -> int:
        """The round of training that it belongs to, from 1; 0 before the first and after the last."""
        return int(self.config.get("round", 0))

    def numbered(self, exchange: int) -> Question:
        """The same question with the number of its exchange, which an answer has to echo."""
        return replace(self, config={**self.config, "exchange": exchange})


@dataclass(frozen=True, eq=False)
class Answer:
    """What a client answered.

    Attributes:
        node: Who answered, as the transport knows it.
        arrays: A model's state, or statistics.
        config: JSON-ready values; echoes the number of the exchange.
        error: Why there is no answer; empty where there is one.
        unreadable: Why an answer that came can't be read.
    """

    node: int
    arrays: Arrays
    config: Mapping[str, Any]
    error: str = ""
    unreadable: str = ""


@dataclass(frozen=True, eq=False)
class SecureSum:
    """The sum of what clients answered, of which the server sees no part.

    Attributes:
        arrays: The sums, in the order in which a client gives its arrays; none where too few clients were left.
        nodes: Whose answers are in it.
        up: Bytes from each node.
        down: Bytes to each node.
        errors: Why a node dropped out.
        unmasked: Whether clients were asked to give the masks away: then another sum, over others, would tell the
            difference.
        fault: Why there is no sum, where the protocol itself broke off.
    """

    arrays: tuple[NDArray[Any], ...]
    nodes: tuple[int, ...]
    up: Mapping[int, int]
    down: Mapping[int, int]
    errors: Mapping[int, str]
    unmasked: bool = False
    fault: str = ""


@dataclass(frozen=True)
class Transport:
    """What carries questions and answers, as the server sees it.

    Attributes:
        nodes: Who is connected now.
        ask: Puts one question to nodes, tells the listener of every answer as it comes, and returns all that came
            within that many seconds.
        secure_sum: Puts one question to nodes and returns the sum of their answers alone, of which no number may be
            larger than the bound, and none where fewer than the least are left (the int); tells the listener how many
            messages came, of how many. None where it can't.
    """

    nodes: Callable[[], Sequence[int]]
    ask: Callable[[Sequence[int], Question, float, Callable[[Answer], None]], Sequence[Answer]]
    secure_sum: (
        Callable[[Sequence[int], Question, float, int, float, Callable[[int, int], None]], SecureSum] | None
    ) = None


def last_line(text: str) -> str:
    """The last line of what somebody else wrote, cut to 300 characters; a sentence where it is blank."""
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "It failed without a reason."


def payload_bytes(arrays: Arrays, config: Mapping[str, Any]) -> int:
    """Bytes of a message's content: its arrays, and its values as JSON; framing and encryption come on top."""
    return sum(a.nbytes for a in arrays.values()) + len(json.dumps(config))


def state_of(net: nn.Module) -> dict[str, NDArray[Any]]:
    """A copy of a network's parameters and buffers."""
    return {name: t.detach().cpu().numpy().copy() for name, t in net.state_dict().items()}


def load_state(net: nn.Module, arrays: Arrays) -> None:
    """Puts what `state_of` gave into a network of the same structure.

    PyTorch's own `load_state_dict` walks every module for it, in small networks for longer than the numbers take.

    Raises:
        UnlearnError: The arrays have other names or shapes than the network.
    """
    import torch

    state = net.state_dict()
    theirs = {name: values.shape for name, values in arrays.items()}
    if theirs != {name: tuple(tensor.shape) for name, tensor in state.items()}:
        raise UnlearnError(
            "The weights are another network's; see that Lethe is the same version on both sides."
        )
    for name, tensor in state.items():
        tensor.copy_(torch.from_numpy(arrays[name].copy()))  # what came over the wire is read-only


def stats_to_arrays(stats: ActivationStats) -> dict[str, NDArray[Any]]:
    """Statistics as they travel: float64 (K, C) under `sums/LAYER`, int64 (K,) under `counts`."""
    return {**{f"sums/{layer}": values for layer, values in stats.sums.items()}, "counts": stats.counts}


def stats_from_arrays(arrays: Arrays, classes: Sequence[str], tap: str) -> ActivationStats:
    """The statistics that `stats_to_arrays` made; the arrays have been checked."""
    sums = {
        name.removeprefix("sums/"): np.asarray(values)
        for name, values in arrays.items()
        if name.startswith("sums/")
    }
    return ActivationStats(tuple(classes), tap, sums, np.asarray(arrays["counts"]))


def fingerprint(classes: Sequence[str], image_size: int) -> str:
    """What server and client must agree on before they work together: classes in their order, and the side in pixels."""
    return hashlib.sha256(json.dumps([list(classes), image_size]).encode()).hexdigest()[:16]


def client_seed(seed: int, round_number: int, client: int) -> int:
    """The seed of a client's order and augmentation in a round (from 1); the first client's first round has the run's own."""
    return seed + 1_000_003 * (round_number - 1) + 10_007 * client
