"""Clients in this process, without any transport: what learns is tried apart from what carries it."""

import os
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from unlearn_core.errors import UnlearnError
from unlearn_core.federated.client import Site, answer
from unlearn_core.federated.messages import Answer, Transport
from unlearn_core.federated.partition import draw, parse_partition


@pytest.fixture
def flower():
    """Flower, or a test that says why it was left out; under CI nothing is left out."""
    if find_spec("flwr") is None:
        sentence = "Flower isn't installed: pip install -r requirements-federated.txt"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)


@pytest.fixture
def sites_of():
    """Makes clients of a data set, dealt by a partition."""

    def make(dataset, clients, partition="iid", seed=0):
        labels = dataset.train.labels.numpy()
        parts = draw(labels, clients, parse_partition(partition), seed=seed)
        return [
            Site(
                100 + i,
                i,
                dataset.classes,
                dataset.train.select(torch.from_numpy(part)),
                "cpu",
                np.random.default_rng([seed, i]),
            )
            for i, part in enumerate(parts)
        ]

    return make


@pytest.fixture
def direct():
    """Makes the transport that calls each client; `tamper` changes what arrives: (answers of an exchange, its question)."""

    def make(sites, tamper=lambda answers, question: answers):
        by_node = {site.node: site for site in sites}

        def one(node, question):
            try:
                return answer(question, by_node[node])
            except UnlearnError as error:
                return Answer(node, {}, {}, str(error))

        def ask(nodes, question, deadline, heard):
            answers = tamper([one(node, question) for node in nodes], question)
            for given in answers:
                heard(given)
            return answers

        return Transport(lambda: list(by_node), ask)

    return make
