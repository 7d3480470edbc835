"""The membership attacks that papers report, one number each: MIA efficacy, MIA privacy and the loss attack.

Confidence is the softmax probability of an image's true class; every array of confidences is (N,), in [0, 1], in the order
of `attack_order`.

Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934 (efficacy and privacy);
the starter kit of the NeurIPS 2023 machine unlearning challenge (the attack on losses).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.results.evaluation import MembershipAttacks

Confidences = NDArray[np.float64]

_CELLS = 1000
_SMALLEST = 1e-300  # the logarithm of a confidence of zero would be infinite


@dataclass(frozen=True)
class ConfidenceAttack:
    """The published attack: a support vector machine on one number, the confidence.

    Its decision is a smooth curve over [0, 1], read off a table; where the table can't be sure of the sign, the machine
    itself is asked. So the answers are the machine's own, without one kernel sum an image.

    Attributes:
        machine: Scikit-learn's SVC; members are class 1.
        edges: Confidences of the table, ascending.
        values: The decision function there; members are above 0.
        doubt: How far the curve may lie from the table between two edges.
    """

    machine: Any
    edges: Confidences
    values: Confidences
    doubt: float

    def members(self, confidence: Confidences) -> NDArray[np.bool_]:
        """Which images are judged to have been trained on, (N,)."""
        confidence = np.asarray(confidence, dtype=np.float64)
        cell = np.clip(np.searchsorted(self.edges, confidence, side="right") - 1, 0, len(self.edges) - 2)
        low, high = self.values[cell], self.values[cell + 1]
        sure = (low * high > 0) & (np.minimum(abs(low), abs(high)) > self.doubt)
        judged = low > 0
        if not sure.all():
            judged[~sure] = self.machine.predict(confidence[~sure, None]) == 1
        return judged


def confidence_attack(members: Confidences, others: Confidences) -> ConfidenceAttack:
    """The attack trained on confidences of members and of non-members, with the published settings."""
    # Takes a second to import, and pages that only draw thresholds don't need it.
    from sklearn.svm import SVC

    x = np.concatenate([members, others])[:, None]
    y = np.concatenate([np.ones(len(members)), np.zeros(len(others))])
    machine = SVC(C=3, gamma="auto", kernel="rbf").fit(x, y)
    edges = np.linspace(0.0, 1.0, _CELLS + 1)
    values = machine.decision_function(edges[:, None])
    # Between two points of a grid a smooth curve strays from the chord by an eighth of its second difference.
    return ConfidenceAttack(machine, edges, values, float(abs(np.diff(values, 2)).max()))


def efficacy(members: Confidences, others: Confidences, forget: Confidences) -> float:
    """MIA efficacy: the share of the forget set that is judged not to have been trained on.

    Args:
        members: The first as many retained training images as there are test images.
        others: The test images.
        forget: The forget set.
    """
    return 1 - float(confidence_attack(members, others).members(forget).mean())


def privacy(retain: Confidences, test: Confidences) -> float:
    """MIA privacy: balanced accuracy of the same attack on retained against test images; 0.5 tells nothing.

    As in the authors' code, it learns from the first |test| / 2 of each and is tried on all the rest.
    """
    half = min(len(test) // 2, len(retain) // 2)
    attack = confidence_attack(retain[:half], test[:half])
    right = attack.members(retain[half:]).mean(), 1 - attack.members(test[half:]).mean()
    return float(sum(right) / 2)


def loss_attack(forget: Confidences, unseen: Confidences, seed: int = 0) -> float:
    """Accuracy of telling the forget set from unseen images by their loss; 0.5 is ideal.

    As in the starter kit: as many of each, logistic regression, the mean of ten stratified random splits.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedShuffleSplit, cross_val_score

    count = min(len(forget), len(unseen))
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(part, count, replace=False) for part in (unseen, forget)]
    losses = -np.log(np.maximum(np.concatenate(drawn), _SMALLEST))[:, None]
    labels = np.repeat([0, 1], count)
    splits = StratifiedShuffleSplit(n_splits=10, random_state=seed)
    return float(cross_val_score(LogisticRegression(), losses, labels, cv=splits, scoring="accuracy").mean())


def all_attacks(
    retain: Confidences, forget: Confidences, test: Confidences, held_out: Confidences | None = None
) -> MembershipAttacks:
    """All attacks on one model.

    Args:
        retain: Retained training images.
        forget: The forget set.
        test: Test images (of the retained classes).
        held_out: Test images of the forgotten classes: what the loss attack compares with where there are any. Against
            other classes, any model that gives the class low confidence would look as if it had forgotten.
    """
    members = retain[: len(test)]
    unseen, against = (held_out, "test_forget") if held_out is not None and len(held_out) else (test, "test")
    return MembershipAttacks(
        efficacy=efficacy(members, test, forget) if len(members) and len(test) and len(forget) else None,
        privacy=privacy(retain, test) if min(len(retain), len(test)) >= _FEWEST else None,
        loss_attack=loss_attack(forget, unseen) if min(len(forget), len(unseen)) >= _FEWEST else None,
        loss_attack_against=against,
        members=len(members),
        non_members=len(test),
    )


_FEWEST = 10  # below, ten splits with a tenth held out have nothing to hold out
