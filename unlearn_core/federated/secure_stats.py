"""Statistics of which the server sees only the sum over all clients: asked for under masks, and checked as a whole."""

from collections.abc import Mapping, Sequence

import numpy as np

from unlearn_core.channels.activations import ActivationStats
from unlearn_core.errors import UnlearnError
from unlearn_core.federated import validate_stats
from unlearn_core.federated.conversation import ATTEMPTS, Conversation
from unlearn_core.federated.messages import Question, SecureSum, stats_from_arrays
from unlearn_core.federated.privacy import Privacy, noise_reach
from unlearn_core.federated.roster import Roster
from unlearn_core.federated.validate import Schema
from unlearn_core.federated.validate_stats import channels_in
from unlearn_core.progress import Progress

LEAST_CLIENTS = 3
"""Of two clients, each could take its own part away from the sum and would know the other's."""


def secure_stats(
    conversation: Conversation, question: Question, schema: Schema, classes: Sequence[str], privacy: Privacy
) -> ActivationStats:
    """The statistics of all clients that gave them, of which only the sum is ever seen here.

    Raises:
        UnlearnError: Too few gave them, this transport has no secure sum, or what it gave can't be true.
    """
    if conversation.transport.secure_sum is None:
        raise UnlearnError("This transport knows no secure sum.")
    for _ in range(ATTEMPTS):
        total = _total(conversation, question, schema, privacy)
        if total.arrays:
            return _stats_of(total, conversation.roster, schema, classes, question.config["tap"], privacy)
        if total.unmasked:
            break
    raise conversation.too_few("secure sum", len(total.nodes), len(conversation.roster.members))


def _total(conversation: Conversation, question: Question, schema: Schema, privacy: Privacy) -> SecureSum:
    """One secure sum over all members; what it cost and who was lost on the way is noted."""
    assert conversation.transport.secure_sum
    roster = conversation.roster
    nodes = list(roster.members)
    numbered = question.numbered(conversation.journal.next_exchange)
    bound = validate_stats.MOST_MEAN * max(map(roster.images, nodes)) + noise_reach(
        privacy, channels_in(schema)
    )
    down, up = dict[str, int](), dict[str, int]()

    def receive(done: int, messages: int) -> None:
        conversation.report(Progress("adding up under masks", done, messages))

    with conversation.recorded(question, down, up):
        total = conversation.transport.secure_sum(
            nodes, numbered, bound, max(LEAST_CLIENTS, roster.quorum), conversation.rules.deadline, receive
        )
        down |= _by_client(roster, total.down)
        up |= _by_client(roster, total.up)
    _note_losses(conversation, total)
    return total


def _by_client(roster: Roster, by_node: Mapping[int, int]) -> dict[str, int]:
    return {roster.name(node): count for node, count in by_node.items()}


def _note_losses(conversation: Conversation, total: SecureSum) -> None:
    """Notes who is missing from a sum; of one that failed, only those are to blame who are known to have failed."""
    if total.fault:
        conversation.journal.note("sum failed", 0, total.fault)
    members = set(conversation.roster.members)
    for node in members - set(total.nodes) if total.arrays else set(total.errors):
        conversation.note("dropped", node, total.errors.get(node, conversation.silence))


def _stats_of(
    total: SecureSum, roster: Roster, schema: Schema, classes: Sequence[str], tap: str, privacy: Privacy
) -> ActivationStats:
    """The statistics that a secure sum holds.

    Raises:
        UnlearnError: They can't be true.
    """
    # A list that is too short lacks the counts, which come last, and one too long is cut: the gate sees the rest.
    arrays = dict(zip(schema, total.arrays, strict=False))
    if "counts" in arrays:
        arrays["counts"] = np.rint(arrays["counts"]).astype(np.int64)
    images = sum(roster.members[node].images for node in total.nodes)
    reason = validate_stats.total_problem(
        arrays, schema, images, reach=noise_reach(privacy, 0) * len(total.nodes)
    )
    if reason:
        raise UnlearnError(f"The secure sum can't be true: {reason} It hides who sent what is wrong.")
    return stats_from_arrays(validate_stats.without_dust(arrays), classes, tap)
