"""What passed between server and clients: every exchange with its traffic, and what went wrong and was survived."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

_LONGEST = 300  # characters of a reason: it may quote what a client sent


@dataclass(frozen=True)
class Event:
    """What went wrong and was survived.

    Attributes:
        event: `dropped`, `rejected`, `round failed` or `sum failed`.
        round: Round of training, from 1; 0 outside of any.
        client: The client's number, or its node before it registered; empty where it is nobody's alone.
        reason: A sentence.
    """

    event: str
    round: int
    client: str
    reason: str

    def to_plain(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {name: value for name, value in asdict(self).items() if name != "client" or value}


@dataclass(frozen=True)
class Exchange:
    """Questions to clients and what came back.

    Attributes:
        exchange: Its number in the run, from 1.
        kind: The question's.
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


@dataclass
class Journal:
    """The record of a run's exchanges, written as they happen.

    Attributes:
        events: What went wrong, oldest first.
        exchanges: Who was asked and who answered, oldest first.
    """

    events: list[Event] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def next_exchange(self) -> int:
        """The number of the exchange to come."""
        return len(self.exchanges) + 1

    @property
    def total_bytes(self) -> int:
        """Content that passed so far, both ways, to and from all clients."""
        return sum(exchange.total_bytes for exchange in self.exchanges)

    @property
    def last_reason(self) -> str:
        """Why the last answer is missing; empty where none is."""
        return next((e.reason for e in reversed(self.events) if e.event != "round failed"), "")

    def note(self, event: str, round_number: int, reason: str, client: str = "") -> None:
        """Adds an event; a reason that is too long is cut."""
        self.events.append(Event(event, round_number, client, reason[:_LONGEST]))

    def rejected(self, since: int) -> set[str]:
        """The clients whose answers were rejected after that many events."""
        return {event.client for event in self.events[since:] if event.event == "rejected"}

    def rename_in_last(self, names: Mapping[str, str]) -> None:
        """Calls clients by other names in the last exchange."""
        last = self.exchanges[-1]
        down, up = (
            {names.get(client, client): count for client, count in way.items()}
            for way in (last.bytes_down, last.bytes_up)
        )
        self.exchanges[-1] = replace(last, bytes_down=down, bytes_up=up)

    def to_plain(self) -> dict[str, list[dict[str, Any]]]:
        """JSON-ready values under `events` and `exchanges`."""
        return {
            "events": [event.to_plain() for event in self.events],
            "exchanges": [asdict(exchange) for exchange in self.exchanges],
        }

    @staticmethod
    def from_plain(plain: Mapping[str, Sequence[Mapping[str, Any]]]) -> "Journal":
        """The journal that `to_plain` gave, whatever stands beside it."""
        return Journal(
            [Event(**{"client": "", **event}) for event in plain["events"]],
            [Exchange(**exchange) for exchange in plain["exchanges"]],
        )
