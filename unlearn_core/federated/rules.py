"""What the server of a federated run holds its clients to."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """What the server holds its clients to.

    Attributes:
        clients: How many must register.
        participation: Share of them asked to train in a round.
        quorum: Share of those asked whose answers must be accepted; at least one.
        deadline: Seconds that an exchange may take.
        aggregator: A key of `AGGREGATORS`.
        weighting: `counts`, or `plain` for the paper's average in which every client counts alike.
        norm_bound: An answer this many times larger than the median of all is rejected.
        seed: Of the draw of clients.
        own_data: Whether clients may hold images of their own, which nobody dealt.
    """

    clients: int
    participation: float = 1.0
    quorum: float = 0.5
    deadline: float = 600.0
    aggregator: str = "fedavg"
    weighting: str = "counts"
    norm_bound: float = 10.0
    seed: int = 0
    own_data: bool = False

    def needed(self, clients: int) -> int:
        """How many answers make a quorum of so many clients."""
        return max(1, math.ceil(self.quorum * clients))
