"""What comes back to the server's messages: whole or not, in time or not, and whose it is."""

import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait

from flwr.app import Error, Message
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from httpx import TransportError

from unlearn_core.federated.flower.wire import arrays_of
from unlearn_core.federated.messages import Answer, last_line
from unlearn_core.progress import RunCancelled

Reply = Message | Exception
"""What came to a question: a message, or why what came can't be read."""

_POLL = 0.5
_PATIENCE = 0.2  # seconds until a pull goes on in the background; one that finds nothing takes hundredths
_EXPIRED = (ErrorCode.MESSAGE_UNAVAILABLE, ErrorCode.REPLY_MESSAGE_UNAVAILABLE)
_PLAIN = (str, int, float, type(None))


def gather(
    grid: Grid,
    messages: Sequence[Message],
    deadline: float,
    listener: Callable[[Reply, int], None],
    *,
    turns: bool,
) -> None:
    """Sends messages and hands on every reply that comes within so many seconds.

    Each reply is pulled by itself: of a pull with one malformed reply Flower loses all, and for one that is half there it
    waits, for up to two hours where a client adds to it now and then. What isn't whole at the deadline has not come.

    Args:
        grid: The transport.
        messages: One for each node.
        deadline: Seconds from when all are sent; where clients take turns, there is none.
        listener: Told of each reply, with the node that was asked.
        turns: Whether a pull is the client's work itself, so that they follow one another in this thread.
    """
    nodes = [message.metadata.dst_node_id for message in messages]
    open_ = {i: node for i, node in zip(grid.push_messages(messages), nodes, strict=True) if i}
    pulls: dict[str, Future[list[Message]]] = {}
    end = time.monotonic() + (math.inf if turns else deadline)
    while open_ and (began := time.monotonic()) < end:
        for i, node in list(open_.items()):
            if i not in pulls:
                pulls[i] = _pull(grid, i, apart=not turns)
                wait([pulls[i]], _until(end, _PATIENCE))
            if pulls[i].done() and (replies := _replies(pulls.pop(i), i, node)):
                del open_[i]
                for reply in replies:
                    listener(reply, node)
        if open_:  # asking after many nodes takes a while, and the superlink has other things to do
            time.sleep(_until(end, max(_POLL, time.monotonic() - began)))


def _until(end: float, most: float) -> float:
    """Seconds until a moment of the monotonic clock: at most so many, and none where it is past."""
    return max(0.0, min(most, end - time.monotonic()))


def _pull(grid: Grid, message_id: str, *, apart: bool) -> Future[list[Message]]:
    """What a grid has to one message, or raises: known at once, or pulled in a thread of its own.

    Nothing ends a pull that waits. Its thread is daemonic, so that the process can end.
    """
    pulled: Future[list[Message]] = Future()

    def work() -> None:
        try:
            pulled.set_result(list(grid.pull_messages([message_id])))
        except BaseException as error:  # Flower's own word that a run was stopped is no Exception
            pulled.set_exception(error)

    if apart:
        threading.Thread(target=work, daemon=True).start()
    else:
        work()
    return pulled


def _replies(pull: Future[list[Message]], message_id: str, node: int) -> list[Reply]:
    """What a pull that is done brought; an exception in its place where a node's objects don't make a message.

    Raises:
        RunCancelled: The run was cancelled.
        TransportError: The superlink can't be reached.
    """
    try:
        replies = pull.result()
        for reply in replies:
            _require_from(reply, message_id, node)
        return list(replies)
    except (RunCancelled, TransportError):
        raise
    except Exception as error:  # whatever the objects are that the node sent
        return [error]


def _require_from(reply: Message, message_id: str, node: int) -> None:
    """A node writes itself who its reply is from and what it answers; the superlink knows better, and replies for some.

    Raises:
        ValueError: The reply says that it is another's, or to another question.
    """
    origin = (reply.metadata.src_node_id, reply.metadata.reply_to_message_id)
    if not reply.has_error() and origin != (node, message_id):
        raise ValueError


def has_expired(reply: Reply) -> bool:
    """Whether it is only the superlink's word that nothing came in time."""
    return isinstance(reply, Message) and reply.has_error() and reply.error.code in _EXPIRED


def answer_of(reply: Reply, node: int) -> Answer:
    """What a reply says; where a node has gone, the superlink replies in its place."""
    try:
        if isinstance(reply, Exception):
            raise reply
        if reply.has_error():
            return Answer(node, {}, {}, last_line(reply.error.reason or ""))
        config = json.loads(str(reply.content["config"]["json"]))
        if not isinstance(config, dict) or not all(isinstance(v, _PLAIN) for v in config.values()):
            raise TypeError
        return Answer(node, arrays_of(reply.content["arrays"]), config)
    except Exception as error:  # whatever the bytes are that it sent
        return Answer(node, {}, {}, unreadable=_unreadable(error))


def as_message(reply: Reply, question: Message) -> Message:
    """The reply as the secure sum takes it: an error is from the node that was asked, whoever found it."""
    if isinstance(reply, Exception):
        return Message(Error(code=ErrorCode.UNKNOWN, reason=_unreadable(reply)), reply_to=question)
    return Message(reply.error, reply_to=question) if reply.has_error() else reply


def _unreadable(error: Exception) -> str:
    return f"Its answer can't be read ({type(error).__name__})."
