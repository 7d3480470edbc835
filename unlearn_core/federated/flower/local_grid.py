"""Flower in one process: a `Grid` that hands each message to the client app itself. No server, no ports, no waiting.

The only file that sets private names of Flower: a `Message` takes its sender from `TaskIdentity` and its id from its
metadata, which Flower's own engines set and nothing public does. flwrlabs/flower#3670 is the open request for such an
engine.
"""

import os

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from unlearn_core.federated.flower.client_app import make_client_app
from unlearn_core.federated.flower.server_app import make_server_app
from unlearn_core.federated.flower.transport import TURNS
from unlearn_core.progress import Report, RunCancelled

_RUN = 1
_SERVER = 0


class LocalGrid(Grid):
    """A grid of clients that live in this process and answer one after the other, when their answers are pulled."""

    def __init__(self, app: ClientApp, nodes: dict[int, dict[str, Any]]) -> None:
        self._app, self._nodes = app, nodes
        # What a client remembers between messages: its keys, in the course of a secure sum.
        self._memory = {node: RecordDict() for node in nodes}
        self._waiting: dict[str, Message] = {}
        self._pushed = 0

    def set_run(self, run: Any) -> None:
        """There is one run only."""

    @property
    def run(self) -> Any:
        """There is one run only, and nothing to say of it."""
        raise NotImplementedError

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message to a node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """All clients; nobody ever leaves."""
        return list(self._nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Keeps the messages until their answers are pulled."""
        ids = []
        for message in messages:
            self._pushed += 1
            ids.append(str(self._pushed))
            message.metadata.__dict__["_message_id"] = ids[-1]
            message.content = _sent(message.content)
            self._waiting[ids[-1]] = message
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The answer of the first client that wasn't heard yet: one a call, so that progress is told after each."""
        first = next((i for i in message_ids if i in self._waiting), None)
        return [] if first is None else [self._answered(self._waiting.pop(first))]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """The answers to the messages, one after the other."""
        return [self._answered(message) for message in messages]

    def _answered(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        context = Context(_RUN, node, self._nodes[node], self._memory[node], {})
        with _identity(node):
            try:
                return self._app(message, context)
            except RunCancelled:
                raise
            except Exception as error:  # whatever a client dies of, the server only hears that it did
                return Message(Error(code=0, reason=f"{error}"), reply_to=message)


def _sent(content: RecordDict) -> RecordDict:
    """A message's content as another process would get it: what the reader takes out of it stays in the sender's."""
    return RecordDict(
        {name: ConfigRecord(dict(r)) if isinstance(r, ConfigRecord) else r for name, r in content.items()}
    )


def run_local(folder: Path, clients: int, seed: int, report: Report) -> None:
    """Does the job in the folder with all clients in this process."""
    nodes: dict[int, dict[str, Any]] = {
        i + 1: {"partition-id": i, "num-partitions": clients, "noise-seed": seed} for i in range(clients)
    }
    context = Context(_RUN, _SERVER, {}, RecordDict(), {"folder": str(folder), TURNS: True})
    with _identity(_SERVER):
        make_server_app(report)(LocalGrid(make_client_app(), nodes), context)


@contextlib.contextmanager
def _identity(node: int) -> Iterator[None]:
    """This process is that node inside, and whoever it was after."""
    before = (TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id)
    TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id = 1, _RUN, node
    try:
        yield
    finally:
        TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id = before
