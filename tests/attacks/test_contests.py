"""Which groups an attack is to tell apart, how far it gets on each model, and the sentences that open the page."""

import numpy as np

from unlearn_core.attacks.answers import PARTS, part_answers
from unlearn_core.attacks.contests import attack_on, attack_success, contests, summary
from unlearn_core.attacks.signals import SIGNALS
from unlearn_core.attacks.threshold import attack


def test_a_class_is_told_apart_from_its_own_unseen_images_a_share_from_the_test_set(predictions) -> None:
    some, none = part_answers(predictions(9)), part_answers(predictions(0))
    by_class = contests(dict.fromkeys(PARTS, some))
    assert (by_class["forget"].members, by_class["forget"].others) == ("forget", "test_forget")
    by_share = contests({**dict.fromkeys(PARTS, some), "test_forget": none})
    assert (by_share["forget"].others, by_share["retain"].others) == ("test", "test")
    assert set(contests({**dict.fromkeys(PARTS, some), "test_forget": none, "forget": none})) == {"retain"}


def sentence(**models):
    contest = contests(models["after"])["forget"]
    by_model = attack_success(models, contest, SIGNALS["confidence"])
    return by_model, summary(by_model, "a training image of “3”", "an unseen one")


def normal(n, shift, seed):
    return np.random.default_rng(seed).normal(shift, 1, n)


def test_the_summary_says_that_a_trace_is_left_only_where_retraining_leaves_none(model) -> None:
    unseen = normal(300, 0, 1)
    known, blind = model(normal(300, 2, 0), unseen), model(normal(300, 0, 2), unseen)
    found, told = sentence(before=known, after=blind, retrain=model(normal(300, 0, 3), normal(300, 0, 4)))
    right = round(100 * found["after"].auc.estimate)
    assert found["after"].noise and not found["before"].noise
    assert f"tells which is which in {right} % of cases" in told
    assert "no difference beyond noise" in told
    assert f"Before it was {round(100 * found['before'].auc.estimate)} (95 % interval" in told
    found, told = sentence(before=known, after=known, retrain=blind)
    assert not found["after"].noise and "has left a trace" in told
    assert found["after"].gap is not None and found["after"].gap.low > 0.2


def test_the_summary_says_when_there_was_nothing_to_find_and_when_it_was_overdone(model) -> None:
    unseen = normal(300, 0, 1)
    blind, shy = model(normal(300, 0, 2), unseen), model(normal(300, -2, 0), unseen)
    assert "there was nothing for this attack to find" in sentence(before=blind, after=blind)[1]
    assert "that is no better than guessing" in sentence(before=blind, after=blind)[1]
    assert "less familiar than images that were never seen" in sentence(before=blind, after=shy)[1]


def test_one_retraining_that_strays_makes_no_trace(model) -> None:
    """After lies at guessing; only the retrained model happens to lie below it."""
    unseen = normal(400, 0, 1)
    after, strayed = model(normal(400, 0, 2), unseen), model(normal(400, -0.6, 2), unseen)
    found, told = sentence(before=after, after=after, retrain=strayed)
    assert found["after"].gap is not None and 0.0 not in found["after"].gap
    assert found["after"].noise and "no difference beyond noise" in told


def test_an_attack_takes_the_two_groups(model) -> None:
    answers = model([1.0, 2.0], [0.5])
    contest = contests(answers)["forget"]
    found = attack_on(answers, contest, SIGNALS["confidence"])
    assert found.largest == attack(np.array([1.0, 2.0]), np.array([0.5])).largest == 1.0
