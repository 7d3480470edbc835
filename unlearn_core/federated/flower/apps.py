"""The Flower apps: messages in and out, and nothing else. Client and server run under any of Flower's engines.

A client finds its images by its node's config: `partition-id` and `num-partitions` where it holds a drawn part of the
run's data set, `data` (folder:PATH) where it holds a folder of its own. `least-k` is a floor of its own.
"""

import json
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from unlearn_core.data.classes import align_classes, class_index
from unlearn_core.data.sets import Dataset, ImageSet
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.federated.client import ANSWERS, Site, answer
from unlearn_core.federated.coordinator import conduct
from unlearn_core.federated.flower.replies import Reply, answer_of, as_message, gather, has_expired
from unlearn_core.federated.flower.secure import masked, read_asked, secaggplus_mod, secure_total
from unlearn_core.federated.flower.wire import arrays_of, record_of
from unlearn_core.federated.job import JOB
from unlearn_core.federated.messages import Answer, Question, SecureSum, Transport
from unlearn_core.federated.partition import Positions, draw, parse_partition
from unlearn_core.progress import Progress, Report, RunCancelled
from unlearn_core.store.files import write_text

TURNS = "clients-take-turns"
"""In the run config, where all clients share one process: how long one waits says nothing of it, so none is late."""

ClientAppCallable = Callable[[Message, Context], Message]

_CATEGORY = {"train": "train", "evaluate": "evaluate"}


def make_client_app() -> ClientApp:
    """A client that answers every question of `client.ANSWERS`."""
    app = ClientApp()
    for kind in ANSWERS:
        register = getattr(app, _CATEGORY.get(kind, "query"))
        register(kind)(_reply)
    # Flower's SecAgg+ heeds messages of this one kind, without a name behind it.
    app.train(mods=[secaggplus_mod])(_reply_masked)
    return app


def make_server_app(report: Report | None = None) -> ServerApp:
    """A server that does the job in the folder named by the run config, and tells the listener, or a file in the folder."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        folder = Path(str(context.run_config["folder"]))
        try:
            conduct(folder, transport_over(grid, folder, context), report or FileReport(folder / PROGRESS))
        except UnlearnError as error:
            if report is None:  # nobody else in this process would tell the person
                write_text(folder / ERROR, str(error))
            raise

    return app


PROGRESS, ERROR = "server_progress.jsonl", "server_error.txt"
"""Files of a run's folder by which a server in a process of its own tells how far it is, and why it stopped."""


class FileReport:
    """A `Report` across processes: one JSON line a step, for `read_reports`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, progress: Progress) -> None:
        """Appends one step."""
        line = [progress.stage, progress.done, progress.total, dict(progress.metrics)]
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def read_reports(path: Path, start: int) -> tuple[list[Progress], int]:
    """What was appended behind a position, and the position behind the last whole line."""
    if not path.is_file():
        return [], start
    with path.open("rb") as file:
        file.seek(start)
        told = file.read()
    whole = told[: told.rfind(b"\n") + 1]
    return [Progress(*json.loads(line)) for line in whole.splitlines()], start + len(whole)


def transport_over(grid: Grid, folder: Path, context: Context) -> Transport:
    """The transport that a Flower grid is."""
    job = json.loads((folder / JOB).read_text())
    names = ("data", "partition", "clients", "seed", "dropout", "device")
    site = {**{name: job["asked"][name] for name in names}, "classes": job["classes"]}
    if job["asked"]["superlink"]:
        # Where a folder lies on this machine is nothing that other machines must know, nor have they its devices.
        site |= {"data": parse_dataset(job["asked"]["data"]).name, "device": "auto"}
    turns = bool(context.run_config.get(TURNS))

    def ask(
        nodes: Sequence[int], question: Question, deadline: float, heard: Callable[[Answer], None]
    ) -> Sequence[Answer]:
        arrays = record_of(question.arrays)  # the same model goes to all: written once, not once a client
        lasting = None if turns else deadline
        messages = [_message(node, question, arrays, site, lasting) for node in nodes]
        answers: list[Answer] = []

        def taken(reply: Reply, asked: int) -> None:
            # A question lasts as long as the deadline, so that the superlink may say of a silent node that it is over.
            if not has_expired(reply):
                answers.append(answer_of(reply, asked))
                heard(answers[-1])

        gather(grid, messages, deadline, taken, turns=turns)
        return answers

    def total(
        nodes: Sequence[int],
        question: Question,
        bound: float,
        least: int,
        deadline: float,
        heard: Callable[[int, int], None],
    ) -> SecureSum:
        def send(messages: list[Message]) -> list[Message]:
            replies: list[Message] = []
            sent = {message.metadata.dst_node_id: message for message in messages}

            def taken(reply: Reply, asked: int) -> None:
                replies.append(as_message(reply, sent[asked]))
                heard(len(replies), len(messages))

            gather(grid, messages, deadline, taken, turns=turns)
            return replies

        config = {"json": json.dumps(question.config), "site": json.dumps(site), "kind": question.kind}
        return secure_total(grid, context, nodes, question, config, bound, least, send)

    return Transport(lambda: list(grid.get_node_ids()), ask, total)


def _message(
    node: int, question: Question, arrays: ArrayRecord, site: Mapping[str, Any], deadline: float | None
) -> Message:
    content = RecordDict(
        {
            "arrays": arrays,
            "config": ConfigRecord({"json": json.dumps(question.config), "site": json.dumps(site)}),
        }
    )
    kind = f"{_CATEGORY.get(question.kind, 'query')}.{question.kind}"
    return Message(content, node, kind, ttl=deadline, group_id=str(question.config.get("exchange", "")))


def _discreet(work: ClientAppCallable) -> ClientAppCallable:
    """The same work, of whose failure the server hears what it may: no path of this machine, and no foreign text."""

    @wraps(work)
    def told(message: Message, context: Context) -> Message:
        try:
            return work(message, context)
        except RunCancelled:
            raise
        except UnlearnError as error:
            raise UnlearnError(without_paths(str(error), str(context.node_config.get("data", "")))) from None
        except ModuleNotFoundError as error:
            raise UnlearnError(
                f"The Python package {error.name}, which this model or data set needs, isn't installed there."
            ) from None
        except Exception as error:
            traceback.print_exc(file=sys.stderr)  # for the client's own log
            raise UnlearnError(f"It failed ({type(error).__name__}); its own log says more.") from None

    return told


def without_paths(text: str, data: str) -> str:
    """A sentence without the client's own folder (`folder:PATH`), or any other path that starts at a root."""
    root = data.partition(":")[2].rstrip("/")
    if root:
        text = re.sub(re.escape(root) + r"[^\s'\",;]*", "…", text)
    return re.sub(r"(?<![\w…])(?:~|[A-Za-z]:)?[/\\][^\s'\",;]+", "…", text)


@_discreet
def _reply(message: Message, context: Context) -> Message:
    """A client's whole work on one message."""
    told = message.content["config"]
    site = json.loads(str(told["site"]))
    kind = message.metadata.message_type.partition(".")[2]
    question = Question(kind, arrays_of(message.content["arrays"]), json.loads(str(told["json"])))
    own = _site(context, site, question.config["exchange"])
    _perhaps_drop_out(site, own.client, question.config["exchange"], kind)
    given = answer(question, own)
    content = RecordDict(
        {"arrays": record_of(given.arrays), "config": ConfigRecord({"json": json.dumps(given.config)})}
    )
    return Message(content, reply_to=message)


@_discreet
def _reply_masked(message: Message, context: Context) -> Message:
    """A client's work on a question of which the server shall see the sum alone."""
    arrays, told = read_asked(message)
    site, config = json.loads(str(told["site"])), json.loads(str(told["json"]))
    own = _site(context, site, config["exchange"])
    _perhaps_drop_out(site, own.client, config["exchange"], str(told["kind"]))
    return masked(message, answer(Question(str(told["kind"]), arrays, config), own), float(told["bound"]))


def _perhaps_drop_out(site: Mapping[str, Any], client: int, exchange: int, kind: str) -> None:
    """Fails by chance, where a run tries out what happens then; never while registering."""
    chance = np.random.default_rng([site["seed"], client, exchange]).random()
    if kind != "register" and chance < site["dropout"]:
        raise UnlearnError(f"Client {client} dropped out, as the run's dropout asked for.")


def _site(context: Context, site: Mapping[str, Any], exchange: int) -> Site:
    """The client of this node, with its images."""
    config, classes = context.node_config, tuple(site["classes"])
    client = int(config["partition-id"])
    if "data" in config:
        images = _relabelled(_opened(str(config["data"])), classes)
    else:
        part = _dealt(site["data"], classes, site["partition"], site["clients"], site["seed"])[client]
        images = _aligned(site["data"], classes).train.select(torch.from_numpy(part))
    # Only a rehearsal may know its noise in advance; at a real site it comes from the operating system.
    seed = config.get("noise-seed")
    noise = np.random.default_rng(None if seed is None else [int(seed), client, exchange])
    own, least = "data" in config, int(config.get("least-k", 0))
    return Site(context.node_id, client, classes, images, site["device"], noise, own, least)


def _relabelled(dataset: Dataset, classes: Sequence[str]) -> ImageSet:
    """A site's own training images with the run's labels; it may lack classes, but not bring others."""
    labels = torch.tensor([class_index(classes, name) for name in dataset.classes])
    return replace(dataset.train, labels=labels[dataset.train.labels])


@lru_cache(maxsize=2)
def _opened(data: str) -> Dataset:
    return open_dataset(parse_dataset(data))


@lru_cache(maxsize=2)
def _aligned(data: str, classes: tuple[str, ...]) -> Dataset:
    return align_classes(_opened(data), classes)


@lru_cache(maxsize=4)
def _dealt(
    data: str, classes: tuple[str, ...], partition: str, clients: int, seed: int
) -> tuple[Positions, ...]:
    labels = _aligned(data, classes).train.labels.numpy()
    return draw(labels, clients, parse_partition(partition), seed=seed)
