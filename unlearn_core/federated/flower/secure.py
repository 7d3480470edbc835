"""Flower's SecAgg+ for the statistics: clients mask what they send, and the server learns the sum alone.

Flower 1.41 offers SecAgg+ for its older interface only: a workflow that asks a strategy for instructions to fit, and a
modifier of a client app that masks what fit returned. This file is the bridge, and the only one that touches that
interface; its own test fails where a version of Flower moves it.

What it doesn't do: the server can't check one client's numbers any more, only the sum; trained models are not masked; and
Flower 1.41 draws its masks from seeds folded to 32 bits, which a server that is willing to compute can try out one by one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import Code, FitIns, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.compat.common.recorddict_compat import fitres_to_recorddict, recorddict_to_fitins
from flwr.server import LegacyContext
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.secure_aggregation.secaggplus_workflow import WorkflowState
from flwr.serverapp import Grid
from numpy.typing import NDArray

from unlearn_core.errors import UnlearnError
from unlearn_core.federated.messages import Answer, Arrays, Question, SecureSum, last_line
from unlearn_core.progress import RunCancelled

__all__ = ["masked", "read_question", "require_within", "secaggplus_mod", "secure_total"]

_MOST_NEIGHBOURS = 21
_THRESHOLD = 0.51
_BITS = 31


@dataclass
class _Record:
    """What passed in the four exchanges of the protocol.

    Attributes:
        up: Bytes from each node.
        down: Bytes to each node.
        errors: Why a node dropped out.
        unmasked: Whether anybody was asked to give masks away.
    """

    up: dict[int, int] = field(default_factory=dict)
    down: dict[int, int] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    unmasked: bool = False


class _OneQuestion(FedAvg):
    """What the workflow knows as a strategy: it asks these nodes once, and keeps what came of it."""

    def __init__(self, nodes: Sequence[int], instructions: FitIns) -> None:
        super().__init__()
        self._requests = [(_Proxy(node), instructions) for node in nodes]
        self.nodes: tuple[int, ...] = ()
        self.mean: list[NDArray[Any]] = []

    def configure_fit(self, server_round: int, parameters: Any, client_manager: Any) -> Any:
        """The same question for all."""
        return self._requests

    def aggregate_fit(self, server_round: int, results: Any, failures: Any) -> Any:
        """Keeps the unmasked mean, which the workflow has put in place of every client's answer."""
        self.nodes = tuple(proxy.node_id for proxy, _ in results)
        self.mean = parameters_to_ndarrays(results[0][1].parameters) if results else []
        return None, {}


@dataclass(frozen=True)
class _Proxy:
    """A node, as the workflow wants it."""

    node_id: int


class _Watched(Grid):
    """The grid, with an eye on what passes and on the run's deadline."""

    def __init__(
        self, grid: Grid, record: _Record, send: Callable[[list[Message]], Iterable[Message]]
    ) -> None:
        self._grid, self._record, self._send = grid, record, send

    def set_run(self, run: Any) -> None:
        """As it is."""

    @property
    def run(self) -> Any:
        """The grid's own."""
        return self._grid.run

    def create_message(self, *args: Any, **named: Any) -> Message:
        """The grid's own."""
        return self._grid.create_message(*args, **named)

    def get_node_ids(self) -> Iterable[int]:
        """The grid's own."""
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """The grid's own."""
        return self._grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The grid's own."""
        return self._grid.pull_messages(message_ids)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Every exchange of the protocol passes here."""
        sent = list(messages)
        for message in sent:
            node = message.metadata.dst_node_id
            self._record.down[node] = self._record.down.get(node, 0) + _bytes(message.content)
        replies = list(self._send(sent))
        for reply in replies:
            node = reply.metadata.src_node_id
            if reply.has_error():
                self._record.errors[node] = last_line(reply.error.reason or "")
            else:
                self._record.up[node] = self._record.up.get(node, 0) + _bytes(reply.content)
        return replies


class _Workflow(SecAggPlusWorkflow):
    """Flower's workflow, which asks nobody to give masks away while too few are left."""

    def __init__(self, least: int, record: _Record, **settings: Any) -> None:
        super().__init__(**settings)
        self._least, self._record = least, record

    def unmask_stage(self, grid: Grid, context: LegacyContext, state: WorkflowState) -> bool:
        """The last stage, or none."""
        self._record.unmasked = len(state.active_node_ids) >= self._least
        return self._record.unmasked and super().unmask_stage(grid, context, state)


def secure_total(
    grid: Grid,
    context: Context,
    nodes: Sequence[int],
    question: Question,
    config: Mapping[str, str],
    bound: float,
    least: int,
    send: Callable[[list[Message]], Iterable[Message]],
) -> SecureSum:
    """Asks all nodes one question by SecAgg+ and gives the sum of their answers.

    Args:
        grid: The transport.
        context: The server app's own.
        nodes: Whom to ask; three or more.
        question: The question; answers are the arrays that `masked` sends.
        config: What travels beside the model.
        bound: Largest magnitude of any number that a client may send.
        least: With fewer clients left, no sum is unmasked.
        send: Sends the messages of one exchange and returns what came in time.
    """
    values: dict[str, Any] = {"names": "\n".join(question.arrays), "bound": bound, **config}
    instructions = FitIns(ndarrays_to_parameters(list(question.arrays.values())), values)
    strategy, record = _OneQuestion(nodes, instructions), _Record()
    workflow = _workflow(len(nodes), bound, least, record)
    fault = ""
    try:
        workflow(_Watched(grid, record, send), _legacy(context, strategy))
    except RunCancelled:
        raise
    except Exception as error:  # the workflow believes what clients send: one malformed message breaks it off
        fault = f"The secure sum broke off ({type(error).__name__}); a client's message may be malformed."
    sums = [] if fault else [mean * len(strategy.nodes) for mean in strategy.mean]
    summed = strategy.nodes if sums else ()
    return SecureSum(tuple(sums), summed, record.up, record.down, record.errors, record.unmasked, fault)


def _legacy(context: Context, strategy: FedAvg) -> LegacyContext:
    """The context of the older interface, in its first round and with no model of its own."""
    legacy = LegacyContext(context, strategy=strategy)
    legacy.state.config_records["config"] = ConfigRecord({"current_round": 1})
    empty = fitres_to_recorddict(_result([]), True).array_records["fitres.parameters"]
    legacy.state.array_records["parameters"] = empty
    return legacy


def _workflow(clients: int, bound: float, least: int, record: _Record) -> _Workflow:
    # As many steps as fit: the sum over all clients must stay below 2 ** 32.
    steps = 2 ** (_BITS - max(1, clients - 1).bit_length())
    return _Workflow(
        least,
        record,
        num_shares=1.0 if clients <= _MOST_NEIGHBOURS else _MOST_NEIGHBOURS,
        reconstruction_threshold=max(_THRESHOLD, least / clients),
        max_weight=1.0,
        clipping_range=float(bound),
        quantization_range=steps,
    )


def read_question(message: Message) -> tuple[Arrays, dict[str, Any]]:
    """The model in a message of the protocol, and what travelled beside it."""
    instructions = recorddict_to_fitins(message.content, keep_input=True)
    names = str(instructions.config["names"]).split("\n")
    arrays = parameters_to_ndarrays(instructions.parameters)
    return dict(zip(names, arrays, strict=True)), dict(instructions.config)


def masked(message: Message, answer: Answer, bound: float) -> Message:
    """The reply that `secaggplus_mod` masks on its way out.

    Raises:
        UnlearnError: A number is too large to be masked.
    """
    require_within(answer.arrays, bound)
    values = [np.asarray(values, dtype=np.float64) for values in answer.arrays.values()]
    return Message(fitres_to_recorddict(_result(values), False), reply_to=message)


def require_within(arrays: Arrays, bound: float) -> None:
    """Lets no number pass that masking would cut off: what is left would be a false one.

    Raises:
        UnlearnError: A number is above the bound, or below its negative.
    """
    largest = max((float(np.abs(values).max(initial=0.0)) for values in arrays.values()), default=0.0)
    if largest > bound:
        raise UnlearnError(
            f"It holds a sum of {largest:.4g}, above {bound:.4g}, the most that the masks hide."
        )


def _result(values: list[NDArray[Any]]) -> FitRes:
    return FitRes(Status(Code.OK, ""), ndarrays_to_parameters(values), num_examples=1, metrics={})


def _bytes(content: RecordDict) -> int:
    """Bytes of a message's arrays and values, without framing."""
    arrays = sum(record.count_bytes() for record in content.array_records.values())
    return arrays + sum(
        _size(value) for record in content.config_records.values() for value in record.values()
    )


def _size(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_size, value))
    return len(value) if isinstance(value, (str, bytes)) else 8
