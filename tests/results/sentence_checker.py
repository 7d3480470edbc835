"""A checker of sentences, written from their words: it parses what they claim and counts again in a way of its own."""

import math
import re
from collections.abc import Callable
from statistics import NormalDist

from unlearn_core.results.result import Forgetting

Count = tuple[int, int]


def interval(one: Count, two: Count, level: float = 0.95) -> tuple[float, float]:
    """Newcombe's interval of the second share less the first, from the roots of the score equation."""
    if not one[1] or not two[1]:
        return -1.0, 1.0
    ends = []
    for right, total in (one, two):
        z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
        p = right / total
        # Roots of (n + z2) x^2 - (2 n p + z2) x + n p^2 = 0.
        a, b, c = total + z2, -(2 * total * p + z2), total * p * p
        root = math.sqrt(max(0.0, b * b - 4 * a * c))
        ends.append((p, max(0.0, (-b - root) / (2 * a)), min(1.0, (-b + root) / (2 * a))))
    (p, low, high), (q, low2, high2) = ends
    return q - p - math.hypot(q - low2, high - p), q - p + math.hypot(high2 - q, p - low)


def apart(one: Count, two: Count, level: float = 0.95) -> bool:
    low, high = interval(one, two, level)
    return low > 1e-12 or high < -1e-12


def test_images(evaluation, forgotten: bool) -> Count:
    picked = [k for k in range(len(evaluation.classes)) if (k in evaluation.forget_classes) == forgotten]
    rows = evaluation.confusion
    return sum(rows[k][k] for k in picked), sum(sum(rows[k]) for k in picked)


test_images.__test__ = False


def train_images(evaluation) -> Count:
    return tuple(evaluation.forget_train or (0, 0))


def share(count: Count) -> float:
    return count[0] / count[1] if count[1] else math.nan


def shows(text: str, value: float) -> bool:
    """Whether a number in a sentence is this share."""
    return abs(float(text) - 100 * value) <= 0.0500001


def forgotten(evaluation) -> bool:
    parts = [c for c in (test_images(evaluation, True), train_images(evaluation)) if c[1]]
    return bool(parts) and max(map(share, parts)) <= 0.05


def no_worse(result: Forgetting) -> bool:
    if "retrain" not in result.controls:
        return True
    other = result.controls["retrain"].evaluation
    pairs = (
        (test_images(result.after, True), test_images(other, True)),
        (train_images(result.after), train_images(other)),
    )
    return not any(share(a) > share(b) and apart(a, b) for a, b in pairs)


def _left(sentence: str, ours: Count, theirs: Count) -> bool:
    match = re.search(r"\(([\d.]+) % left against ([\d.]+) %\)", sentence)
    return bool(match) and shows(match[1], share(theirs)) and shows(match[2], share(ours))


def _sight(sentence: str, tally: Count, step: int) -> bool:
    """The smallest difference that is named shows; one image less doesn't."""
    if "no difference at all" in sentence:
        most = tally[1] if step > 0 else 0
        return not apart(tally, (most, tally[1]))
    match = re.search(r"([\d,]+) images? can show differences from ([\d.]+) points on", sentence)
    if not match or int(match[1].replace(",", "")) != tally[1]:
        return False
    around = float(match[2]) / 100 * tally[1]
    # A figure of one decimal may stand for several images of many.
    moved = [m for m in range(tally[1] + 1) if shows(match[2], m / tally[1])] or [round(around)]
    return apart(tally, (tally[0] + step * moved[-1], tally[1])) and not apart(
        tally, (tally[0] + step * (moved[0] - 1), tally[1])
    )


def check(result: Forgetting, sentence: str) -> bool:
    """Whether a sentence on a result is true; False too where it is none of those that are known."""
    for pattern, rule in RULES.items():
        match = re.search(pattern, sentence)
        if match:
            return bool(rule(result, sentence))
    return False


def _still(result: Forgetting, sentence: str) -> bool:
    figures = re.findall(
        r"([\d.]+) % of [\d,]+ (test|training) image", sentence.split("; after retraining", maxsplit=1)[0]
    )
    own = {"test": test_images(result.after, True), "training": train_images(result.after)}
    return bool(figures) and all(shows(number, share(own[which])) for number, which in figures)


def _gone(result: Forgetting, sentence: str) -> bool:
    return _still(result, sentence) and forgotten(result.after) and no_worse(result)


def _not_forgotten(result: Forgetting, sentence: str) -> bool:
    return _still(result, sentence) and not forgotten(result.after)


def _less_gone(result: Forgetting, sentence: str) -> bool:
    return _still(result, sentence) and not no_worse(result)


def _came_back(result: Forgetting, sentence: str) -> bool:
    low, rung, end = re.search(r"from ([\d.]+) % at “(.*?)” to ([\d.]+) %", sentence).groups()
    course = {r.rung: r.forget_test_accuracy for r in result.ladder}
    total = test_images(result.before, True)[1]
    ends = [(round(v * total), total) for v in (course[rung], result.ladder[-1].forget_test_accuracy)]
    return (
        share(ends[0]) <= 0.05 < share(ends[1])
        and apart(*ends)
        and shows(low, share(ends[0]))
        and shows(end, share(ends[1]))
    )


def _beside(control: str, rule: Callable[..., bool]) -> Callable[[Forgetting, str], bool]:
    def checked(result: Forgetting, sentence: str) -> bool:
        other = result.controls[control].evaluation
        ours, theirs = test_images(result.after, True), test_images(other, True)
        return _left(sentence, ours, theirs) and rule(result, other, ours, theirs, sentence)

    return checked


def _within(ours: Count, theirs: Count, margin: float) -> bool:
    low, high = interval(ours, theirs)
    return low >= -margin and high <= margin


def cost_is_true(result: Forgetting, sentence: str) -> bool:
    """Whether what a headline says of the classes that were to stay is true, tested with Bonferroni's level."""
    kept = [k for k in range(len(result.after.classes)) if k not in result.after.forget_classes]
    counts = {
        k: [(e.confusion[k][k], sum(e.confusion[k])) for e in (result.before, result.after)] for k in kept
    }
    moved = [k for k in kept if apart(*counts[k], level=1 - 0.05 / len(kept))]
    rest = [k for k in kept if k not in moved]
    pooled = [tuple(sum(counts[k][side][i] for k in rest) for i in (0, 1)) for side in (0, 1)]
    claims = {
        r"all (other )?classes within noise": not moved and not apart(*pooled),
        r"others within noise": bool(moved and rest) and not apart(*pooled),
        r"together [+−]": bool(rest) and apart(*pooled),
        r"no other class is left": not rest,
        r"\(outside noise\),|by more than noise": bool(moved) or "together" in sentence,
    }
    said = [truth for pattern, truth in claims.items() if re.search(pattern, sentence)]
    return bool(said) and all(said)


def _retain(result: Forgetting, sentence: str, verb: str) -> bool:  # noqa: PLR0911
    other = result.controls["retrain"]
    ours, theirs = test_images(result.after, False), test_images(other.evaluation, False)
    low, high = interval(ours, theirs)
    speed = re.search(r"It took ([\d.]+) s against ([\d.]+) s \(([\d.]+) times as (fast|slow)\)", sentence)
    if speed:
        ratio = other.seconds / result.seconds
        told = float(speed[3])
        if other.stored or abs((ratio if speed[4] == "fast" else 1 / ratio) - told) > 0.0501:
            return False
        if (ratio < 1) == (speed[4] == "fast"):
            return False
    if "under-trained" in sentence and not _short(result):
        return False
    if "under-trained" not in sentence and _short(result):
        return False
    if verb == "good":
        return low >= -0.05 and high <= 0.05
    if verb == "unknown":
        return not apart(ours, theirs) and _sight(sentence, theirs, -1)
    number, way = re.search(r"([\d.]+) points (below|above)", sentence).groups()
    right = share(ours) < share(theirs) if way == "below" else share(ours) > share(theirs)
    return apart(ours, theirs) and right and shows(number, abs(share(ours) - share(theirs)))


def _short(result: Forgetting) -> bool:
    before, other = result.before.retain_train, result.controls["retrain"].evaluation.retain_train
    if not before or not other or not before[1] or not other[1]:
        return False
    return share(before) - share(other) > 0.01 and apart(tuple(before), tuple(other))


def _few(result: Forgetting, sentence: str) -> bool:
    of_class = bool(result.before.forget_classes)
    return _sight(sentence, test_images(result.before, True) if of_class else train_images(result.before), -1)


def _mask(result: Forgetting, sentence: str) -> bool:
    ours, theirs = (
        test_images(result.after, True),
        test_images(result.controls["mask_logit"].evaluation, True),
    )
    number = re.search(r"reaches ([\d.]+) %", sentence)[1]
    return max(share(ours), share(theirs)) <= 0.05 and shows(number, share(theirs))


RULES = {
    r"^The class is gone: ": _gone,
    r"not forgotten: ": _not_forgotten,
    r"(?i)not as gone as after retraining: ": _less_gone,
    r"^No image of the class was tested": lambda r, s: (
        not test_images(r.after, True)[1] + train_images(r.after)[1]
    ),
    r"^The forgotten class came back": _came_back,
    r"came back: ": _not_forgotten,
    r"^There are few ": _few,
    r"^Random channels .* leave more": _beside(
        "random_prune", lambda r, e, a, b, s: apart(a, b) and share(b) > share(a)
    ),
    r"^Random channels .* leave less": _beside(
        "random_prune", lambda r, e, a, b, s: apart(a, b) and share(b) < share(a)
    ),
    r"^Random channels .* do as well, to within 10": _beside(
        "random_prune", lambda r, e, a, b, s: _within(a, b, 0.1)
    ),
    r"^No difference to random channels": _beside(
        "random_prune", lambda r, e, a, b, s: not apart(a, b) and _sight(s, a, 1)
    ),
    r"^Fine-tuning alone forgets as well, to within 10": _beside(
        "fine_tune",
        lambda r, e, a, b, s: _within(a, b, 0.1) and forgotten(r.after) and no_worse(r) and forgotten(e),
    ),
    r"what made it forget": _beside(
        "fine_tune",
        lambda r, e, a, b, s: (
            forgotten(r.after) and no_worse(r) and not forgotten(e) and apart(a, b) and share(b) > share(a)
        ),
    ),
    r"^Fine-tuning alone doesn't forget the class either": _beside(
        "fine_tune", lambda r, e, a, b, s: not forgotten(r.after) and not forgotten(e)
    ),
    r"^Fine-tuning alone leaves less": _beside(
        "fine_tune", lambda r, e, a, b, s: apart(a, b) and share(b) < share(a)
    ),
    r"^Fine-tuning alone leaves more": _beside(
        "fine_tune", lambda r, e, a, b, s: apart(a, b) and share(b) > share(a)
    ),
    r"^No difference to fine-tuning alone": _beside(
        "fine_tune", lambda r, e, a, b, s: not apart(a, b) and _sight(s, a, 1)
    ),
    r"^Masking the logit": _mask,
    r"^The retrained reference is under-trained": lambda r, s: _short(r),
    r"^There is no retrained reference": lambda r, s: "retrain" not in r.controls,
    r"^On .* it is as good as ": lambda r, s: _retain(r, s, "good"),
    r"^On .* it is not shown to differ": lambda r, s: _retain(r, s, "unknown"),
    r"^On .* points (below|above) ": lambda r, s: _retain(r, s, "apart"),
}
