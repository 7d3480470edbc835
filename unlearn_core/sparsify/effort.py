"""How much a mask costs, from a sparsifier's settings alone."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Effort:
    """What making a model sparse costs.

    Attributes:
        epochs: Passes of training over the training images.
        flows: Passes of a synthetic flow through the network, there and back in float64.
    """

    epochs: int = 0
    flows: int = 0

    def __add__(self, other: "Effort") -> "Effort":
        """Both, one after the other."""
        return Effort(self.epochs + other.epochs, self.flows + other.flows)


def no_effort(params: Any, given: bool) -> Effort:
    """Of a mask that is drawn at random."""
    return Effort()
