"""The published attacks against scikit-learn's own answers and plain counting."""

import numpy as np
import pytest
from sklearn.svm import SVC

from unlearn_core.attacks.mia import all_attacks, confidence_attack, efficacy, loss_attack, privacy


def confidences(n, shift, spread=3.0, seed=0):
    logits = np.random.default_rng(seed).normal(shift, spread, n)
    return 1 / (1 + np.exp(-logits))


def published(members, others):
    """The released attack, image by image."""
    x = np.concatenate([members, others]).reshape(-1, 1)
    y = np.concatenate([np.ones(len(members)), np.zeros(len(others))])
    return SVC(C=3, gamma="auto", kernel="rbf").fit(x, y)


SETS = {
    "trained well": (confidences(400, 5), confidences(300, 3, seed=1)),
    "hardly apart": (confidences(250, 3), confidences(250, 2.9, seed=1)),
    "one sided": (confidences(500, 8, 0.5), confidences(40, 1, seed=1)),
    "all sure": (np.ones(60), np.r_[np.ones(50), np.zeros(3)]),
    # Members in the middle and at the ends: the decision changes sign several times.
    "bands": (
        np.random.default_rng(0).uniform(0.4, 0.6, 300),
        np.r_[np.random.default_rng(1).uniform(0, 0.35, 150), np.random.default_rng(2).uniform(0.65, 1, 150)],
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_decides_as_scikit_learn_does(name):
    members, others = SETS[name]
    machine = published(members, others)
    asked = np.concatenate(
        [members, others, np.linspace(0, 1, 4001), confidences(2000, 0, 4, seed=5), [0.0, 1.0, 1 - 1e-9]]
    )
    attack = confidence_attack(members, others)
    assert np.array_equal(attack.members(asked), machine.predict(asked[:, None]) == 1)


def test_asks_the_machine_itself_only_near_its_threshold(monkeypatch):
    attack = confidence_attack(*SETS["trained well"])
    asked = []
    predict = attack.machine.predict
    monkeypatch.setattr(attack.machine, "predict", lambda x: asked.append(len(x)) or predict(x))
    attack.members(np.linspace(0, 1, 10_000))
    assert 0 < sum(asked) < 200


def test_efficacy_is_the_share_judged_never_seen():
    members, others = np.full(50, 0.95), np.full(50, 0.3)
    forget = np.array([0.95, 0.94, 0.31, 0.3, 0.29])
    assert efficacy(members, others, forget) == pytest.approx(3 / 5)
    machine = published(*SETS["trained well"])
    forget = confidences(333, 4, seed=9)
    assert efficacy(*SETS["trained well"], forget) == pytest.approx(
        1 - machine.predict(forget[:, None]).mean()
    )


def test_privacy_learns_from_halves_and_is_tried_on_the_rest():
    retain, test = confidences(700, 5), confidences(200, 3, seed=1)
    machine = published(retain[:100], test[:100])
    rest = [machine.predict(part[100:, None]).mean() for part in (retain, test)]
    assert privacy(retain, test) == pytest.approx((rest[0] + 1 - rest[1]) / 2)
    assert privacy(np.full(100, 0.99), np.full(100, 0.2)) == 1.0


def test_the_loss_attack_tells_what_differs_and_nothing_else():
    unseen = confidences(3000, 2, seed=1)
    assert loss_attack(np.full(200, 0.999), np.full(300, 0.2)) == 1.0
    assert loss_attack(confidences(3000, 2, seed=2), unseen) == pytest.approx(0.5, abs=0.03)
    # Two losses, one of them twice as often among the forgotten: the best threshold is right in two of three.
    two = loss_attack(np.repeat([0.9, 0.1], [2000, 1000]), np.repeat([0.9, 0.1], [1000, 2000]))
    assert two == pytest.approx(2 / 3, abs=0.02)
    assert loss_attack(np.zeros(20), np.ones(20)) == 1.0  # a confidence of zero has a finite loss here


def test_all_attacks_on_one_model():
    retain, forget, test = confidences(300, 5), confidences(60, 4, seed=2), confidences(100, 3, seed=1)
    values = all_attacks(retain, forget, test)
    assert values.efficacy == efficacy(retain[:100], test, forget)
    assert values.privacy == privacy(retain, test)
    assert (values.loss_attack, values.loss_attack_against) == (loss_attack(forget, test), "test")
    assert (values.members, values.non_members) == (100, 100)
    held_out = confidences(50, 0, seed=3)
    whole_class = all_attacks(retain, forget, test, held_out)
    assert whole_class.loss_attack == loss_attack(forget, held_out)
    assert whole_class.loss_attack_against == "test_forget"
    few = all_attacks(retain, forget[:3], test[:4])
    assert few.loss_attack is None and few.privacy is None and 0 <= few.efficacy <= 1
