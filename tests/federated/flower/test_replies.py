"""Replies over Flower's own grid, with a superlink made up here: half uploaded, malformed, forged, or never there.

What one client sends costs nobody else its reply, and no exchange its deadline.
"""

import json
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from unlearn_core.federated.messages import Question
from unlearn_core.progress import RunCancelled

pytestmark = pytest.mark.usefixtures("flower")

DEADLINE = 2.0


def answers(config='{"exchange": 1}'):
    """What an honest client's reply holds."""
    from flwr.app import ConfigRecord, RecordDict

    from unlearn_core.federated.flower.wire import record_of

    return RecordDict({"arrays": record_of({"x": np.arange(4.0)}), "config": ConfigRecord({"json": config})})


def honest(asked):
    from flwr.app import Message

    return Message(answers(), reply_to=asked)


def failed(asked):
    from flwr.app import Error, Message

    return Message(Error(code=2, reason="It crashed."), reply_to=asked)


def expired(asked):
    """As the superlink itself replies when a question's time is over."""
    from flwr.app import Error, Message
    from flwr.common.constant import ErrorCode

    reply = Message(Error(code=ErrorCode.MESSAGE_UNAVAILABLE, reason="Gone."), reply_to=asked)
    reply.metadata.__dict__["_src_node_id"] = 1
    return reply


def forged(asked):
    """From node 2, it says."""
    reply = honest(asked)
    reply.metadata.__dict__["_src_node_id"] = 2
    return reply


def to_another(asked):
    reply = honest(asked)
    reply.metadata.__dict__["_reply_to_message_id"] = "0" * 64
    return reply


def no_message(asked):
    return answers()


class Superlink:
    """What `HttpGrid` calls: clients reply at once, by `makes`.

    The last object of a `half` reply doesn't come before all is over; that of a `torn` one is nonsense.
    """

    def __init__(self, makes, half=(), torn=(), breaks=None):
        self.makes, self.half, self.torn, self.breaks = makes, half, torn, breaks
        self.waiting, self.objects, self.missing = {}, {}, set()
        self.over = time.monotonic() + 3 * DEADLINE

    def PushMessages(self, request):
        from flwr.common.serde import message_from_proto

        for told in request.messages_list:
            message = message_from_proto(told)
            self.waiting[message.metadata.message_id] = message
        ids = [told.metadata.message_id for told in request.messages_list]
        return SimpleNamespace(message_ids=ids, objects_to_push=[], session_id="")

    def PushObject(self, request):
        raise NotImplementedError  # the questions' objects are nobody's concern here

    def PullMessages(self, request):
        if self.breaks:
            raise self.breaks
        found = [self._reply(self.waiting.pop(i)) for i in list(request.message_ids) if i in self.waiting]
        replies = [reply for reply in found if reply]
        return SimpleNamespace(
            messages_list=[told for told, _ in replies], message_object_trees=[tree for _, tree in replies]
        )

    def PullObject(self, request):
        return SimpleNamespace(
            object_found=time.monotonic() < self.over,
            object_available=request.object_id not in self.missing,
            object_content=self.objects[request.object_id],
        )

    def ConfirmMessageReceived(self, request):
        pass

    def _reply(self, asked):
        from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree

        node = asked.metadata.dst_node_id
        made = self.makes.get(node, lambda asked: None)(asked)
        if made is None:
            return None
        contents = {i: each.deflate() for i, each in get_all_nested_objects(made).items()}
        self.objects |= contents
        if node in self.half:
            self.missing.add(made.object_id)
        if node in self.torn:
            self.objects[made.object_id] = b"nonsense"
        metadata = SimpleNamespace(message_id=made.object_id, reply_to_message_id=asked.metadata.message_id)
        return SimpleNamespace(metadata=metadata), get_object_tree(made)


@pytest.fixture
def asked(tmp_path):
    """Puts one question to clients of a superlink: their answers by node, the seconds, and who was heard of."""
    from flwr.app import Context, RecordDict
    from flwr.supercore.run import Run
    from flwr.superlink.grid import HttpGrid

    from unlearn_core.federated.flower.local_grid import _identity
    from unlearn_core.federated.flower.transport import transport_over
    from unlearn_core.federated.job import JOB

    told = {"data": "digits", "partition": "iid", "clients": 4, "seed": 0, "dropout": 0.0, "device": "cpu"}
    (tmp_path / JOB).write_text(json.dumps({"asked": {**told, "superlink": ""}, "classes": ["a"]}))
    links = []

    def ask(nodes, **made):
        links.append(Superlink(**made))
        grid = HttpGrid(insecure=True, token="token")
        grid._client, grid._run = links[-1], Run.create_empty(1)
        heard, question = [], Question("stats", {"x": np.ones(1)}, {"exchange": 1})
        began = time.monotonic()
        with _identity(1):
            transport = transport_over(grid, tmp_path, Context(1, 1, {}, RecordDict(), {}))
            came = transport.ask(nodes, question, DEADLINE, heard.append)
        assert came == heard
        return {a.node: a for a in came}, time.monotonic() - began

    yield ask
    for link in links:
        link.over = 0.0  # what still waits for objects ends


def is_whole(answer):
    return not answer.error and not answer.unreadable and answer.arrays["x"].tolist() == [0, 1, 2, 3]


def test_who_uploads_half_a_reply_costs_nobody_else_anything(asked):
    """Two such clients come first; Flower would wait three minutes for each."""
    makes = dict.fromkeys(range(10, 15), honest)
    came, seconds = asked(range(10, 15), makes=makes, half=(10, 11))
    assert sorted(came) == [12, 13, 14] and all(map(is_whole, came.values()))
    assert DEADLINE <= seconds < DEADLINE + 1


def test_a_reply_that_becomes_whole_in_time_is_taken(asked, monkeypatch):
    def at_last(self, request, original=Superlink.PullMessages):
        threading.Timer(0.5, self.missing.clear).start()
        return original(self, request)

    monkeypatch.setattr(Superlink, "PullMessages", at_last)
    came, seconds = asked([10], makes={10: honest}, half=(10,))
    assert is_whole(came[10]) and seconds < DEADLINE


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (honest, "ValueError"),
        (no_message, "AttributeError"),
        (forged, "ValueError"),
        (to_another, "ValueError"),
    ],
)
def test_one_malformed_reply_is_that_nodes_alone(asked, make, kind):
    """Objects that make no message, and a message that says it is from another node, or to another question."""
    makes = {2: honest, 10: make, 11: honest}
    came, seconds = asked([10, 2, 11], makes=makes, torn=(10,) if make is honest else ())
    assert is_whole(came[2]) and is_whole(came[11]) and seconds < DEADLINE
    assert came[10].unreadable == f"Its answer can't be read ({kind})." and not came[10].error


def test_an_error_is_an_answer_and_an_expired_question_is_none(asked):
    came, _ = asked([10, 11], makes={10: failed, 11: expired})
    assert list(came) == [10] and came[10].error == "It crashed."


@pytest.mark.parametrize("what", ["cancelled", "unreachable", "stopped"])
def test_what_is_no_clients_doing_ends_the_exchange(asked, what):
    import httpx
    from flwr.supercore.run import RunNotRunningException

    error = {
        "cancelled": RunCancelled(),
        "unreachable": httpx.ConnectError("certificate verify failed"),
        "stopped": RunNotRunningException(),
    }[what]
    with pytest.raises(type(error)):
        asked([10], makes={}, breaks=error)
