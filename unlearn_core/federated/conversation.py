"""The server's conversation with its clients: it asks, waits, accepts what passes every check and notes the rest."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from unlearn_core.errors import UnlearnError
from unlearn_core.federated import validate
from unlearn_core.federated.journal import Journal
from unlearn_core.federated.messages import Answer, Question, Transport, payload_bytes
from unlearn_core.federated.roster import Roster
from unlearn_core.federated.rules import Rules
from unlearn_core.federated.validate import Rejection
from unlearn_core.progress import Progress, Report
from unlearn_core.results.exchanges import Exchange, Member

ATTEMPTS = 3
"""How often an exchange that fell short is tried before the run ends."""

_POLL = 0.5  # seconds between two looks at who is connected

_STAGES = {
    "register": "registering clients",
    "stats": "reading activations",
    "train": "training at the clients",
    "evaluate": "evaluating at the clients",
}


@dataclass(frozen=True)
class Check:
    """What an answer must pass.

    Attributes:
        problem: What is wrong with it, by itself; empty where nothing is.
        size: What is compared with the median of all answers, so that none is far too loud.
    """

    problem: Callable[[Answer, Member], str]
    size: Callable[[Answer], float]


class Conversation:
    """Exchanges with the clients of a run, one after another.

    Args:
        transport: What carries them.
        rules: What the clients are held to.
        report: Told of every answer.

    Attributes:
        roster: The registered clients.
        journal: The record of everything that passed.
    """

    def __init__(self, transport: Transport, rules: Rules, report: Report) -> None:
        self.transport, self.rules, self.report = transport, rules, report
        self.roster, self.journal = Roster(rules), Journal()

    def connected(self) -> list[int]:
        """The nodes that are there when all are, or at the deadline.

        Raises:
            UnlearnError: They are too few.
        """
        end = time.monotonic() + self.rules.deadline
        expected = self.rules.clients
        while len(nodes := sorted(self.transport.nodes())) < expected and time.monotonic() < end:
            self.report(Progress("waiting for clients", len(nodes), expected))
            time.sleep(_POLL)
        self.require_quorum("connect", len(nodes), expected)
        return nodes

    def collected(self, question: Question, check: Check, least: int) -> dict[int, Answer]:
        """The members' answers by node: who gave none is asked again, up to three times, until there are the least.

        Whose answer was rejected is asked no more, and every answer is measured against those of all attempts. Once there
        is a quorum, only they are asked again who answered with an error: nobody waits another deadline for the silent.
        """
        answers: dict[int, Answer] = {}
        silent: set[int] = set()
        began = len(self.journal.events)
        for _ in range(ATTEMPTS):
            nodes = self._to_ask(answers, silent, self.journal.rejected(began))
            if not nodes or len(answers) >= least:
                break
            answers = {a.node: a for a in self.accepted(question, nodes, check, list(answers.values()))}
            silent = (silent - set(nodes)) | self._silent(nodes)
        return answers

    def accepted(
        self, question: Question, nodes: Sequence[int], check: Check, earlier: Sequence[Answer] = ()
    ) -> list[Answer]:
        """The answers that pass every check, beside the earlier ones that still do; the others are noted."""
        answers = self.ask(question, nodes)
        rejected = [Rejection(a.node, check.problem(a, self.roster.members[a.node])) for a in answers]
        rejected = [r for r in rejected if r.reason]
        sound = _without([*earlier, *answers], rejected)
        rejected += validate.far_out({a.node: check.size(a) for a in sound}, self.rules.norm_bound)
        for rejection in rejected:
            self.note("rejected", rejection.node, rejection.reason, question.round)
        return _without(sound, rejected)

    def ask(self, question: Question, nodes: Sequence[int]) -> list[Answer]:
        """One exchange: the genuine answers that came in time; everything else is noted."""
        exchange = self.journal.next_exchange
        numbered = question.numbered(exchange)
        sent = payload_bytes(numbered.arrays, numbered.config)
        down, up = {self.roster.name(node): sent for node in nodes}, dict[str, int]()

        def receive(answer: Answer) -> None:
            client = self.roster.name(answer.node)
            up[client] = up.get(client, 0) + payload_bytes(answer.arrays, answer.config)
            metrics = {"round": question.round, "client": client, "answered": not answer.error}
            metrics |= {"bytes_up": up[client], "bytes_down": down.get(client, 0), **_loss(answer)}
            self.report(Progress(_STAGES[question.kind], len(up), len(nodes), {**metrics, "keep": True}))

        with self.recorded(question, down, up):
            answers = self.transport.ask(nodes, numbered, self.rules.deadline, receive)
        return self._genuine(question, answers, nodes, exchange)

    @contextmanager
    def recorded(self, question: Question, down: Mapping[str, int], up: Mapping[str, int]) -> Iterator[None]:
        """Enters what passes inside into the journal, with the seconds that it took."""
        began = time.monotonic()
        yield
        seconds = round(time.monotonic() - began, 3)
        exchange = self.journal.next_exchange
        self.journal.exchanges.append(Exchange(exchange, question.kind, question.round, down, up, seconds))

    def note(self, event: str, node: int, reason: str, round_number: int = 0) -> None:
        """Notes what happened to a client's answer."""
        self.journal.note(event, round_number, reason, self.roster.name(node))

    @property
    def silence(self) -> str:
        """Why there is no answer of a client of which nothing came."""
        return f"No answer within {self.rules.deadline:g} s."

    def require_quorum(self, what: str, answers: int, clients: int) -> None:
        """Lets the run go on with a quorum.

        Raises:
            UnlearnError: Too few of those that were asked took part.
        """
        if answers < self.rules.needed(clients):
            raise self.too_few(what, answers, clients)

    def too_few(self, what: str, answers: int, clients: int) -> UnlearnError:
        """The error that ends a run in which too few took part."""
        reason = self.journal.last_reason
        return UnlearnError(
            f"Too few clients ({what}): {answers} of {clients} took part, {self.rules.needed(clients)} are needed. "
            f"Start more clients, wait longer (deadline) or lower the quorum.{f' Last: {reason}' if reason else ''}"
        )

    def _to_ask(self, answers: Mapping[int, Answer], silent: set[int], rejected: set[str]) -> list[int]:
        waived = silent if len(answers) >= self.roster.quorum else set()
        return [
            node
            for node in self.roster.members
            if node not in answers and node not in waived and self.roster.name(node) not in rejected
        ]

    def _silent(self, nodes: Sequence[int]) -> set[int]:
        """Those of whom nothing at all came in the last exchange."""
        answered = self.journal.exchanges[-1].bytes_up
        return {node for node in nodes if self.roster.name(node) not in answered}

    def _genuine(
        self, question: Question, answers: Sequence[Answer], nodes: Sequence[int], exchange: int
    ) -> list[Answer]:
        genuine, rejected = validate.genuine(answers, nodes, exchange)
        failed = {answer.node for answer in answers if answer.error}
        for rejection in rejected:
            event = "dropped" if rejection.node in failed else "rejected"
            self.note(event, rejection.node, rejection.reason, question.round)
        for node in set(nodes) - {answer.node for answer in answers}:
            self.note("dropped", node, self.silence, question.round)
        return genuine


def _loss(answer: Answer) -> dict[str, float]:
    """The loss of a client's training, where it tells a finite one."""
    loss = answer.config.get("loss")
    return {"loss": loss} if isinstance(loss, float) and math.isfinite(loss) else {}


def _without(answers: Sequence[Answer], rejected: Sequence[Rejection]) -> list[Answer]:
    nodes = {rejection.node for rejection in rejected}
    return [answer for answer in answers if answer.node not in nodes]
