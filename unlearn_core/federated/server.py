"""The server's questions to the clients of a run, and what it makes of their answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats
from unlearn_core.federated import validate, validate_stats
from unlearn_core.federated.aggregation import AGGREGATORS, STATS_WEIGHTINGS, capped
from unlearn_core.federated.conversation import ATTEMPTS, Check, Conversation
from unlearn_core.federated.journal import Journal
from unlearn_core.federated.messages import Answer, Arrays, Question, Transport, stats_from_arrays
from unlearn_core.federated.privacy import Privacy, noise_reach
from unlearn_core.federated.registration import enrol
from unlearn_core.federated.roster import Roster
from unlearn_core.federated.rules import Rules
from unlearn_core.federated.validate import Schema
from unlearn_core.federated.validate_stats import channels_in
from unlearn_core.progress import Report
from unlearn_core.results.exchanges import Member


class Server:
    """The server of a run, as far as it speaks to clients.

    Args:
        transport: What carries questions and answers.
        rules: What the clients are held to.
        report: Told of every answer.
        dealt: Images, and those to train on, of each client's part by its number; empty where nobody dealt any.
    """

    def __init__(
        self, transport: Transport, rules: Rules, report: Report, dealt: Sequence[tuple[int, int]] = ()
    ) -> None:
        self.rules, self.dealt = rules, dealt
        self.conversation = Conversation(transport, rules, report)

    @property
    def roster(self) -> Roster:
        """The registered clients."""
        return self.conversation.roster

    @property
    def journal(self) -> Journal:
        """The record of everything that passed between server and clients."""
        return self.conversation.journal

    def register(self, config: Mapping[str, Any]) -> None:
        """Waits for the clients and asks each who it is.

        Raises:
            UnlearnError: Too few came before the deadline, or too few may take part.
        """
        talk = self.conversation
        answers = talk.ask(Question("register", {}, config), talk.connected())
        talk.roster, rejected = enrol(answers, self.rules, self.dealt)
        for rejection in rejected:
            talk.note("rejected", rejection.node, rejection.reason)
        self.journal.rename_in_last({f"node {node}": self.roster.name(node) for node in self.roster.members})
        talk.require_quorum("register", len(self.roster.members), self.rules.clients)

    def stats(
        self, question: Question, schema: Schema, classes: Sequence[str], privacy: Privacy
    ) -> dict[int, ActivationStats]:
        """The statistics of every client that gave them, by its number.

        Raises:
            UnlearnError: Too few gave them.
        """
        reach, sums_reach = noise_reach(privacy, 0), noise_reach(privacy, channels_in(schema))

        def problem(answer: Answer, member: Member) -> str:
            return validate_stats.stats_problem(answer, member, schema, reach=reach, sums_reach=sums_reach)

        members = self.roster.members
        check = Check(problem, lambda answer: validate_stats.mean_size(answer.arrays))
        answers = self.conversation.collected(question, check, len(members))
        self.conversation.require_quorum("stats", len(answers), len(members))
        tap = question.config["tap"]
        return {
            member.client: self._credited(member, stats_from_arrays(answers[node].arrays, classes, tap))
            for node, member in members.items()
            if node in answers
        }

    def whole(self, parts: Mapping[int, ActivationStats]) -> ActivationStats:
        """All clients' statistics as one, by the rules' weighting."""
        return STATS_WEIGHTINGS[self.rules.weighting](list(parts.values()))

    def train(self, question: Question) -> Arrays:
        """The model after one round; a round that falls short is drawn and tried again.

        Args:
            question: With the round's model; its config holds `round` and `rounds`.

        Raises:
            UnlearnError: Too few answered in three rounds running.
        """
        schema = validate.schema_of(question.arrays)
        check = Check(
            lambda answer, member: validate.update_problem(answer, member, schema),
            lambda answer: validate.distance(answer.arrays, question.arrays),
        )
        for attempt in range(ATTEMPTS):
            nodes = self.roster.participants(question.round, attempt)
            answers = self.conversation.accepted(question, nodes, check)
            if len(answers) >= self.rules.needed(len(nodes)):
                return self._aggregated(answers)
            reason = f"{len(answers)} of {len(nodes)} answers taken."
            self.journal.note("round failed", question.round, reason)
        raise self.conversation.too_few(f"round {question.round}", len(answers), len(nodes))

    def tallies(self, question: Question) -> NDArray[np.int64] | None:
        """Training images classified rightly, and all of them, over the clients that answered: (to forget, to keep).

        None where too few answered: what is left would pass for all.
        """
        least = self.roster.quorum
        answers = self.conversation.collected(question, Check(validate.tallies_problem, lambda _: 1.0), least)
        if len(answers) < least:
            return None
        tallies = np.stack([answer.arrays["tallies"] for answer in answers.values()])
        return np.asarray(tallies.sum(axis=0))

    def _credited(self, member: Member, stats: ActivationStats) -> ActivationStats:
        """A client's statistics, over no more images than its own claim counts for."""
        return capped(stats, self.roster.images(member.node)) if member.own_data else stats

    def _aggregated(self, answers: Sequence[Answer]) -> Arrays:
        """The answers' models as one, whoever answered first."""
        members = self.roster.members
        ordered = sorted(answers, key=lambda answer: members[answer.node].client)
        weights = [self.roster.weight(answer.node) for answer in ordered]
        return AGGREGATORS[self.rules.aggregator]([answer.arrays for answer in ordered], weights)
