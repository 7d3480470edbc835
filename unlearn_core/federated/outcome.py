"""What came of a federated run, as its server leaves it in the run's folder beside model, plan and statistics."""

import json
from dataclasses import dataclass
from pathlib import Path

from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.intervals import Tally
from unlearn_core.results.exchanges import Event, Exchange, Member
from unlearn_core.results.loading import from_plain
from unlearn_core.results.plain import to_plain
from unlearn_core.results.result import Rung
from unlearn_core.store.files import write_json

OUTCOME = "federation.json"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The record of a run that has ended.

    Attributes:
        ladder: The rungs, in their order.
        seconds: What the run's own work took.
        plan: The channels that went; None where none did.
        events: What went wrong and was survived.
        exchanges: Who was asked and who answered.
        tallies: Training images to forget and to keep, over the clients; None where too few answered.
        members: The clients that registered.
    """

    ladder: tuple[Rung, ...]
    seconds: float
    plan: PruningPlan | None
    events: tuple[Event, ...]
    exchanges: tuple[Exchange, ...]
    tallies: tuple[Tally, Tally] | None
    members: tuple[Member, ...]


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Puts the record into the run's folder."""
    write_json(folder / OUTCOME, to_plain(outcome))


def read_outcome(folder: Path) -> Outcome:
    """The record that `write_outcome` put there.

    Raises:
        UnlearnError: It is damaged.
    """
    return from_plain(Outcome, json.loads((folder / OUTCOME).read_text()), OUTCOME)
