"""The Flower app of a client: a message in, its answer out. It runs under any of Flower's engines."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from unlearn_core.errors import UnlearnError
from unlearn_core.federated.client import ANSWERS, answer
from unlearn_core.federated.flower.discretion import discreet
from unlearn_core.federated.flower.secure import masked, read_question, secaggplus_mod
from unlearn_core.federated.flower.sites import site_of
from unlearn_core.federated.flower.wire import arrays_of, category_of, record_of
from unlearn_core.federated.messages import Answer, Question


def make_client_app() -> ClientApp:
    """A client that answers every question of `client.ANSWERS`."""
    app = ClientApp()
    for kind in ANSWERS:
        register = getattr(app, category_of(kind))
        register(kind)(_reply)
    # Flower's SecAgg+ heeds messages of this one kind, without a name behind it.
    app.train(mods=[secaggplus_mod])(_reply_masked)
    return app


@discreet
def _reply(message: Message, context: Context) -> Message:
    """A client's whole work on one message."""
    record = message.content["config"]
    kind = message.metadata.message_type.partition(".")[2]
    question = Question(kind, arrays_of(message.content["arrays"]), json.loads(str(record["json"])))
    reply = _answer(question, json.loads(str(record["site"])), context)
    content = RecordDict(
        {"arrays": record_of(reply.arrays), "config": ConfigRecord({"json": json.dumps(reply.config)})}
    )
    return Message(content, reply_to=message)


@discreet
def _reply_masked(message: Message, context: Context) -> Message:
    """A client's work on a question of which the server shall see the sum alone."""
    arrays, values = read_question(message)
    question = Question(str(values["kind"]), arrays, json.loads(str(values["json"])))
    reply = _answer(question, json.loads(str(values["site"])), context)
    return masked(message, reply, float(values["bound"]))


def _answer(question: Question, site_config: Mapping[str, Any], context: Context) -> Answer:
    site = site_of(context, site_config, question.config["exchange"])
    _perhaps_drop_out(question, site.client, site_config)
    return answer(question, site)


def _perhaps_drop_out(question: Question, client: int, site_config: Mapping[str, Any]) -> None:
    """Fails by chance, where a run tries out what happens then; never while registering."""
    chance = np.random.default_rng([site_config["seed"], client, question.config["exchange"]]).random()
    if question.kind != "register" and chance < site_config["dropout"]:
        raise UnlearnError(f"Client {client} dropped out, as the run's dropout asked for.")
