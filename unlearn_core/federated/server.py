"""The server's side of every exchange: whom it asks, how long it waits, what it takes, and what it makes of it."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats
from unlearn_core.errors import UnlearnError
from unlearn_core.federated import validate
from unlearn_core.federated.aggregation import AGGREGATORS, STATS_WEIGHTINGS, capped
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

_MOST_WEIGHT = 10.0  # times the median: what a client's own claim of how many images it holds may count for

_LONGEST = 300  # characters of a reason: it may quote what a client sent


@dataclass(frozen=True)
class Rules:
    """What the server holds its clients to.

    Attributes:
        clients: How many must register.
        participation: Share of them asked to train in a round.
        quorum: Share of those asked whose answers must be taken; at least one.
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


class Server:
    """The clients of a run, and a record of everything that passed between them and the server.

    Args:
        exchange: The transport.
        rules: What the clients are held to.
        report: Told of every answer.
        dealt: Images, and those to train on, of each client's part by its number; empty where nobody dealt any.

    Attributes:
        members: Registered clients by node, in the order of their numbers.
        events: What went wrong and was survived: who dropped out, whose answer was rejected, and why.
        exchanges: Who was asked and who answered, with bytes each way by client, and seconds.
    """

    def __init__(
        self, exchange: Exchange, rules: Rules, report: Report, dealt: Sequence[tuple[int, int]] = ()
    ) -> None:
        self.exchange, self.rules, self.report, self.dealt = exchange, rules, report, dealt
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
            taken = {member.client for member in self.members.values()}
            reason = validate.claim_problem(answer.config, self.rules.clients, taken)
            reason = reason or validate.deal_problem(answer.config, self.dealt, own=self.rules.own_data)
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
        self, ask: Ask, schema: Schema, classes: Sequence[str], privacy: Privacy
    ) -> dict[int, ActivationStats]:
        """The statistics of every client that gave them, by its number.

        Raises:
            UnlearnError: Too few gave them.
        """
        reach, sums_reach = noise_reach(privacy, 0), noise_reach(privacy, _channels(schema))

        def problem(answer: Answer, member: Member) -> str:
            return validate.stats_problem(answer, member, schema, reach=reach, sums_reach=sums_reach)

        members = len(self.members)
        taken = self._collected("stats", ask, problem, lambda a: validate.mean_size(a.arrays), members)
        if len(taken) < self._needed(members):
            raise UnlearnError(self._too_few("stats", len(taken), members))
        told = {node: stats_from_arrays(a.arrays, classes, ask.config["tap"]) for node, a in taken.items()}
        return {
            member.client: capped(told[node], self._counting(member, "images"))
            if member.own_data
            else told[node]
            for node, member in self.members.items()
            if node in told
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
        for _ in range(ATTEMPTS):
            total = self._total(ask, schema, privacy)
            if total.arrays:
                return self._checked(total, ask, schema, classes, privacy)
            if total.unmasked:
                break
        raise UnlearnError(self._too_few("secure sum", len(total.nodes), len(self.members)))

    def _checked(
        self, total: SecureSum, ask: Ask, schema: Schema, classes: Sequence[str], privacy: Privacy
    ) -> ActivationStats:
        """The statistics that a secure sum holds.

        Raises:
            UnlearnError: They can't be true.
        """
        # A list that is too short lacks the counts, which come last, and one too long is cut: the gate sees the rest.
        arrays = dict(zip(schema, total.arrays, strict=False))
        if "counts" in arrays:
            arrays["counts"] = np.rint(arrays["counts"]).astype(np.int64)
        held = sum(self.members[node].images for node in total.nodes)
        reach = noise_reach(privacy, 0) * len(total.nodes)
        reason = validate.total_problem(arrays, schema, held, reach=reach)
        if reason:
            raise UnlearnError(f"The secure sum can't be true: {reason} It hides who sent what is wrong.")
        return stats_from_arrays(validate.without_dust(arrays), classes, ask.config["tap"])

    def _total(self, ask: Ask, schema: Schema, privacy: Privacy) -> SecureSum:
        """One secure sum over all members, with what it cost and who was lost on the way."""
        assert self.exchange.total
        exchange, began = len(self.exchanges) + 1, time.monotonic()
        numbered = Ask(ask.kind, ask.arrays, {**ask.config, "exchange": exchange})
        most = max(self._counting(m, "images") for m in self.members.values())
        bound = validate.MOST_MEAN * most + noise_reach(privacy, _channels(schema))
        least = max(LEAST_CLIENTS, self._needed(len(self.members)))

        def heard(done: int, asked: int) -> None:
            self.report(Progress("adding up under masks", done, asked))

        total = self.exchange.total(list(self.members), numbered, bound, least, self.rules.deadline, heard)
        if total.fault:
            self.events.append({"event": "sum failed", "round": 0, "reason": total.fault[:_LONGEST]})
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

    def tallies(self, ask: Ask) -> NDArray[np.int64] | None:
        """Training images classified rightly, and all of them, over the clients that answered: (to forget, to keep).

        None where too few answered: what is left would pass for all.
        """

        def problem(answer: Answer, member: Member) -> str:
            reason = validate.arrays_problem(answer.arrays, {"tallies": ((2, 2), "int64")})
            if reason:
                return reason
            right, held = answer.arrays["tallies"].T
            registered = [member.images - member.train_images, member.train_images]
            possible = (right >= 0).all() and (right <= held).all() and held.tolist() == registered
            return "" if possible else "It counts more images than it registered, or fewer."

        least = self._needed(len(self.members))
        taken = self._collected("evaluate", ask, problem, lambda a: 1.0, least)
        if len(taken) < least:
            return None
        told: NDArray[np.int64] = np.stack([a.arrays["tallies"] for a in taken.values()])
        return np.asarray(told.sum(axis=0))

    def _wait_for_nodes(self) -> list[int]:
        end = time.monotonic() + self.rules.deadline
        while len(nodes := sorted(self.exchange.nodes())) < self.rules.clients and time.monotonic() < end:
            self.report(Progress("waiting for clients", len(nodes), self.rules.clients))
            time.sleep(0.5)
        if len(nodes) < self._needed(self.rules.clients):
            raise UnlearnError(self._too_few("connect", len(nodes), self.rules.clients))
        return nodes

    def _collected(
        self,
        kind: str,
        ask: Ask,
        problem: Callable[[Answer, Member], str],
        size: Callable[[Answer], float],
        least: int,
    ) -> dict[int, Answer]:
        """The members' answers by node: who gave none is asked again, up to three times, until there are the least.

        Whose answer was rejected is asked no more, and every answer is measured against those of all attempts. Once there
        is a quorum, only they are asked again who answered with an error: nobody waits another deadline for the silent.
        """
        taken: dict[int, Answer] = {}
        silent: set[int] = set()
        began = len(self.events)
        for _ in range(ATTEMPTS):
            refused = {e["client"] for e in self.events[began:] if e["event"] == "rejected"}
            waived = silent if len(taken) >= self._needed(len(self.members)) else set()
            left = [
                n
                for n, m in self.members.items()
                if n not in taken and n not in waived and str(m.client) not in refused
            ]
            if not left or len(taken) >= least:
                break
            before = list(taken.values())
            taken = {
                a.node: a for a in self._accepted(kind, dict.fromkeys(left, ask), 0, problem, size, before)
            }
            heard = self.exchanges[-1]["bytes_up"]
            silent = (silent - set(left)) | {n for n in left if self._who(n) not in heard}
        return taken

    def _accepted(
        self,
        kind: str,
        asks: Mapping[int, Ask],
        number: int,
        problem: Callable[[Answer, Member], str],
        size: Callable[[Answer], float],
        before: Sequence[Answer] = (),
    ) -> list[Answer]:
        """The answers that pass every check, beside those of before that still do; the others are noted."""
        answers = self._ask(kind, asks, number)
        rejected = [Rejection(a.node, problem(a, self.members[a.node])) for a in answers]
        rejected = [r for r in rejected if r.reason]
        sound = [*before, *(a for a in answers if a.node not in {r.node for r in rejected})]
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
            loss = answer.config.get("loss")
            if isinstance(loss, float) and math.isfinite(loss):
                told["loss"] = loss
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
        count = max(1, round(self.rules.participation * len(able)))
        drawn = np.random.default_rng([self.rules.seed, number, attempt]).permutation(len(able))[:count]
        return [able[i] for i in sorted(drawn)]

    def _weight(self, node: int) -> float:
        return 1.0 if self.rules.weighting == "plain" else self._counting(self.members[node], "train_images")

    def _counting(self, member: Member, count: str) -> float:
        """How many images (`images` or `train_images`) a member counts for: its own claim, but only so far."""
        claimed = int(getattr(member, count))
        if not member.own_data or not claimed:
            return float(claimed)
        all_claims = [n for m in self.members.values() if (n := int(getattr(m, count)))]
        return min(float(claimed), _MOST_WEIGHT * median_low(all_claims))

    def _needed(self, asked: int) -> int:
        return max(1, int(np.ceil(self.rules.quorum * asked)))

    def _note(self, event: str, node: int, reason: str, number: int) -> None:
        self.events.append(
            {"event": event, "round": number, "client": self._who(node), "reason": reason[:_LONGEST]}
        )

    def _who(self, node: int) -> str:
        """A client's number, or the node where it hasn't registered yet."""
        return str(self.members[node].client) if node in self.members else f"node {node}"

    def _too_few(self, what: str, came: int, asked: int) -> str:
        reasons = [e["reason"] for e in self.events if e["event"] != "round failed"][-1:]
        return (
            f"Too few clients ({what}): {came} of {asked} took part, {self._needed(asked)} are needed. "
            f"Start more clients, wait longer (deadline) or lower the quorum.{' Last: ' if reasons else ''}{''.join(reasons)}"
        )


def _channels(schema: Schema) -> int:
    """All channels that statistics hold sums of."""
    return sum(shape[1] for shape, _ in schema.values() if len(shape) == 2)


_STAGES = {
    "register": "registering clients",
    "stats": "reading activations",
    "train": "training at the clients",
    "evaluate": "evaluating at the clients",
}
