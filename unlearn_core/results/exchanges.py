"""What passed between a server and its clients: the record of a federated run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unlearn_core.results.plain import left_out


@dataclass(frozen=True)
class Member:
    """A client as it registered; weights come from here, never from a later claim.

    Attributes:
        node: How the transport knows it.
        client: Its number, from 0.
        images: Training images that it holds.
        train_images: Those of them that it trains on: without the classes to forget.
        own_data: Whether it says that its images are its own, not a drawn part of the run's data set.
    """

    node: int
    client: int
    images: int
    train_images: int
    own_data: bool = False


@dataclass(frozen=True)
class Event:
    """What went wrong and was survived.

    Attributes:
        event: `dropped`, `rejected`, `round failed` or `sum failed`.
        round: Round of training, from 1; 0 outside of any.
        reason: A sentence.
        client: The client's number, or its node before it registered; empty where it is nobody's alone.
    """

    event: str
    round: int
    reason: str
    client: str = left_out("")


@dataclass(frozen=True)
class Exchange:
    """Questions to clients and what came back.

    Attributes:
        exchange: Its number in the run, from 1.
        kind: The question's: `register`, `stats`, `train` or `evaluate`.
        round: Round of training, from 1; 0 outside of any.
        bytes_down: Content sent to each client that was asked, by its number.
        bytes_up: Content that came from each client.
        seconds: How long it took.
    """

    exchange: int
    kind: str
    round: int
    bytes_down: Mapping[str, int]
    bytes_up: Mapping[str, int]
    seconds: float

    @property
    def total_bytes(self) -> int:
        """Content that passed, both ways."""
        return sum(self.bytes_down.values()) + sum(self.bytes_up.values())


@dataclass(frozen=True)
class Protection:
    """What clients do before they report statistics.

    Attributes:
        k: Fewest images of a class that are reported.
        epsilon: Of differential privacy for one image; 0 for none.
        delta: Its chance of failing.
        clip: Largest activation that counts.
    """

    k: int
    epsilon: float = 0.0
    delta: float = 0.0
    clip: float = 0.0


@dataclass(frozen=True)
class FloorAgreement:
    """A plan from statistics of classes with at least `k` images a client; `hidden` is the share of images left out."""

    k: int
    agreement: float | None
    hidden: float


@dataclass(frozen=True)
class NoiseAgreement:
    """Plans from noised statistics: mean, lowest and highest agreement over the draws."""

    epsilon: float
    agreement: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Agreement:
    """The plan beside those of other ways to add and to protect: shares of channels in common with the exact plan.

    Attributes:
        channels: How many channels the exact plan prunes.
        chance: What as many random channels would share.
        run: The run's own plan; None where it made none.
        plain: With clients' means added unweighted.
        plain_by_class: The same for a plan of each class alone, (K,).
        alone: With one client's statistics, by client.
        floors: Under floors of images a class.
        epsilons: Under differential privacy.
        clip: Largest activation that counts there.
        draws: Noise draws for each epsilon.
    """

    channels: int
    chance: float
    run: float | None
    plain: float | None
    plain_by_class: tuple[float | None, ...] = ()
    alone: tuple[float | None, ...] = ()
    floors: tuple[FloorAgreement, ...] = ()
    epsilons: tuple[NoiseAgreement, ...] = ()
    clip: float = 0.0
    draws: int = 0


@dataclass(frozen=True, kw_only=True)
class Federation:
    """Who took part, what passed, and what it cost.

    Attributes:
        clients: How many were asked for.
        partition: How images were dealt.
        settings: What of the request shapes the result, by name.
        engine: Where the clients ran.
        holdings: Images of each class at each client, (M, K).
        image_bytes: Bytes of each client's images, (M,).
        privacy: What clients did before they reported statistics; None where an older version doesn't say.
        agreement: The plan beside others; None where there was nothing to compare.
        members: The clients that registered.
        events: Answers that were missing or rejected.
        exchanges: In their order.
        bytes_down: Bytes to all clients.
        bytes_up: Bytes from all clients.
        most_bytes_of_a_client: Both ways, of the client that had most.
    """

    clients: int
    partition: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    engine: str = ""
    holdings: tuple[tuple[int, ...], ...] = ()
    image_bytes: tuple[int, ...] = ()
    privacy: Protection | None = None
    agreement: Agreement | None = None
    members: tuple[Member, ...] = ()
    events: tuple[Event, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    bytes_down: int = 0
    bytes_up: int = 0
    most_bytes_of_a_client: int = 0
