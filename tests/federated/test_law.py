"""The law: a federation computes what the whole data set in one place would have given."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from unlearn_core.channels.activations import collect
from unlearn_core.channels.scoring import channel_scores
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.federated.client import answer, retained_images
from unlearn_core.federated.messages import Question, client_seed, fingerprint, state_of, stats_to_arrays
from unlearn_core.federated.privacy import Privacy
from unlearn_core.federated.rules import Rules
from unlearn_core.federated.server import Server
from unlearn_core.federated.validate import schema_of
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.specs import card_to_plain
from unlearn_core.models.training import fit
from unlearn_core.params import build, plain
from unlearn_core.progress import silent
from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams
from unlearn_core.unlearning.tfidf_prune import example_of, plan_by

PARTITIONS = ["iid", "dirichlet:0.1", "dirichlet:0.5", "shards:1", "biased:0.9"]
RECIPE = Recipe(epochs=1, lr=0.05, batch_size=20, augment="crop", precision="float32")
FORGET = [1]


@pytest.fixture
def server_of(direct, colour_card):
    def make(sites, **rules):
        server = Server(direct(sites), Rules(clients=len(sites), **rules), silent)
        size = sites[0].images.images.shape[-1]
        server.register({"fingerprint": fingerprint(colour_card.classes, size), "forget": FORGET})
        return server

    return make


@pytest.fixture
def question_of(colour_card):
    def make(kind, model, **config):
        card = card_to_plain(colour_card)
        return Question(kind, state_of(model.net), {"card": card, "plan": None, "forget": FORGET, **config})

    return make


def query(question_of, model):
    return question_of(
        "stats",
        model,
        tap="bn_relu",
        images_per_class=0,
        silence=None,
        privacy={"k": 1, "epsilon": 0.0, "delta": 1e-5, "clip": 0.5},
    )


@pytest.mark.parametrize("partition", PARTITIONS)
def test_statistics_scores_and_plan_are_those_of_the_whole(
    partition, trained, colours, sites_of, server_of, question_of
):
    whole = collect(trained, colours.train, colours.classes)
    server = server_of(sites_of(colours, 7, partition))
    parts = server.stats(
        query(question_of, trained), schema_of(stats_to_arrays(whole)), colours.classes, Privacy()
    )
    federated = server.whole(parts)
    assert len(parts) == 7
    assert np.array_equal(federated.counts, whole.counts)
    for layer in whole.layers:
        np.testing.assert_allclose(federated.sums[layer], whole.sums[layer], rtol=1e-6, atol=1e-6)
    scores = [channel_scores(stats).by_layer for stats in (federated, whole)]
    for layer in whole.layers:
        np.testing.assert_allclose(scores[0][layer], scores[1][layer], rtol=1e-5, atol=1e-8)
    params = build(TfidfPruneParams, {"where": "all", "ratio": 0.3})
    example = example_of(trained, colours.train.images)
    plans = [plan_by(lambda _, s=stats: s, trained, example, params, (1,), 0) for stats in (federated, whole)]
    assert plans[0] == plans[1]


def test_the_papers_plain_average_is_not_the_whole(trained, colours, sites_of, server_of, question_of):
    whole = collect(trained, colours.train, colours.classes)
    server = server_of(sites_of(colours, 7, "shards:1"), weighting="plain")
    parts = server.stats(
        query(question_of, trained), schema_of(stats_to_arrays(whole)), colours.classes, Privacy()
    )
    layer = whole.layers[-1]
    assert not np.allclose(server.whole(parts).mean(layer), whole.mean(layer), rtol=0.1)


def train_question(question_of, model, number=1, rounds=1, recipe=RECIPE):
    return question_of("train", model, recipe=plain(recipe), round=number, rounds=rounds, seed=5)


def test_one_client_and_one_epoch_is_centralised_fine_tuning(
    trained, colours, sites_of, server_of, question_of
):
    server = server_of(sites_of(colours, 1))
    state = server.train(train_question(question_of, trained))
    fit(trained, split_dataset(colours, ForgetSpec(("green",))).retain, RECIPE, seed=5)
    for name, values in state_of(trained.net).items():
        np.testing.assert_allclose(state[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


def test_rounds_without_momentum_are_the_epochs_of_one_course(
    trained, colours, sites_of, server_of, question_of
):
    """Whole batches, so that no order matters: three rounds take the three steps of a cosine schedule."""
    recipe = Recipe(epochs=1, lr=0.1, batch_size=500, momentum=0.0, augment="none", precision="float32")
    images = retained_images(colours.train, FORGET)
    server, federated = server_of(sites_of(colours, 1)), copy.deepcopy(trained)
    for number in (1, 2, 3):
        state = server.train(train_question(question_of, federated, number, 3, recipe))
        federated.net.load_state_dict({n: torch.from_numpy(v) for n, v in state.items()})
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3)
    trained.train()
    for _ in range(3):
        optimizer.zero_grad()
        functional.cross_entropy(trained(images.images), images.labels).backward()
        optimizer.step()
        schedule.step()
    for name, values in state_of(trained.net).items():
        np.testing.assert_allclose(state[name], values, rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_round_is_the_mean_by_images_of_each_clients_own_training(
    trained, colours, sites_of, server_of, question_of
):
    sites = sites_of(colours, 3, "dirichlet:0.5")
    state = server_of(sites).train(train_question(question_of, trained))
    expected, total = {}, 0
    for site in sites:
        own, images = copy.deepcopy(trained), retained_images(site.images, FORGET)
        fit(own, images, RECIPE, seed=client_seed(5, 1, site.client))
        total += len(images)
        for name, values in state_of(own.net).items():
            expected[name] = expected.get(name, 0) + len(images) * values.astype(np.float64)
    for name, values in state.items():
        if values.dtype == np.float32:
            np.testing.assert_allclose(values, expected[name] / total, rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_higher_floor_counts(sites_of, question_of, colours, trained):
    """30 images of each class at one client, as the server asks for k = 1."""
    (site,) = sites_of(colours, 1)
    held = int(np.bincount(site.images.labels.numpy()).min())
    for least, reported in ((held, True), (10**6, False)):
        told = answer(query(question_of, trained), replace(site, least_k=least))
        assert bool(told.arrays["counts"].all()) == reported
