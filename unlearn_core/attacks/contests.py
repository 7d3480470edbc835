"""Which images does a model still treat as its own? Two groups to be told apart, and how far an attack gets on each model.

What tells whether a model has forgotten is an attack on the forget set against unseen images of the same kind: on a model
that was retrained without the forget set, both are unseen, and the attack can only guess.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from unlearn_core.attacks.answers import ModelAnswers
from unlearn_core.attacks.signals import Signal
from unlearn_core.attacks.threshold import Attack, attack, auc_difference
from unlearn_core.intervals import Interval
from unlearn_core.words import figure, percent, span


@dataclass(frozen=True)
class Contest:
    """Two groups of images that an attack is to tell apart.

    Attributes:
        name: Its key among `contests`.
        members: The part that the original model was trained on.
        others: The part that no model was trained on.
    """

    name: str
    members: str
    others: str


def contests(answers: ModelAnswers) -> dict[str, Contest]:
    """What can be told apart in a run: its forget set from unseen images of the same kind, and the retain set from the test set.

    Unseen images of the same kind are the test images of the forgotten classes; of a random share, all test images.
    Against other classes, any model that gives the class low confidence would look as if it had forgotten.
    """
    same = "test_forget" if len(answers["test_forget"]) else "test"
    pairs = (Contest("forget", "forget", same), Contest("retain", "retain", "test"))
    return {c.name: c for c in pairs if len(answers[c.members]) and len(answers[c.others])}


def attack_on(answers: ModelAnswers, contest: Contest, signal: Signal) -> Attack:
    """The attack that tells a contest's two groups apart by a signal of one model."""
    return attack(signal.of(answers[contest.members]), signal.of(answers[contest.others]))


@dataclass(frozen=True)
class Success:
    """How the attack fares on one model beside the retrained one.

    Attributes:
        auc: How often it is right.
        gap: By how much more often than on the retrained model; None where there is none, or this is it.
        noise: Whether it can't be told from the retrained model, or from guessing.
        attack: The attack itself.
    """

    auc: Interval
    gap: Interval | None
    noise: bool
    attack: Attack


def attack_success(
    models: Mapping[str, ModelAnswers], contest: Contest, signal: Signal, retrained: str = "retrain"
) -> dict[str, Success]:
    """How the attack fares on every model of a run, by the model's name."""
    attacks = {name: attack_on(answers, contest, signal) for name, answers in models.items()}
    return {
        name: _success(one, attacks.get(retrained) if name != retrained else None)
        for name, one in attacks.items()
    }


def _success(one: Attack, on_retrained: Attack | None) -> Success:
    auc = one.auc
    gap = auc_difference(one, on_retrained) if on_retrained else None
    # One retraining differs from the next by more than these intervals over images know: a trace has to show in both.
    return Success(auc, gap, 0.5 in auc or (gap is not None and 0.0 in gap), one)


def summary(by_model: Mapping[str, Success], members: str, others: str, retrained: bool = False) -> str:
    """The sentences that open the page: how well the attack fares after forgetting, beside retraining and beside before.

    Args:
        by_model: Of `before` and `after`, and of `retrain` where there is one; on the forget set.
        members: What the forget set is called: "a training image of “3”".
        others: What unseen images are called: "an unseen one".
        retrained: Whether this run's own method is retraining.
    """
    after, before = by_model["after"].auc, by_model["before"].auc
    right = f"in {percent(after.estimate, 0)} of cases ({_ends(after)}, 50 is guessing)"
    what = "retraining" if retrained else "forgetting"
    first = f"After {what}, an attack that is shown {members} and {others} tells which is which {right}; {_trace(by_model)}."
    was = f"Before it was {figure(before.estimate, 0)}"
    if 0.5 in before:
        return f"{first} {was}, no better than guessing: there was nothing for this attack to find."
    return f"{first} {was} ({_ends(before)})."


def _trace(by_model: Mapping[str, Success]) -> str:
    """What the attack on the model after forgetting amounts to."""
    after, reference = by_model["after"], by_model.get("retrain")
    if after.gap is None or reference is None:
        return "that is no better than guessing" if after.noise else _direction(after.auc.estimate - 0.5)
    beside = f"on the retrained model it is {figure(reference.auc.estimate, 0)}"
    return f"{beside}: {'no difference beyond noise' if after.noise else _direction(after.gap.estimate)}"


def _direction(gap: float) -> str:
    if gap > 0:
        return "the forget set has left a trace"
    return "the forget set looks less familiar than images that were never seen, which gives it away as well"


def _ends(auc: Interval) -> str:
    return f"95 % interval {span(auc.low, auc.high, 0)}"
