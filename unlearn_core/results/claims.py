"""Claims on a result: each is a sentence that is given only where what its words say is true of the numbers.

A difference is "outside noise" where its 95 % interval doesn't hold zero. Where it holds zero, no difference is shown, which
is not equality: two are called alike "to within so many points" only where the whole interval lies within them. How small a
difference so many images can show is said beside it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from unlearn_core.intervals import LEVEL, Tally, newcombe, wilson, within_noise
from unlearn_core.params import settings_of
from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.result import Control, Forgetting
from unlearn_core.unlearning.registry import METHODS, REFERENCE
from unlearn_core.words import counted, figure, listed, percent, quoted, seconds, span

FORGOTTEN = 0.05
"""A class counts as forgotten where no more than this share of its images is still recognised."""
ALIKE, CLOSE = 0.10, 0.05  # how near two shares must be to be called alike: of forgotten, of retained images
_COARSE = 0.20  # a difference that can't be seen below this is worth a warning
_SLACK = 0.01  # by how much a reference may fall short of the model before it counts as under-trained
_NO_TARGET = (
    "A random share was forgotten: a model that never saw these images still recognises most of them, so UA's target is "
    "not 100 % but what retraining gives. There is no retrained reference here; tick “Retrain” to have one trained beside it."
)


@dataclass(frozen=True)
class Verdict:
    """One sentence on a result.

    Attributes:
        tone: `good`, `bad` or `note`.
        text: Plain text; names in it are as people gave them.
    """

    tone: str
    text: str


Claim = Callable[[Forgetting], Verdict | None]


def reference_of(result: Forgetting) -> Control | None:
    """The retrained model beside a result; None where there is none."""
    return result.controls.get(REFERENCE)


def smallest_difference(tally: Tally, step: int, level: float = LEVEL) -> float | None:
    """The least share by which as many images must do better or worse for it to be outside noise; None where none is.

    Args:
        tally: The one that is compared with.
        step: 1 for better, -1 for worse.
        level: Of the interval.
    """
    most = tally.total - tally.correct if step > 0 else tally.correct
    moved = range(1, most + 1)
    place = bisect_left(
        moved,
        True,
        key=lambda n: 0.0 not in newcombe(tally, Tally(tally.correct + step * n, tally.total), level),
    )
    return moved[place] / tally.total if place < most else None


def sight(tally: Tally, step: int = 1) -> str:
    """What so many images can show, to follow "on 8 images": a clause."""
    least = smallest_difference(tally, step)
    if least is None:
        return f"{counted(tally.total, 'image')} can show no difference at all"
    return f"{counted(tally.total, 'image')} can show differences from {figure(least)} points on"


def alike(one: Tally, two: Tally, margin: float) -> bool:
    """Whether two shares are shown to be the same to within a margin: the whole interval of their difference lies in it."""
    interval = newcombe(one, two)
    return -margin <= interval.low and interval.high <= margin


def forgot(evaluation: Evaluation) -> bool:
    """Whether no more than `FORGOTTEN` of the forgotten classes is recognised, of test and of training images."""
    tallies = _tested(evaluation)
    return bool(tallies) and all(t.share <= FORGOTTEN for t in tallies)


def above_reference(result: Forgetting) -> bool:
    """Whether more of the forgotten images is recognised than after retraining, outside noise, of test or training ones."""
    reference = reference_of(result)
    if reference is None:
        return False
    return any(_above(*pair) for pair in _pairs(result.after, reference.evaluation))


def gone(result: Forgetting) -> bool:
    """Whether a class is forgotten, on test and training images, and no worse than by retraining, where there is one."""
    return forgot(result.after) and not above_reference(result)


def is_gone(result: Forgetting) -> Verdict:
    """Whether the class is gone: of its test images, of its training images, and beside retraining."""
    figures = _still_recognised(result.after)
    if not _tested(result.after):
        return Verdict("note", "No image of the class was tested, so it can't be said whether it is gone.")
    if not forgot(result.after):
        return Verdict("bad", f"The class is not forgotten: {figures}.")
    if above_reference(result):
        reference = reference_of(result)
        assert reference is not None
        theirs = _still_recognised(reference.evaluation, intervals=False)
        return Verdict("bad", f"Not as gone as after retraining: {figures}; after retraining {theirs}.")
    return Verdict("good", f"The class is gone: {figures}.")


def few_images(result: Forgetting) -> Verdict | None:
    """That so few images can hardly tell anything."""
    of_classes = bool(result.after.forget_classes)
    tally = result.before.group_tally(forgotten=True) if of_classes else result.before.forget_tally
    least = smallest_difference(tally, -1)
    if not tally.total or (least is not None and least < _COARSE):
        return None
    which = "test images of what is forgotten" if of_classes else "images to forget"
    return Verdict("note", f"There are few {which}: {sight(tally, -1)}.")


def come_back(result: Forgetting) -> tuple[float, float, str] | None:
    """Forget accuracy at its lowest, at the end, and the lowest rung; None unless it was gone, is not, and not by noise."""
    rungs = [
        (r.rung, r.forget_test_accuracy)
        for r in result.ladder
        if r.rung != "original" and r.forget_test_accuracy is not None
    ]
    if not rungs:
        return None
    total = result.before.group_tally(forgotten=True).total
    (rung, lowest), (_, last) = min(rungs, key=lambda r: r[1]), rungs[-1]
    low, end = (Tally.nearest(share, total) for share in (lowest, last))
    if not low.share <= FORGOTTEN < end.share or within_noise(low, end):
        return None
    return low.share, end.share, rung


def came_back(result: Forgetting) -> str:
    """What is said of a class that came back; empty where none did."""
    back = come_back(result)
    if back is None:
        return ""
    low, end, rung = back
    course = f"The forgotten class came back: from {percent(low)} at “{rung}” to {percent(end)} at the end"
    method = METHODS.get(result.method)
    unseen = method is not None and method.retain_alone
    return f"{course}, though none of its images was seen in between." if unseen else f"{course}."


def is_back(result: Forgetting) -> Verdict | None:
    """That a class came back."""
    text = came_back(result)
    return Verdict("bad", text) if text else None


def beside_random(result: Forgetting) -> Verdict | None:
    """Whether the scores made the difference; of a method that prunes none, random channels say nothing."""
    control = result.controls.get("random_prune")
    if control is None or result.method != "tfidf_prune":
        return None
    return against_random(result.after, control.evaluation)


def against_random(after: Evaluation, random: Evaluation) -> Verdict:
    """Whether the scores made the difference.

    Args:
        after: Of the model whose channels the scores picked.
        random: Of the one where as many channels were drawn at random.
    """
    ours, theirs = (e.group_tally(forgotten=True) for e in (after, random))
    figures = f"{percent(theirs.share)} left against {percent(ours.share)}"
    if _above(theirs, ours):
        text = f"Random channels at the same ratio leave more ({figures}): which channels go does matter."
        return Verdict("good", text)
    if _above(ours, theirs):
        return Verdict(
            "bad",
            f"Random channels at the same ratio leave less ({figures}): the scores are not what made it forget.",
        )
    if alike(ours, theirs, ALIKE):
        return Verdict(
            "bad",
            f"Random channels at the same ratio do as well, to within {figure(ALIKE, 0)} points ({figures}): the scores "
            "are not what made the difference.",
        )
    return Verdict(
        "note", f"No difference to random channels at the same ratio is shown ({figures}): {sight(ours)}."
    )


def beside_fine_tuning(result: Forgetting) -> Verdict | None:
    """Whether the method, or fine-tuning alone, made it forget."""
    control = result.controls.get("fine_tune")
    if control is None or result.method == "fine_tune":
        return None
    ours, theirs = (e.group_tally(forgotten=True) for e in (result.after, control.evaluation))
    figures = f"{percent(theirs.share)} left against {percent(ours.share)}"
    pruned = result.plan is not None or result.method == "tfidf_prune"
    cause = "the pruning before it" if pruned else "this method"
    return _of_fine_tuning(result, control.evaluation, figures, cause) or _plainly(
        "Fine-tuning alone", ours, theirs, figures
    )


def _of_fine_tuning(result: Forgetting, tuned: Evaluation, figures: str, cause: str) -> Verdict | None:
    """What can be said of the cause: only where one of the two forgot, or neither."""
    ours, theirs = (e.group_tally(forgotten=True) for e in (result.after, tuned))
    if gone(result) and forgot(tuned) and alike(ours, theirs, ALIKE):
        alone = f"Fine-tuning alone forgets as well, to within {figure(ALIKE, 0)} points ({figures})"
        return Verdict("bad", f"{alone}: {cause} was not needed for that.")
    if gone(result) and not forgot(tuned) and _above(theirs, ours):
        return Verdict("good", f"Fine-tuning alone leaves more ({figures}): {cause} is what made it forget.")
    if not forgot(result.after) and not forgot(tuned):
        return Verdict("bad", f"Fine-tuning alone doesn't forget the class either ({figures}).")
    return None


def _plainly(who: str, ours: Tally, theirs: Tally, figures: str) -> Verdict:
    """Which of the two leaves more, without a cause."""
    if _above(ours, theirs):
        return Verdict("bad", f"{who} leaves less ({figures}).")
    if _above(theirs, ours):
        return Verdict("note", f"{who} leaves more ({figures}).")
    return Verdict("note", f"No difference to {who[0].lower()}{who[1:]} is shown ({figures}): {sight(ours)}.")


def beside_mask(result: Forgetting) -> Verdict | None:
    """That accuracy can't tell a class that is hidden from one that is forgotten."""
    control = result.controls.get("mask_logit")
    if control is None:
        return None
    ours, theirs = (e.group_tally(forgotten=True) for e in (result.after, control.evaluation))
    if not ours.share <= FORGOTTEN or not theirs.share <= FORGOTTEN:
        return None
    return Verdict(
        "note",
        f"Masking the logit reaches {percent(theirs.share)} too and forgets nothing inside: accuracy alone can't tell "
        "hidden from forgotten.",
    )


def under_trained(result: Forgetting) -> bool:
    """Whether the retrained model falls short of the original on the retained training images, which both have seen."""
    reference = reference_of(result)
    return reference is not None and falls_short(reference.evaluation, result.before)


def falls_short(retrained: Evaluation, before: Evaluation) -> bool:
    """Whether a retrained model recognises fewer of the retained training images than the model before, outside noise."""
    ours, theirs = before.retain_train, retrained.retain_train
    if not ours or not theirs or not ours.total or not theirs.total:
        return False
    return ours.share - theirs.share > _SLACK and _above(ours, theirs)


def reference_short(result: Forgetting) -> Verdict | None:
    """That the retrained model is no yardstick yet, and what to try."""
    reference = reference_of(result)
    if reference is None or not under_trained(result):
        return None
    ours, theirs = result.before.ra, reference.evaluation.ra
    epochs = reference.params.get("epochs")
    remedy = f" Retrain for more than its {epochs} epochs." if epochs else ""
    return Verdict(
        "bad",
        f"The retrained reference is under-trained: it recognises {percent(theirs)} of the retained training images, the "
        f"model before {percent(ours)}.{remedy}",
    )


def beside_retraining(result: Forgetting) -> Verdict | None:
    """How the result stands beside retraining on what is retained, and how long both took."""
    reference = reference_of(result)
    if reference is None:
        text = (
            "There is no retrained reference for this result; tick “Retrain” to have one trained beside it."
        )
        return None if result.method == REFERENCE else Verdict("note", text)
    ours, theirs = (e.group_tally(forgotten=False) for e in (result.after, reference.evaluation))
    if not ours.total or not theirs.total:
        return None
    tone, likeness = _likeness(ours, theirs, name_of_reference(result))
    where = "the test images" if result.after.is_share else "the other classes"
    figures = f"{percent(ours.share)} against {percent(theirs.share)}"
    return Verdict(tone, f"On {where} it is {likeness} ({figures}).{_speed(result, reference)}")


def name_of_reference(result: Forgetting) -> str:
    """What the retrained model is called in a sentence."""
    return "the under-trained retraining" if under_trained(result) else "retraining"


def _likeness(ours: Tally, theirs: Tally, name: str) -> tuple[str, str]:
    if not within_noise(ours, theirs):
        points = figure(abs(ours.share - theirs.share))
        below = ours.share < theirs.share
        return ("bad" if below else "good"), f"{points} points {'below' if below else 'above'} {name}"
    if alike(ours, theirs, CLOSE):
        return "good", f"as good as {name}, to within {figure(CLOSE, 0)} points"
    return "note", f"not shown to differ from {name}; {sight(theirs, -1)}"


def _speed(result: Forgetting, reference: Control) -> str:
    """Seconds are compared where both are of this machine: a stored reference's are of another."""
    took, retraining = result.seconds, reference.seconds
    if reference.stored or not took or not retraining:
        return ""
    ratio = retraining / took
    times = f"{ratio:.1f} times as fast" if ratio >= 1 else f"{1 / ratio:.1f} times as slow"
    return f" It took {seconds(took)} against {seconds(retraining)} ({times})."


def share_is_gone(result: Forgetting) -> Verdict | None:
    """Whether a random share is recognised as often as by a model that never saw it."""
    reference = reference_of(result)
    if reference is None:
        return None
    before, ours, theirs = (e.forget_tally for e in (result.before, result.after, reference.evaluation))
    name = "the under-trained retraining's" if under_trained(result) else "retraining's"
    figures = (
        f"UA is {percent(1 - ours.share)}, {name} {percent(1 - theirs.share)}, the untouched model's "
        f"{percent(1 - before.share)}, on {counted(ours.total, 'image')}"
    )
    if not within_noise(ours, theirs):
        how = "still knows" if ours.share > theirs.share else "has lost"
        text = f"{figures}: it {how} more of them than a model that never saw them, outside noise."
        return Verdict("bad", text)
    if within_noise(before, theirs):
        return Verdict(
            "note",
            f"{figures}: neither differs from retraining by more than noise, so on so few images UA can't tell forgetting "
            "from doing nothing.",
        )
    if alike(ours, theirs, CLOSE):
        text = f"{figures}: like a model that never saw them, to within {figure(CLOSE, 0)} points."
        return Verdict("good", text)
    return Verdict(
        "note", f"{figures}: no difference to a model that never saw them is shown; {sight(theirs)}."
    )


def share_is_hidden(result: Forgetting) -> Verdict | None:
    """Whether the membership attack tells the result from a retrained model."""
    reference = reference_of(result)
    ours, theirs = (_unseen(e) if e else None for e in (result.after, reference and reference.evaluation))
    if ours is None or theirs is None:
        return None
    figures = (
        f"The membership attack takes {percent(ours.share)} of them for images never trained on, after "
        f"{name_of_reference(result)} {percent(theirs.share)}"
    )
    if alike(ours, theirs, ALIKE):
        text = f"{figures}: no difference outside noise, and alike to within {figure(ALIKE, 0)} points."
        return Verdict("good", text)
    if within_noise(ours, theirs):
        return Verdict("note", f"{figures}: no difference is shown; {sight(theirs)}.")
    return Verdict("bad", f"{figures}: it tells the two models apart.")


def share_without_target(result: Forgetting) -> Verdict | None:
    """What a random share lacks without a retrained model."""
    if result.method == REFERENCE:
        return Verdict("note", "This is the retrained model itself: what all others are measured by.")
    return None if reference_of(result) else Verdict("note", _NO_TARGET)


def share_beside_retraining(result: Forgetting) -> Verdict | None:
    """As `beside_retraining`, where there is a reference."""
    return beside_retraining(result) if reference_of(result) else None


OF_CLASSES: tuple[Claim, ...] = (
    is_gone,
    is_back,
    few_images,
    beside_random,
    beside_fine_tuning,
    beside_mask,
    reference_short,
    beside_retraining,
)
OF_SHARE: tuple[Claim, ...] = (
    share_without_target,
    share_is_gone,
    few_images,
    share_is_hidden,
    reference_short,
    share_beside_retraining,
)


def verdicts(result: Forgetting) -> list[Verdict]:
    """What an unlearning result amounts to beside its controls."""
    claims = OF_CLASSES if result.after.forget_classes else OF_SHARE
    return [verdict for verdict in (claim(result) for claim in claims) if verdict]


def alarm(result: Forgetting) -> str:
    """What a result opens with where its class came back or was not forgotten, and what to try; else empty."""
    if not result.after.forget_classes or not _tested(result.after) or gone(result):
        return ""
    names = listed([quoted(name) for name in result.after.forgotten], 3)
    verb = "is" if len(result.after.forget_classes) == 1 else "are"
    back = come_back(result)
    state = f"{names} came back" if back else f"{names} {verb} not forgotten"
    if forgot(result.after):
        state = f"{names} {verb} not as gone as after retraining"
    return f"{state}: {_still_recognised(result.after, intervals=False)}. {advice(result, back is not None)}".strip()


def advice(result: Forgetting, back: bool) -> str:
    """What to try, by settings that the method has; empty where there is nothing.

    Args:
        result: One that has not forgotten.
        back: Whether the class was gone once and came back.
    """
    method = METHODS.get(result.method)
    names = {s.name: s for s in settings_of(method.params)} if method else {}
    ideas = []
    ratio, epochs = result.params.get("ratio"), result.params.get("epochs")
    if "ratio" in names and ratio and ratio < (names["ratio"].high or 1):
        ideas.append(f"a larger ratio than {ratio:g}")
    if "epochs" in names and epochs and epochs > 1 and back:
        ideas.append(f"fewer epochs than {epochs}")
    if "epochs" in names and epochs and not back and method and not method.prunes:
        ideas.append(f"more epochs than {epochs}")
    if not ideas and result.method != "tfidf_prune":
        ideas.append(f"another method, as {METHODS['tfidf_prune'].short}")
    return f"To try: {listed(ideas)}." if ideas else ""


def _still_recognised(evaluation: Evaluation, *, intervals: bool = True) -> str:
    parts = []
    for tally, which in (
        (evaluation.group_tally(forgotten=True), "test"),
        (evaluation.forget_tally, "training"),
    ):
        if tally.total:
            ends = wilson(tally)
            interval = f" (95 % interval {span(ends.low, ends.high)} %)" if intervals else ""
            images = counted(tally.total, f"{which} image")
            parts.append(f"{percent(tally.share)} of {images}{interval}")
    return f"{listed(parts)} still recognised" if parts else "no image of it was tested"


def _tested(evaluation: Evaluation) -> list[Tally]:
    """Test and training images of the forgotten classes, where there are any."""
    return [t for t in (evaluation.group_tally(forgotten=True), evaluation.forget_tally) if t.total]


def _above(one: Tally, two: Tally) -> bool:
    """Whether the first share is larger, outside noise."""
    return one.share > two.share and not within_noise(one, two)


def _pairs(one: Evaluation, two: Evaluation) -> Iterable[tuple[Tally, Tally]]:
    yield one.group_tally(forgotten=True), two.group_tally(forgotten=True)
    yield one.forget_tally, two.forget_tally


def _unseen(evaluation: Evaluation) -> Tally | None:
    efficacy, total = evaluation.attacks.efficacy, evaluation.forget_tally.total
    return None if efficacy is None or not total else Tally.nearest(efficacy, total)
