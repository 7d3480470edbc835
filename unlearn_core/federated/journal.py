"""What passed between server and clients: every exchange with its traffic, and what went wrong and was survived."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from unlearn_core.results.exchanges import Event, Exchange
from unlearn_core.results.loading import from_plain
from unlearn_core.results.plain import to_plain

_LONGEST = 300  # characters of a reason: it may quote what a client sent


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
        self.events.append(Event(event, round_number, reason[:_LONGEST], client))

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
        return {"events": to_plain(self.events), "exchanges": to_plain(self.exchanges)}

    @staticmethod
    def from_plain(plain: Mapping[str, Sequence[Mapping[str, Any]]]) -> "Journal":
        """The journal that `to_plain` gave, whatever stands beside it."""
        return Journal(
            [from_plain(Event, values, "events") for values in plain["events"]],
            [from_plain(Exchange, values, "exchanges") for values in plain["exchanges"]],
        )
