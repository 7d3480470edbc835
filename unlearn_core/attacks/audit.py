"""Which images does a model still treat as its own? Its answers image by image, and what attacks on them say.

What tells whether a model has forgotten is an attack on the forget set against unseen images of the same kind: on a model
that was retrained without the forget set, both are unseen, and the attack can only guess.

Paper: Song and Mittal, "Systematic Evaluation of Privacy Risks of Machine Learning Models", USENIX Security 2021 (modified
entropy); Carlini et al., "Membership Inference Attacks From First Principles", S&P 2022, arXiv 2112.03570 (the logit of the
confidence as a score).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.attacks.membership import attack_order, modified_entropy
from unlearn_core.attacks.threshold import Attack, attack, auc_difference
from unlearn_core.errors import UnlearnError
from unlearn_core.intervals import Interval
from unlearn_core.results.evaluation import Predictions

Scores = NDArray[np.float64]

PARTS = ("forget", "test_forget", "retain", "test")
MOST_RETAINED = 10_000
_SMALLEST = 1e-38  # below, float32 has no numbers of full precision


@dataclass(frozen=True, eq=False)
class PartAnswers:
    """A model's answers on one part of a split.

    Attributes:
        indices: Positions of the images in the source's training or test order, (N,).
        labels: True classes, (N,).
        predicted: Answered classes, (N,).
        margin: ln p_y - ln(1 - p_y) with the probability p_y of the true class, (N,): the confidence, told apart near 1 too.
        entropy: Modified entropy, natural log, (N,).
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    margin: Scores
    entropy: Scores

    def __len__(self) -> int:
        return len(self.labels)


Answered = Mapping[str, PartAnswers]


def answered(predictions: Predictions) -> PartAnswers:
    """What is kept of a model's answers; they must hold the probabilities of every class."""
    if not len(predictions.labels):
        none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        return PartAnswers(none, none, none, nothing, nothing)
    if predictions.chances is None:
        raise ValueError("these predictions hold no probabilities")
    chances = predictions.chances.astype(np.float64)
    rows = np.arange(len(chances))
    own = chances[rows, predictions.labels]
    # The sum of the others tells more than 1 - own: it is exact where own is rounded to 1.
    others = np.where(np.arange(chances.shape[1]) == predictions.labels[:, None], 0.0, chances).sum(axis=1)
    margin = np.log(np.maximum(own, _SMALLEST)) - np.log(np.maximum(others, _SMALLEST))
    entropy = modified_entropy(chances, predictions.labels)
    return PartAnswers(predictions.indices, predictions.labels, predictions.predicted, margin, entropy)


def arrays_of(parts: Mapping[str, Predictions]) -> dict[str, NDArray[Any]]:
    """The answers as plain arrays for a file; of the retain set the first 10,000 in the order of the attacks."""
    arrays: dict[str, NDArray[Any]] = {}
    for name in PARTS:
        kept = vars(answered(parts[name]))
        chosen = attack_order(kept["labels"])[:MOST_RETAINED] if name == "retain" else slice(None)
        for field, values in kept.items():
            small = np.float32 if values.dtype.kind == "f" else np.int32
            arrays[f"{name}.{field}"] = values[chosen].astype(small)
    return arrays


def load_answers(path: Path) -> dict[str, PartAnswers]:
    """What `arrays_of` gave, by part.

    Raises:
        UnlearnError: The file isn't one of these.
    """
    fields = {"indices": np.int64, "labels": np.int64, "predicted": np.int64}
    names = (*fields, "margin", "entropy")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {
                part: PartAnswers(
                    *(stored[f"{part}.{name}"].astype(fields.get(name, np.float64)) for name in names)
                )
                for part in PARTS
            }
    except (OSError, ValueError, KeyError) as error:
        raise UnlearnError(
            f"{path.name} of this run can't be read ({error}); start the run again."
        ) from error


@dataclass(frozen=True)
class Score:
    """What an attack looks at; every score is higher for images that the model seems to know.

    Attributes:
        name: Its key in `SCORES`.
        label: What a page calls it.
        about: One sentence.
        of: The score of each image, (N,), finite.
        told: A score as people read it.
        tick: As `told`, roughly.
        ticks: Scores that an axis names.
        limits: Beyond, a chart shows all scores at its edge.
    """

    name: str
    label: str
    about: str
    of: Callable[[PartAnswers], Scores]
    told: Callable[[float], str]
    tick: Callable[[float], str]
    ticks: tuple[float, ...]
    limits: tuple[float, float]


def share_told(margin: float, more: int = 1) -> str:
    """A margin as the confidence in per cent, with as many digits as tell it from 0 and from 100."""
    rest = 1 / (1 + math.exp(min(abs(margin), 700.0)))
    digits = max(0, math.ceil(-math.log10(max(rest, 1e-300)) - 2 - 1e-9)) + more
    return f"{100 * (1 - rest if margin > 0 else rest):.{min(digits, 12)}f} %"


def _margin(share: float) -> float:
    return math.log(share / (1 - share))


_NINES = (1e-6, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 1 - 1e-4, 1 - 1e-6)
_ALL = (
    Score(
        "confidence",
        "Confidence",
        "Probability that the model gives to the true class; models are surer of images that they were trained on.",
        lambda part: part.margin,
        lambda margin: share_told(margin, 2),
        lambda margin: share_told(margin, 0),
        tuple(_margin(share) for share in _NINES),
        (-16.0, 16.0),
    ),
    Score(
        "entropy",
        "Modified entropy",
        "Entropy of the whole answer that knows the true class: near 0 for a sure right answer, large for a sure wrong one.",
        lambda part: -np.log10(np.maximum(part.entropy, _SMALLEST)),
        lambda score: f"{10**-score:.3g}",
        lambda score: f"{10**-score:.1g}",
        tuple(float(power) for power in range(-2, 15, 2)),
        (-2.5, 14.0),
    ),
    Score(
        "loss",
        "Loss",
        "Cross-entropy of the true class. It orders images as the confidence does, so that both attacks decide alike.",
        lambda part: -np.log10(np.maximum(np.logaddexp(0.0, -part.margin), _SMALLEST)),
        lambda score: f"{10**-score:.3g}",
        lambda score: f"{10**-score:.1g}",
        tuple(float(power) for power in range(-2, 9)),
        (-1.5, 8.0),
    ),
)
SCORES: Mapping[str, Score] = {score.name: score for score in _ALL}


@dataclass(frozen=True)
class Contest:
    """Two groups of images that an attack is to tell apart.

    Attributes:
        name: Its key in `CONTESTS`.
        members: The part that the original model was trained on.
        others: The part that no model was trained on.
    """

    name: str
    members: str
    others: str


def contests(answers: Answered) -> dict[str, Contest]:
    """What can be told apart in a run: its forget set from unseen images of the same kind, and the retain set from the test set.

    Unseen images of the same kind are the test images of the forgotten classes; of a random share, all test images.
    Against other classes, any model that gives the class low confidence would look as if it had forgotten.
    """
    same = "test_forget" if len(answers["test_forget"]) else "test"
    pairs = (Contest("forget", "forget", same), Contest("retain", "retain", "test"))
    return {c.name: c for c in pairs if len(answers[c.members]) and len(answers[c.others])}


def staged(answers: Answered, contest: Contest, score: Score) -> Attack:
    """The attack on one model's answers."""
    return attack(score.of(answers[contest.members]), score.of(answers[contest.others]))


def span(parts: Sequence[Answered], score: Score) -> tuple[float, float]:
    """The range of scores that a chart shows of several models: nearly all of theirs, within the score's limits."""
    values = np.concatenate([score.of(part) for answers in parts for part in answers.values() if len(part)])
    low, high = np.clip(np.quantile(values, (0.002, 0.998)), *score.limits)
    return math.floor(low), max(math.ceil(high), math.floor(low) + 1)


@dataclass(frozen=True)
class Standing:
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


def standings(
    models: Mapping[str, Answered], contest: Contest, score: Score, retrained: str = "retrain"
) -> dict[str, Standing]:
    """The attack on every model of a run, by the model's name."""
    attacks = {name: staged(answers, contest, score) for name, answers in models.items()}
    found = {}
    for name, each in attacks.items():
        auc = each.auc
        compared = retrained in attacks and name != retrained
        gap = auc_difference(each, attacks[retrained]) if compared else None
        # One retraining differs from the next by more than these intervals over images know: a trace has to show in both.
        noise = 0.5 in auc or (gap is not None and 0.0 in gap)
        found[name] = Standing(auc, gap, noise, each)
    return found


def finding(found: Mapping[str, Standing], members: str, others: str, retrained: bool = False) -> str:
    """The sentences that open the page: how well the attack fares after forgetting, beside retraining and beside before.

    Args:
        found: Of `before` and `after`, and of `retrain` where there is one; on the forget set.
        members: What the forget set is called: "a training image of “3”".
        others: What unseen images are called: "an unseen one".
        retrained: Whether this run's own method is retraining.
    """
    after, before = found["after"], found["before"]
    right = f"in {_cent(after.auc.estimate)} % of cases ({_interval(after.auc)}, 50 is guessing)"
    done = "retraining" if retrained else "forgetting"
    first = f"After {done}, an attack that is shown {members} and {others} tells which is which {right}; {_judged(found)}."
    if 0.5 in before.auc:
        was = f"Before it was {_cent(before.auc.estimate)}, no better than guessing: there was nothing for this attack to find."
    else:
        was = f"Before it was {_cent(before.auc.estimate)} ({_interval(before.auc)})."
    return f"{first} {was}"


def _judged(found: Mapping[str, Standing]) -> str:
    after, reference = found["after"], found.get("retrain")
    if after.gap is None or reference is None:
        return "that is no better than guessing" if after.noise else _way(after.auc.estimate - 0.5)
    told = f"on the retrained model it is {_cent(reference.auc.estimate)}"
    return f"{told}: no difference beyond noise" if after.noise else f"{told}: {_way(after.gap.estimate)}"


def _way(gap: float) -> str:
    if gap > 0:
        return "the forget set has left a trace"
    return "the forget set looks less familiar than images that were never seen, which gives it away as well"


def _cent(share: float) -> str:
    return f"{100 * share:.0f}"


def _interval(right: Interval) -> str:
    return f"95 % interval {_cent(right.low)} to {_cent(right.high)}"
