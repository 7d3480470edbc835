"""The server's side of every exchange: whom it asks, how long it waits, what it takes, and what it makes of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unlearn_core.activations import ActivationStats
from unlearn_core.errors import UnlearnError
from unlearn_core.federated import validate
from unlearn_core.federated.aggregation import AGGREGATORS, STATS_WEIGHTINGS
from unlearn_core.federated.messages import (
    Answer,
    Arrays,
    Ask,
    Exchange,
    SecureSum,
    payload_bytes,
    stats_from_arrays,
)
from unlearn_core.federated.privacy import Privacy, noise_reach
from unlearn_core.federated.validate import Member, Rejection, Schema
from unlearn_core.progress import Progress, Report

ATTEMPTS = 3
"""How often an exchange that fell short is tried before the run ends."""


LEAST_CLIENTS = 3
"""In a secure sum: of two clients, each could take its own part away and would know the other's."""

_MOST_MEAN = 32.0  # of an image's mean activation in a channel, far above what batch norm lets through


@dataclass(frozen=True)
class Rules:
    """What the server holds its clients to.

    Attributes:
        clients: How many must register.
        fraction: Share of them asked to train in a round.
        quorum: Share of those asked whose answers must be taken; at least one.
        deadline: Seconds that an exchange may take.
        aggregator: A key of `AGGREGATORS`.
        weighting: `counts`, or `plain` for the paper's average in which every client counts alike.
        norm_bound: An answer this many times larger than the median of all is rejected.
        seed: Of the draw of clients.
    """

    clients: int
    fraction: float = 1.0
    quorum: float = 0.5
    deadline: float = 600.0
    aggregator: str = "fedavg"
    weighting: str = "counts"
    norm_bound: float = 10.0
    seed: int = 0


class Server:
    """The clients of a run, and a record of everything that passed between them and the server.

    Attributes:
        members: Registered clients by node, in the order of their numbers.
        events: What went wrong and was survived: who dropped out, whose answer was rejected, and why.
        exchanges: Who was asked and who answered, with bytes each way by client, and seconds.
    """

    def __init__(self, exchange: Exchange, rules: Rules, report: Report) -> None:
        self.exchange, self.rules, self.report = exchange, rules, report
        self.members: dict[int, Member] = {}
        self.events: list[dict[str, Any]] = []
        self.exchanges: list[dict[str, Any]] = []

    def register(self, config: Mapping[str, Any]) -> None:
        """Waits for the clients and asks each who it is.

        Raises:
            UnlearnError: Too few came before the deadline, or too few may take part.
        """
        nodes = self._wait_for_nodes()
        answers = self._ask("register", {node: Ask("register", {}, config) for node in nodes}, 0)
        for answer in sorted(answers, key=lambda a: (str(a.config.get("client")), a.node)):
            reason = self._registration_problem(answer.config)
            if reason:
                self._note("rejected", answer.node, reason, 0)
            else:
                counts = {name: answer.config[name] for name in ("client", "images", "train_images")}
                own = answer.config.get("own_data") is True
                self.members[answer.node] = Member(answer.node, **counts, own_data=own)
        self.members = dict(sorted(self.members.items(), key=lambda item: item[1].client))
        for way in ("bytes_down", "bytes_up"):  # now that they have numbers
            known = {f"node {node}": str(member.client) for node, member in self.members.items()}
            told = self.exchanges[-1][way]
            self.exchanges[-1][way] = {known.get(who, who): count for who, count in told.items()}
        if len(self.members) < self._needed(self.rules.clients):
            raise UnlearnError(self._too_few("register", len(self.members), self.rules.clients))

    def stats(
        self, ask: Ask, schema: Schema, classes: Sequence[str], *, with_noise: bool
    ) -> dict[int, ActivationStats]:
        """The statistics of every client that gave them, by its number; who didn't is asked again, up to three times.

        Raises:
            UnlearnError: Too few gave them.
        """
        taken: dict[int, Answer] = {}

        def problem(answer: Answer, member: Member) -> str:
            return validate.stats_problem(answer, member, schema, with_noise=with_noise)

        for _ in range(ATTEMPTS):
            left = {node: ask for node in self.members if node not in taken}
            for answer in self._accepted("stats", left, 0, problem, lambda a: validate.mean_size(a.arrays)):
                taken[answer.node] = answer
            if len(taken) == len(self.members):
                break
        if len(taken) < self._needed(len(self.members)):
            raise UnlearnError(self._too_few("stats", len(taken), len(self.members)))
        return {
            member.client: stats_from_arrays(taken[node].arrays, classes, ask.config["tap"])
            for node, member in self.members.items()
            if node in taken
        }

    def secure_stats(
        self, ask: Ask, schema: Schema, classes: Sequence[str], privacy: Privacy
    ) -> ActivationStats:
        """The statistics of all clients that gave them, of which only the sum is ever seen here.

        Raises:
            UnlearnError: Too few gave them, or this transport has no secure sum.
        """
        if self.exchange.total is None:
            raise UnlearnError("This transport knows no secure sum.")
        count = 0
        for _ in range(ATTEMPTS):
            total = self._total(ask, schema, privacy)
            count = len(total.nodes) if total.arrays else 0
            if count >= max(LEAST_CLIENTS, self._needed(len(self.members))):
                arrays = dict(zip(schema, total.arrays, strict=True))
                arrays["counts"] = np.rint(arrays["counts"]).astype(np.int64)
                held = sum(self.members[node].images for node in total.nodes)
                reason = validate.total_problem(arrays, schema, held, with_noise=bool(privacy.epsilon))
                if reason:
                    raise UnlearnError(
                        f"The secure sum can't be true: {reason} It hides who sent what is wrong."
                    )
                return stats_from_arrays(validate.without_dust(arrays), classes, ask.config["tap"])
        raise UnlearnError(self._too_few("secure sum", count, len(self.members)))

    def _total(self, ask: Ask, schema: Schema, privacy: Privacy) -> SecureSum:
        """One secure sum over all members, with what it cost and who was lost on the way."""
        assert self.exchange.total
        exchange, began = len(self.exchanges) + 1, time.monotonic()
        numbered = Ask(ask.kind, ask.arrays, {**ask.config, "exchange": exchange})
        bound = _MOST_MEAN * max(m.images for m in self.members.values()) + noise_reach(
            privacy, sum(shape[1] for shape, _ in schema.values() if len(shape) == 2)
        )

        def heard(done: int, asked: int) -> None:
            self.report(Progress("adding up under masks", done, asked))

        total = self.exchange.total(list(self.members), numbered, bound, self.rules.deadline, heard)
        # Of a sum that failed, only those are to blame who are known to have failed.
        for node in set(self.members) - set(total.nodes) if total.arrays else set(total.errors):
            reason = total.errors.get(node, f"No answer within {self.rules.deadline:g} s.")
            self._note("dropped", node, reason, 0)
        ways = {"bytes_down": total.down, "bytes_up": total.up}
        told = {way: {self._who(n): count for n, count in sent.items()} for way, sent in ways.items()}
        seconds = round(time.monotonic() - began, 3)
        self.exchanges.append({"exchange": exchange, "kind": "stats", "round": 0, **told, "seconds": seconds})
        return total

    def whole(self, parts: Mapping[int, ActivationStats]) -> ActivationStats:
        """All clients' statistics as one, by the rules' weighting."""
        return STATS_WEIGHTINGS[self.rules.weighting](list(parts.values()))

    def train(self, ask: Ask) -> Arrays:
        """The model after one round; a round that falls short is drawn and tried again.

        Args:
            ask: The question with the round's model; its config holds `round` and `rounds`.

        Raises:
            UnlearnError: Too few answered in three rounds running.
        """
        number, schema = ask.config["round"], validate.schema_of(ask.arrays)
        count = 0
        for attempt in range(ATTEMPTS):
            chosen = self._drawn(number, attempt)
            answers = self._accepted(
                "train",
                dict.fromkeys(chosen, ask),
                number,
                lambda answer, member: validate.update_problem(answer, member, schema),
                lambda answer: validate.distance(answer.arrays, ask.arrays),
            )
            count = len(answers)
            if count >= self._needed(len(chosen)):
                answers = sorted(answers, key=lambda a: self.members[a.node].client)
                return AGGREGATORS[self.rules.aggregator](
                    [a.arrays for a in answers], [self._weight(a.node) for a in answers]
                )
            self.events.append(
                {
                    "event": "round failed",
                    "round": number,
                    "reason": f"{count} of {len(chosen)} answers taken.",
                }
            )
        raise UnlearnError(self._too_few(f"round {number}", count, len(chosen)))

    def tallies(self, ask: Ask) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Training images classified rightly, and all of them, over the clients that answered: to forget, to keep."""

        def problem(answer: Answer, member: Member) -> str:
            reason = validate.arrays_problem(answer.arrays, {"tallies": ((2, 2), "int64")})
            if reason:
                return reason
            right, held = answer.arrays["tallies"].T
            possible = (right >= 0).all() and (right <= held).all() and held.sum() == member.images
            return "" if possible else "It counts more images than it registered, or fewer."

        answers = self._accepted("evaluate", dict.fromkeys(self.members, ask), 0, problem, lambda a: 1.0)
        return np.sum([a.arrays["tallies"] for a in answers], axis=0, dtype=np.int64).reshape(-1, 2)

    def _wait_for_nodes(self) -> list[int]:
        end = time.monotonic() + self.rules.deadline
        while len(nodes := sorted(self.exchange.nodes())) < self.rules.clients and time.monotonic() < end:
            self.report(Progress("waiting for clients", len(nodes), self.rules.clients))
            time.sleep(0.5)
        if len(nodes) < self._needed(self.rules.clients):
            raise UnlearnError(self._too_few("connect", len(nodes), self.rules.clients))
        return nodes

    def _registration_problem(self, config: Mapping[str, Any]) -> str:
        taken = {member.client for member in self.members.values()}
        return (
            validate.whole_number_problem(config, "client", 0, self.rules.clients - 1)
            or validate.whole_number_problem(config, "images", 1, validate.MOST_IMAGES)
            or validate.whole_number_problem(config, "train_images", 0, config["images"])
            or (f"Client {config['client']} is registered already." if config["client"] in taken else "")
        )

    def _accepted(
        self,
        kind: str,
        asks: Mapping[int, Ask],
        number: int,
        problem: Callable[[Answer, Member], str],
        size: Callable[[Answer], float],
    ) -> list[Answer]:
        """The answers that pass every check; the others are noted."""
        answers = self._ask(kind, asks, number)
        rejected = [Rejection(a.node, problem(a, self.members[a.node])) for a in answers]
        rejected = [r for r in rejected if r.reason]
        sound = [a for a in answers if a.node not in {r.node for r in rejected}]
        rejected += validate.far_out({a.node: size(a) for a in sound}, self.rules.norm_bound)
        for rejection in rejected:
            self._note("rejected", rejection.node, rejection.reason, number)
        return [a for a in sound if a.node not in {r.node for r in rejected}]

    def _ask(self, kind: str, asks: Mapping[int, Ask], number: int) -> list[Answer]:
        """One exchange: the genuine answers that came in time; everything else is noted."""
        exchange = len(self.exchanges) + 1
        numbered = {
            node: Ask(a.kind, a.arrays, {**a.config, "exchange": exchange}) for node, a in asks.items()
        }
        down = {self._who(n): payload_bytes(a.arrays, a.config) for n, a in numbered.items()}
        up: dict[str, int] = {}
        began = time.monotonic()

        def heard(answer: Answer) -> None:
            who = self._who(answer.node)
            up[who] = up.get(who, 0) + payload_bytes(answer.arrays, answer.config)
            told = {"round": number, "client": who, "answered": not answer.error, "bytes_up": up[who]}
            told["bytes_down"] = down.get(who, 0)
            if "loss" in answer.config:
                told["loss"] = answer.config["loss"]
            self.report(Progress(_STAGES[kind], len(up), len(asks), {**told, "keep": True}))

        answers = self.exchange.ask(numbered, self.rules.deadline, heard)
        taken, rejected = validate.genuine(answers, list(asks), exchange)
        for rejection in rejected:
            dropped = any(a.node == rejection.node and a.error for a in answers)
            self._note("dropped" if dropped else "rejected", rejection.node, rejection.reason, number)
        for node in set(asks) - {a.node for a in answers}:
            self._note("dropped", node, f"No answer within {self.rules.deadline:g} s.", number)
        self.exchanges.append(
            {
                "exchange": exchange,
                "kind": kind,
                "round": number,
                "bytes_down": down,
                "bytes_up": up,
                "seconds": round(time.monotonic() - began, 3),
            }
        )
        return taken

    def _drawn(self, number: int, attempt: int) -> list[int]:
        """The clients of a round: a share of those that have images to train on."""
        able = [node for node, member in self.members.items() if member.train_images]
        if not able:
            raise UnlearnError("No client has images of the retained classes; nobody can train.")
        count = max(1, round(self.rules.fraction * len(able)))
        drawn = np.random.default_rng([self.rules.seed, number, attempt]).permutation(len(able))[:count]
        return [able[i] for i in sorted(drawn)]

    def _weight(self, node: int) -> float:
        return 1.0 if self.rules.weighting == "plain" else float(self.members[node].train_images)

    def _needed(self, asked: int) -> int:
        return max(1, int(np.ceil(self.rules.quorum * asked)))

    def _note(self, event: str, node: int, reason: str, number: int) -> None:
        self.events.append({"event": event, "round": number, "client": self._who(node), "reason": reason})

    def _who(self, node: int) -> str:
        """A client's number, or the node where it hasn't registered yet."""
        return str(self.members[node].client) if node in self.members else f"node {node}"

    def _too_few(self, what: str, came: int, asked: int) -> str:
        reasons = [e["reason"] for e in self.events if "client" in e][-1:]
        return (
            f"Too few clients ({what}): {came} of {asked} took part, {self._needed(asked)} are needed. "
            f"Start more clients, wait longer (deadline) or lower the quorum.{' Last: ' if reasons else ''}{''.join(reasons)}"
        )


_STAGES = {
    "register": "registering clients",
    "stats": "reading activations",
    "train": "training at the clients",
    "evaluate": "evaluating at the clients",
}
