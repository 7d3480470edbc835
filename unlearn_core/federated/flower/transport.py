"""A Flower grid as the transport of a run: questions become messages, and what comes back becomes answers."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid

from unlearn_core.federated.flower.replies import Reply, answer_of, as_message, gather, has_expired
from unlearn_core.federated.flower.secure import secure_total
from unlearn_core.federated.flower.sites import site_config
from unlearn_core.federated.flower.wire import category_of, record_of
from unlearn_core.federated.messages import Answer, Question, SecureSum, Transport

TURNS = "clients-take-turns"
"""In the run config, where all clients share one process: how long one waits says nothing of it, so none is late."""


def transport_over(grid: Grid, folder: Path, context: Context) -> Transport:
    """The transport that a Flower grid is, for the job in the folder."""
    courier = _Courier(grid, folder, context)
    return Transport(lambda: list(grid.get_node_ids()), courier.ask, courier.secure_sum)


class _Courier:
    """Carries questions over a grid."""

    def __init__(self, grid: Grid, folder: Path, context: Context) -> None:
        self.grid, self.context = grid, context
        self.turns = bool(context.run_config.get(TURNS))
        self.site = json.dumps(site_config(folder))

    def ask(
        self, nodes: Sequence[int], question: Question, deadline: float, listener: Callable[[Answer], None]
    ) -> list[Answer]:
        """`Transport.ask`."""
        arrays = record_of(question.arrays)  # the same model goes to all: written once, not once a client
        messages = [self._message(node, question, arrays, deadline) for node in nodes]
        answers: list[Answer] = []

        def receive(reply: Reply, node: int) -> None:
            # A question lasts as long as the deadline, so that the superlink may say of a silent node that it is over.
            if not has_expired(reply):
                answers.append(answer_of(reply, node))
                listener(answers[-1])

        gather(self.grid, messages, deadline, receive, turns=self.turns)
        return answers

    def secure_sum(
        self,
        nodes: Sequence[int],
        question: Question,
        bound: float,
        least: int,
        deadline: float,
        listener: Callable[[int, int], None],
    ) -> SecureSum:
        """`Transport.secure_sum`."""

        def send(messages: list[Message]) -> list[Message]:
            return self._send(messages, deadline, listener)

        config = {"json": json.dumps(question.config), "site": self.site, "kind": question.kind}
        return secure_total(self.grid, self.context, nodes, question, config, bound, least, send)

    def _send(
        self, messages: list[Message], deadline: float, listener: Callable[[int, int], None]
    ) -> list[Message]:
        """The replies to one exchange of the protocol that came in time."""
        replies: list[Message] = []
        by_node = {message.metadata.dst_node_id: message for message in messages}

        def receive(reply: Reply, node: int) -> None:
            replies.append(as_message(reply, by_node[node]))
            listener(len(replies), len(messages))

        gather(self.grid, messages, deadline, receive, turns=self.turns)
        return replies

    def _message(self, node: int, question: Question, arrays: ArrayRecord, deadline: float) -> Message:
        config = ConfigRecord({"json": json.dumps(question.config), "site": self.site})
        return Message(
            RecordDict({"arrays": arrays, "config": config}),
            node,
            f"{category_of(question.kind)}.{question.kind}",
            ttl=None if self.turns else deadline,
            group_id=str(question.config.get("exchange", "")),
        )
