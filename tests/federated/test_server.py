"""Clients that drop out, are late, few, doubled or poisonous: the server goes on with the others, or ends with a sentence."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from unlearn_core.errors import UnlearnError
from unlearn_core.federated.messages import Answer, Question, SecureSum, Transport, fingerprint, state_of
from unlearn_core.federated.privacy import Privacy
from unlearn_core.federated.roster import Roster
from unlearn_core.federated.rules import Rules
from unlearn_core.federated.secure_stats import secure_stats
from unlearn_core.federated.server import Server
from unlearn_core.federated.validate import distance, schema_of
from unlearn_core.federated.validate_stats import MOST_MEAN
from unlearn_core.models.recipe import Recipe
from unlearn_core.models.specs import card_to_plain
from unlearn_core.params import plain
from unlearn_core.progress import silent
from unlearn_core.results.evaluation import predictions
from unlearn_core.results.exchanges import Member

RECIPE = Recipe(epochs=1, lr=0.01, batch_size=20, augment="none", precision="float32")


@pytest.fixture
def federation(direct, sites_of, colours, colour_card):
    """Makes a server with registered clients; `tamper` sees every exchange after that."""

    def make(clients=10, tamper=lambda answers, asked: answers, report=silent, **rules):
        armed = []
        sites = sites_of(colours, clients)
        transport = direct(sites, lambda answers, asked: tamper(answers, asked) if armed else answers)
        server = Server(transport, Rules(clients=clients, **rules), report)
        server.register({"fingerprint": fingerprint(colour_card.classes, 16), "forget": []})
        armed.append(True)
        return server

    return make


@pytest.fixture
def question(colour_card):
    def make(model, number=1, rounds=1, **config):
        told = {"card": card_to_plain(colour_card), "plan": None, "forget": [], "seed": 0}
        told |= {"recipe": plain(RECIPE), "round": number, "rounds": rounds, **config}
        return Question("train", state_of(model.net), told)

    return make


def changed(answer, **arrays):
    return Answer(answer.node, {**answer.arrays, **arrays}, answer.config)


def accuracy(model, state, images):
    model.net.load_state_dict({n: torch.from_numpy(v) for n, v in state.items()})
    return predictions(model, images).tally().share


def test_a_third_dropping_out_for_twenty_rounds_is_survived(federation, trained, question):
    """What each client trains plays no part here: it answers with the model as it was."""
    rng = np.random.default_rng(0)
    server = federation(clients=10)

    def ask(nodes, asked, deadline, heard):
        answers = []
        for node in nodes:
            config = {
                "images": server.roster.members[node].train_images,
                "exchange": asked.config["exchange"],
            }
            chance = rng.random()
            # Half of those who drop out say so, half just never answer.
            if chance < 0.15:
                answers.append(Answer(node, {}, {}, "It crashed."))
            elif chance >= 0.3:
                answers.append(Answer(node, asked.arrays, config))
        return answers

    server.conversation.transport = replace(server.conversation.transport, ask=ask)
    for number in range(1, 21):
        state = server.train(question(trained, number, 20))
    assert all(np.array_equal(state[n], v) for n, v in state_of(trained.net).items())
    told = {e.event for e in server.journal.events}
    assert "dropped" in told and told <= {"dropped", "round failed"}
    assert 30 < sum(e.event == "dropped" for e in server.journal.events) < 100
    assert {e.reason for e in server.journal.events if e.event == "dropped"} == {
        "It crashed.",
        "No answer within 600 s.",
    }


def test_too_few_end_the_run_with_a_sentence(federation, trained, question):
    server = federation(clients=4, tamper=lambda answers, asked: answers[:1])
    with pytest.raises(UnlearnError, match=r"round 1.*1 of 4 took part, 2 are needed.*lower the quorum"):
        server.train(question(trained))
    assert [e.event for e in server.journal.events].count("round failed") == 3


def test_too_few_to_begin_with_end_it_at_the_deadline(direct, sites_of, colours):
    server = Server(direct(sites_of(colours, 2)), Rules(clients=10, deadline=0.1), silent)
    with pytest.raises(UnlearnError, match=r"connect.*2 of 10 took part, 5 are needed"):
        server.register({"fingerprint": "", "forget": []})


def test_a_client_of_other_classes_may_not_take_part(direct, sites_of, colours):
    server = Server(direct(sites_of(colours, 2)), Rules(clients=2), silent)
    with pytest.raises(UnlearnError, match="0 of 2 took part"):
        server.register({"fingerprint": fingerprint(("cat", "dog"), 16), "forget": []})
    assert "other classes" in server.journal.events[0].reason


@pytest.mark.parametrize(
    "claim",
    [
        {"images": -5},
        {"images": 0},
        {"images": True},
        {"train_images": 10**12},
        {"client": 5},
        {"client": -1},
        {"client": "1"},
        {"client": 0},
    ],
)
def test_a_false_registration_is_refused(claim, direct, sites_of, colours):
    def lie(answers, asked):
        return [answers[0], Answer(answers[1].node, {}, {**answers[1].config, **claim})]

    server = Server(direct(sites_of(colours, 2), lie), Rules(clients=2), silent)
    server.register({"fingerprint": fingerprint(colours.classes, 16), "forget": []})
    assert [m.client for m in server.roster.members.values()] == [0]
    assert [e.event for e in server.journal.events] == ["rejected"]


def test_what_is_malformed_doubled_or_old_never_reaches_the_model(federation, trained, question):
    """The result is bit for bit that of the honest clients alone."""
    name = "linear.weight"

    def tamper(answers, asked):
        nan = np.full_like(answers[0].arrays[name], np.nan)
        return [
            changed(answers[0], **{name: nan}),
            changed(answers[1], **{name: answers[1].arrays[name][:, :-1]}),
            Answer(answers[2].node, answers[2].arrays, {**answers[2].config, "images": -1}),
            Answer(answers[3].node, answers[3].arrays, {**answers[3].config, "exchange": 1}),
            *answers[4:],
            changed(answers[5], **{name: answers[5].arrays[name] + 5}),
            changed(answers[6], **{name: answers[6].arrays[name] * 1000}),
        ]

    seen = federation(clients=10, tamper=tamper)
    state = seen.train(question(trained))
    honest = federation(clients=10, tamper=lambda answers, asked: answers[4:])
    expected = honest.train(question(trained))
    assert all(np.array_equal(state[n], expected[n]) for n in expected)
    assert len([e for e in seen.journal.events if e.event == "rejected"]) == 6
    assert {e.client for e in seen.journal.events} == {"0", "1", "2", "3", "5", "6"}
    assert all(e.reason.endswith(".") for e in seen.journal.events)


def test_a_loud_client_is_rejected(federation, trained, question):
    def shout(answers, asked):
        first = {n: v * 1000 if v.dtype == np.float32 else v for n, v in answers[0].arrays.items()}
        return [changed(answers[0], **first), *answers[1:]]

    server = federation(clients=5, tamper=shout)
    server.train(question(trained))
    assert "times the median" in server.journal.events[0].reason


@pytest.mark.parametrize(("aggregator", "harmed"), [("fedavg", True), ("trimmed_mean", False)])
def test_a_fifth_of_poison_costs_the_robust_aggregator_two_points_at_most(
    aggregator, harmed, federation, trained, question, colours
):
    """Two of ten pull the last layer towards its opposite, each time nearly as far as the norm bound lets them."""

    def poison(answers, asked):
        def turned(answer):
            base = asked.arrays
            size = np.median([distance(a.arrays, base) for a in answers])
            last = base["linear.weight"]
            pull = (-9 * size * last / np.linalg.norm(last)).astype(np.float32)
            return changed(answer, **{**base, "linear.weight": last + pull})

        return [turned(answers[0]), turned(answers[1]), *answers[2:]]

    before = predictions(trained, colours.test).tally().share
    recipe = plain(Recipe(epochs=2, lr=0.05, batch_size=6, augment="none", precision="float32"))
    server = federation(clients=10, tamper=poison, aggregator=aggregator)
    for number in range(1, 6):
        after = accuracy(trained, server.train(question(trained, number, 5, recipe=recipe)), colours.test)
    assert before > 0.9 and not server.journal.events
    assert (before - after > 0.02) == harmed


def test_bytes_of_each_client_and_way_are_counted(federation, trained, question):
    told = []
    server = federation(clients=3, participation=0.5, report=told.append)
    asked = question(trained)
    server.train(asked)
    exchange = server.journal.exchanges[-1]
    weights = sum(v.nbytes for v in asked.arrays.values())
    assert exchange.kind == "train" and len(exchange.bytes_up) == 2
    assert exchange.bytes_up.keys() == exchange.bytes_down.keys() <= {"0", "1", "2"}
    assert all(weights < sent < weights + 200 for sent in exchange.bytes_up.values())
    assert all(weights < sent < weights + 3000 for sent in exchange.bytes_down.values())
    assert {p.metrics["client"] for p in told if p.stage == "training at the clients"} == set(
        exchange.bytes_up
    )


def test_another_draw_each_round_and_the_same_for_the_same_seed(federation):
    one, again = federation(participation=0.3), federation(participation=0.3)
    draws = [one.roster.participants(number, 0) for number in range(1, 6)]
    assert draws == [again.roster.participants(number, 0) for number in range(1, 6)]
    assert all(len(set(d)) == 3 for d in draws) and len(set(map(tuple, draws))) > 1


def server_of(members, replies, **rules):
    """A server whose members answer an exchange with `replies(node, number of the exchange)`.

    None is silence, and a sentence an error.
    """

    def answer(node, reply, exchange):
        if isinstance(reply, str):
            return Answer(node, {}, {}, reply)
        arrays, config = reply
        return Answer(node, arrays, {"exchange": exchange, **config})

    def ask(nodes, asked, deadline, heard):
        exchange = asked.config["exchange"]
        came = {node: replies(node, exchange) for node in nodes}
        answers = [answer(node, reply, exchange) for node, reply in came.items() if reply is not None]
        for given in answers:
            heard(given)
        return answers

    told = []
    server = Server(Transport(lambda: [], ask), Rules(clients=len(members), **rules), told.append)
    server.conversation.roster = Roster(server.rules, {m.node: m for m in members})
    return server, told


def statistics(mean, count=20):
    return {"sums/conv": np.full((1, 3), float(mean * count)), "counts": np.array([count])}


STATS = Question("stats", {}, {"tap": "bn_relu"})
SCHEMA = schema_of(statistics(1.0))


def test_a_rejected_client_is_not_asked_again_and_none_is_judged_alone():
    """Node 4 is far too loud; node 5 fails first, then is as loud: beside the others' earlier answers, both are out."""
    asked = []

    def replies(node, exchange):
        asked.append((node, exchange))
        if node == 5 and exchange == 1:
            return "It crashed."
        return statistics(30.0 if node >= 4 else 1.0), {}

    server, _ = server_of([Member(n, n, 20, 20) for n in range(6)], replies)
    taken = server.stats(STATS, SCHEMA, ("a",), Privacy())
    assert sorted(taken) == [0, 1, 2, 3]
    assert [node for node, exchange in asked if exchange == 2] == [5] and max(e for _, e in asked) == 2
    rejected = [e for e in server.journal.events if e.event == "rejected"]
    assert [e.client for e in rejected] == ["4", "5"]
    assert all("times the median" in e.reason for e in rejected)


def test_with_a_quorum_only_who_failed_is_asked_again_and_nobody_waits_for_the_silent():
    """Of six, 3 recovers, 4 never does, and 5 is connected but silent for every deadline."""
    asked = []

    def replies(node, exchange):
        asked.append((exchange, node))
        if node == 4 or (node == 3 and exchange == 1):
            return "It crashed."
        return None if node == 5 else (statistics(1.0), {})

    server, _ = server_of([Member(n, n, 20, 20) for n in range(6)], replies)
    assert sorted(server.stats(STATS, SCHEMA, ("a",), Privacy())) == [0, 1, 2, 3]
    assert asked == [*((1, n) for n in range(6)), (2, 3), (2, 4), (3, 4)]
    assert [e.client for e in server.journal.events if e.reason.startswith("No answer")] == ["5"]


def test_without_a_quorum_the_silent_are_asked_again():
    """Two of four must answer: only node 0 does at first, and node 3 never."""
    asked = []

    def replies(node, exchange):
        asked.append((exchange, node))
        return (statistics(1.0), {}) if node in {1: (0,), 2: (1, 2)}[exchange] else None

    server, _ = server_of([Member(n, n, 20, 20) for n in range(4)], replies)
    assert sorted(server.stats(STATS, SCHEMA, ("a",), Privacy())) == [0, 1, 2]
    assert asked == [*((1, n) for n in range(4)), *((2, n) for n in (1, 2, 3))]


def two_classes(sums):
    """Statistics of 20 images: one of class a, with these sums in each of three channels, and 19 of class b."""
    return {"sums/conv": np.array([[float(sums)] * 3, [19.0] * 3]), "counts": np.array([1, 19])}


@pytest.mark.parametrize("lie", [33.0, 150.0, 1e308])
@pytest.mark.parametrize("clients", [2, 10])
def test_two_that_lie_of_a_rare_class_are_rejected_whatever_the_median_says(lie, clients):
    """Over all of a client's images even 150 is within ten times the median; and of two clients there is none."""

    def replies(node, exchange):
        return two_classes(lie if node >= clients - 2 else 1.0), {}

    server, _ = server_of([Member(n, n, 20, 20) for n in range(clients)], replies)
    if clients == 2:
        with pytest.raises(UnlearnError, match=r"Too few clients \(stats\): 0 of 2"):
            server.stats(STATS, schema_of(two_classes(1.0)), ("a", "b"), Privacy())
    else:
        taken = server.stats(STATS, schema_of(two_classes(1.0)), ("a", "b"), Privacy())
        assert sorted(taken) == list(range(clients - 2))
    assert len(server.journal.exchanges) == 1
    assert [e.client for e in server.journal.events] == [str(clients - 2), str(clients - 1)]
    assert all("above 32 for each image" in e.reason for e in server.journal.events)


def test_a_fifth_that_lies_as_far_as_it_may_moves_a_mean_by_a_fifth_of_the_bound():
    def replies(node, exchange):
        return two_classes(MOST_MEAN if node >= 8 else 1.0), {}

    server, _ = server_of([Member(n, n, 20, 20) for n in range(10)], replies)
    parts = server.stats(STATS, schema_of(two_classes(1.0)), ("a", "b"), Privacy())
    whole = server.whole(parts)
    means = whole.sums["conv"] / whole.counts[:, None]
    assert means[0] == pytest.approx([0.8 * 1.0 + 0.2 * MOST_MEAN] * 3)
    assert means[1] == pytest.approx([1.0] * 3) and not server.journal.events


def test_noise_has_room_in_the_bound_and_no_more():
    """Epsilon 1 over three channels takes a sum of one image beyond 32, but not to a thousand."""
    privacy = Privacy(epsilon=1.0)

    def replies(node, exchange):
        return two_classes({0: 1.0, 1: 50.0, 2: -20.0, 3: 1000.0}[node]), {}

    server, _ = server_of([Member(n, n, 20, 20) for n in range(4)], replies, norm_bound=1e6)
    taken = server.stats(STATS, schema_of(two_classes(1.0)), ("a", "b"), privacy)
    assert sorted(taken) == [0, 1, 2] and [e.client for e in server.journal.events] == ["3"]


def test_a_dealt_part_registers_as_it_was_dealt(direct, sites_of, colours):
    sites = sites_of(colours, 3)

    def lie(answers, asked):
        own = {**answers[0].config, "own_data": True}
        more = {**answers[1].config, "images": 10**9, "train_images": 10**9}
        return [Answer(answers[0].node, {}, own), Answer(answers[1].node, {}, more), answers[2]]

    dealt = [(len(site.images), len(site.images)) for site in sites]
    server = Server(direct(sites, lie), Rules(clients=3, quorum=0.3), silent, dealt)
    server.register({"fingerprint": fingerprint(colours.classes, 16), "forget": []})
    assert [m.client for m in server.roster.members.values()] == [2]
    assert "this run dealt them" in server.journal.events[0].reason
    assert "it was dealt 40 and 40" in server.journal.events[1].reason


def test_a_clients_own_claim_counts_for_ten_times_the_median_at_most():
    members = [Member(n, n, 20, 10) for n in range(3)]
    members.append(Member(3, 3, 10**9, 10**9, own_data=True))

    def replies(node, exchange):
        return statistics(1.0, members[node].images), {}

    server, _ = server_of(members, replies, own_data=True)
    assert [server.roster.weight(n) for n in range(4)] == [10, 10, 10, 100]
    taken = server.stats(STATS, SCHEMA, ("a",), Privacy())
    assert [int(part.counts[0]) for part in taken.values()] == [20, 20, 20, 200]


@pytest.mark.parametrize(("answering", "known"), [(3, True), (1, False)])
def test_the_last_count_has_a_quorum(answering, known):
    def replies(node, exchange):
        return ({"tallies": np.array([[3, 8], [9, 12]])}, {}) if node < answering else None

    server, _ = server_of([Member(n, n, 20, 12) for n in range(4)], replies)
    tallies = server.tallies(Question("evaluate", {}, {}))
    assert (tallies is not None) == known
    if known:
        assert tallies.tolist() == [[9, 24], [27, 36]]
    assert len(server.journal.exchanges) == (1 if known else 3)


@pytest.mark.parametrize("held", [[[3, 12], [9, 8]], [[2**62, 2**62], [2**62, 2**62]], [[0, -2], [9, 22]]])
def test_a_count_of_other_images_than_registered_is_rejected(held):
    server, _ = server_of([Member(0, 0, 20, 12)], lambda node, exchange: ({"tallies": np.array(held)}, {}))
    assert server.tallies(Question("evaluate", {}, {})) is None
    assert len(server.journal.exchanges) == 1 and server.journal.events[0].event == "rejected"


def test_only_a_finite_loss_is_told_and_a_reason_is_short():
    claims = [float("nan"), "low", [1.0], 10**400, 0.25]
    members = [Member(n, n, 20, 12) for n in range(5)]
    server, told = server_of(
        members, lambda node, exchange: ({}, {"loss": claims[node], "images": "7" * 10_000})
    )
    with pytest.raises(UnlearnError):
        server.train(Question("train", {}, {"round": 1, "rounds": 1}))
    assert {p.metrics.get("loss") for p in told} == {None, 0.25}
    assert all(len(e.reason) <= 300 for e in server.journal.events)


def test_a_secure_sum_of_too_few_arrays_is_a_sentence():
    server, _ = server_of([Member(n, n, 20, 12) for n in range(3)], lambda node, exchange: None)
    total = SecureSum((np.ones((1, 3)),), (0, 1, 2), {}, {}, {}, unmasked=True)
    talk = server.conversation
    talk.transport = replace(talk.transport, secure_sum=lambda *_: total)
    with pytest.raises(UnlearnError, match=r"can't be true: Its arrays are others: missing \['counts'\]"):
        secure_stats(talk, STATS, SCHEMA, ("a",), Privacy())
