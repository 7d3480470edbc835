"""The clients of a run: who they are, what their own claims count for, and who trains in a round."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median_low

import numpy as np

from unlearn_core.errors import UnlearnError
from unlearn_core.federated.rules import Rules
from unlearn_core.results.exchanges import Member

_MOST_WEIGHT = 10.0  # times the median: what a client's own claim of how many images it holds may count for


@dataclass(frozen=True)
class Roster:
    """The registered clients and the rules that they are held to.

    Attributes:
        rules: Of the run.
        members: By node, in the order of their numbers; none before they registered.
    """

    rules: Rules
    members: Mapping[int, Member] = field(default_factory=dict)

    @property
    def quorum(self) -> int:
        """How many of the members must answer a question to all."""
        return self.rules.needed(len(self.members))

    def name(self, node: int) -> str:
        """A client's number, or the node where it hasn't registered yet."""
        return str(self.members[node].client) if node in self.members else f"node {node}"

    def images(self, node: int) -> float:
        """How many images a member counts for."""
        return self._credited(node, "images")

    def weight(self, node: int) -> float:
        """What a member's trained model counts for in the average."""
        return 1.0 if self.rules.weighting == "plain" else self._credited(node, "train_images")

    def participants(self, round_number: int, attempt: int) -> list[int]:
        """The nodes that train in a round: a share of those that have images to train on.

        Raises:
            UnlearnError: No member has any.
        """
        able = [node for node, member in self.members.items() if member.train_images]
        if not able:
            raise UnlearnError("No client has images of the retained classes; nobody can train.")
        count = max(1, round(self.rules.participation * len(able)))
        rng = np.random.default_rng([self.rules.seed, round_number, attempt])
        return [able[i] for i in sorted(rng.permutation(len(able))[:count])]

    def _credited(self, node: int, count: str) -> float:
        """A member's own claim of how many images (`images` or `train_images`) it has, but only so far."""
        member = self.members[node]
        claim = int(getattr(member, count))
        if not member.own_data or not claim:
            return float(claim)
        claims = [n for m in self.members.values() if (n := int(getattr(m, count)))]
        return min(float(claim), _MOST_WEIGHT * median_low(claims))
