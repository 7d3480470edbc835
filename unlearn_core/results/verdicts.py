"""What a result means, in sentences that its numbers bear out; also when they speak against the method."""

from dataclasses import dataclass, replace

from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.intervals import Tally, wilson, within_noise
from unlearn_core.results.comparison import per_class
from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.result import Forgetting
from unlearn_core.unlearning.registry import METHODS
from unlearn_core.words import figure, listed, percent, quoted, seconds, signed, span

# A class counts as forgotten where no more than this share of its test images is still recognised.
FORGOTTEN = 0.05
_NAMED = 3
_THE = {True: "the pruning", False: "this method"}
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


def finding(
    before: Evaluation,
    after: Evaluation,
    plan: PruningPlan | None = None,
    channels: int = 0,
    what: str = "",
    *,
    ahead: bool = False,
    retrained: Evaluation | None = None,
) -> str:
    """The sentence that opens the page: what was done, what it did to what is forgotten, and what it cost.

    Args:
        before: The model compared with.
        after: The model in question.
        plan: The pruning plan, if there is one.
        channels: Channels of the whole model before, 0 when unknown.
        what: What was done, where nothing was pruned ("Fine-tuning").
        ahead: Whether it is only being considered; the sentence then stands in the present tense.
        retrained: The retrained model, where there is one: a random share's only measure.
    """
    if plan and plan.groups:
        what = (
            f"Pruning {plan.total} of {channels} channels" if channels else f"Pruning {plan.total} channels"
        )
        what += " at random" if plan.reason.get("direction") == "random" else ""
    effect = _on_share(before, after, retrained) if after.is_share else _effect(before, after, ahead)
    return f"{what or 'This run'} {effect}; {_cost(before, after, ahead)}."


def verdicts(result: Forgetting) -> list[Verdict]:
    """What an unlearning result amounts to beside its controls."""
    if not result.after.forget_classes:
        return _of_share(result)
    checks = (_gone(result), _back(result), _beside_random(result), _beside_fine_tuning(result))
    return [v for v in (*checks, _beside_mask(result), _beside_retraining(result)) if v]


def come_back(result: Forgetting) -> tuple[float, float, str] | None:
    """Forget accuracy at its lowest, at the end, and the lowest rung; None unless the rise is outside noise."""
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
    if end.share <= low.share or within_noise(low, end):
        return None
    return low.share, end.share, rung


def came_back(result: Forgetting) -> str:
    """What is said of a class that came back; empty where none did."""
    back = come_back(result)
    if back is None:
        return ""
    low, end, rung = back
    told = f"The forgotten class came back: from {percent(low)} at “{rung}” to {percent(end)} at the end"
    method = METHODS.get(result.method)
    unseen = method is not None and method.retain_alone
    return f"{told}, though none of its images was seen in between." if unseen else f"{told}."


def _effect(before: Evaluation, after: Evaluation, ahead: bool) -> str:
    takes = "takes" if ahead else "took"
    if not after.forget_classes:
        return (
            f"{takes} the test accuracy from {figure(before.test_accuracy)} to {percent(after.test_accuracy)}"
        )
    of_both = tuple(sorted({*before.forget_classes, *after.forget_classes}))
    shares = [replace(e, forget_classes=of_both).forget_test_accuracy for e in (before, after)]
    names = listed([quoted(name) for name in after.forgotten], _NAMED)
    return f"{takes} {names} from {figure(shares[0])} to {percent(shares[1])}"


def _on_share(before: Evaluation, after: Evaluation, retrained: Evaluation | None) -> str:
    """What became of a random share: recognised as often as by a model that never saw it, or not."""
    left = after.forget_tally
    beside = [f"{percent(before.forget_tally.share)} before"] if before.is_share else []
    if retrained is not None:
        beside.append(f"{percent(retrained.forget_tally.share)} after retraining")
    told = f" ({', '.join(beside)})" if beside else ""
    return (
        f"left {percent(left.share)} of the {left.total} images to forget recognised{told} and took the test accuracy "
        f"from {figure(before.test_accuracy)} to {percent(after.test_accuracy)}"
    )


def _cost(before: Evaluation, after: Evaluation, ahead: bool) -> str:
    rows = [r for r in per_class(before, after) if not r["forgotten"] and r["images"]]
    moved = sorted((r for r in rows if not r["noise"]), key=lambda r: r["difference"])
    share = after.is_share
    others = "others" if moved else "all classes" if share else "all other classes"
    if len(moved) > _NAMED:
        worst = moved[0]
        return (
            f"{len(moved)} of {len(rows)} {'' if share else 'other '}classes {'move' if ahead else 'moved'} by more than noise, "
            f"most {quoted(worst['class'])} by {signed(worst['difference'])} points"
        )
    told = ", ".join(f"{quoted(r['class'])} {signed(r['difference'])} points" for r in moved)
    cost = (
        f"{'costs' if ahead else 'cost'} {told} (outside noise), "
        if moved and moved[-1]["difference"] < 0
        else ""
    )
    cost = cost or (f"{'changes' if ahead else 'changed'} {told} (outside noise), " if moved else "")
    rest = f"{others} within noise" if len(rows) > len(moved) else "no other class is left"
    return f"{cost}{rest}"


def _of_share(result: Forgetting) -> list[Verdict]:
    """A random share has no forgotten class: it is forgotten as far as the model answers like one retrained without it."""
    control = result.controls.get("retrain")
    if result.method == "retrain":
        return [Verdict("note", "This is the retrained model itself: what all others are measured by.")]
    if control is None:
        return [Verdict("note", _NO_TARGET)]
    retrained = control.evaluation
    checks = (
        _share_forgotten(result, retrained),
        _share_hidden(result, retrained),
        _beside_retraining(result),
    )
    return [v for v in checks if v]


def _share_forgotten(result: Forgetting, retrained: Evaluation) -> Verdict:
    before, ours, theirs = (e.forget_tally for e in (result.before, result.after, retrained))
    figures = (
        f"UA is {percent(1 - ours.share)}, retraining's {percent(1 - theirs.share)}, the untouched model's "
        f"{percent(1 - before.share)}, on {ours.total} images"
    )
    if not within_noise(ours, theirs):
        how = "still knows" if ours.share > theirs.share else "has lost"
        return Verdict(
            "bad", f"{figures}: it {how} more of them than a model that never saw them, outside noise."
        )
    if within_noise(before, theirs):
        return Verdict(
            "note",
            f"{figures}: all within noise of each other, so on so few images UA can't tell forgetting from doing nothing.",
        )
    return Verdict("good", f"{figures}: like a model that never saw them, within noise.")


def _share_hidden(result: Forgetting, retrained: Evaluation) -> Verdict | None:
    ours, theirs = (_unseen(e) for e in (result.after, retrained))
    if ours is None or theirs is None:
        return None
    figures = (
        f"The membership attack takes {percent(ours.share)} of them for images never trained on, after retraining "
        f"{percent(theirs.share)}"
    )
    if within_noise(ours, theirs):
        return Verdict("good", f"{figures}: no difference outside noise.")
    return Verdict("bad", f"{figures}: it tells the two models apart.")


def _unseen(evaluation: Evaluation) -> Tally | None:
    efficacy, total = evaluation.attacks.efficacy, evaluation.forget_tally.total
    return None if efficacy is None or not total else Tally.nearest(efficacy, total)


def _gone(result: Forgetting) -> Verdict:
    left = result.after.group_tally(forgotten=True)
    ends = wilson(left)
    interval = f"95 % interval {span(ends.low, ends.high)} %, {left.total} test images"
    if left.share <= FORGOTTEN:
        return Verdict(
            "good", f"Of the forgotten class {percent(left.share)} is still recognised ({interval})."
        )
    return Verdict(
        "bad", f"The class is not forgotten: {percent(left.share)} is still recognised ({interval})."
    )


def _back(result: Forgetting) -> Verdict | None:
    text = came_back(result)
    return Verdict("bad", text) if text else None


def _beside_random(result: Forgetting) -> Verdict | None:
    control = result.controls.get("random_prune")
    # As many channels at random say nothing of a method that prunes none.
    if control is None or result.method != "tfidf_prune":
        return None
    return against_random(result.after, control.evaluation)


def against_random(after: Evaluation, random: Evaluation) -> Verdict:
    """Whether the scores made the difference.

    Args:
        after: The model whose channels the scores chose.
        random: The same where as many channels were drawn at random.
    """
    ours, theirs = (e.group_tally(forgotten=True) for e in (after, random))
    if theirs.share <= ours.share or within_noise(ours, theirs):
        return Verdict(
            "bad",
            f"Random channels at the same ratio do as well ({percent(theirs.share)} left against "
            f"{percent(ours.share)}): the scores are not what made the difference.",
        )
    return Verdict(
        "good",
        f"Random channels at the same ratio leave {percent(theirs.share)}: which channels go does matter.",
    )


def _beside_fine_tuning(result: Forgetting) -> Verdict | None:
    tallies = _beside(result, "fine_tune")
    if tallies is None or result.method == "fine_tune":
        return None
    ours, theirs = tallies
    pruned = result.plan is not None or result.method == "tfidf_prune"
    if theirs.share <= ours.share or within_noise(ours, theirs):
        return Verdict(
            "bad",
            f"Fine-tuning alone forgets as well ({percent(theirs.share)} left): {_THE[pruned]} was not needed for that.",
        )
    return Verdict(
        "good", f"Fine-tuning alone leaves {percent(theirs.share)}: {_THE[pruned]} is what made it forget."
    )


def _beside_mask(result: Forgetting) -> Verdict | None:
    tallies = _beside(result, "mask_logit")
    if tallies is None or tallies[0].share > FORGOTTEN:
        return None
    return Verdict(
        "note",
        f"Masking the logit reaches {percent(tallies[1].share)} too and forgets nothing inside: accuracy alone can't tell "
        "hidden from forgotten.",
    )


def _beside_retraining(result: Forgetting) -> Verdict | None:
    control = result.controls.get("retrain")
    if control is None:
        if result.method == "retrain":
            return None
        return Verdict(
            "note",
            "There is no retrained reference for this result; tick “Retrain” to have one trained beside it.",
        )
    ours, theirs = (e.group_tally(forgotten=False) for e in (result.after, control.evaluation))
    same = within_noise(ours, theirs)
    worse = (
        ""
        if same
        else f", {figure(abs(ours.share - theirs.share))} points {'below' if ours.share < theirs.share else 'above'}"
    )
    took, retraining = result.seconds, control.seconds
    times = (
        f" It took {seconds(took)} against {seconds(retraining)} ({retraining / took:.1f} times as fast)."
        if took and retraining
        else ""
    )
    likeness = "as good as retraining (within noise)" if same else f"not like retraining{worse}"
    where = "the test images" if result.after.is_share else "the other classes"
    text = f"On {where} it is {likeness}.{times}"
    return Verdict("good" if same or ours.share > theirs.share else "bad", text)


def _beside(result: Forgetting, control: str) -> tuple[Tally, Tally] | None:
    """The forgotten classes' tally of the result and of a control; None without that control."""
    other = result.controls.get(control)
    if other is None:
        return None
    return result.after.group_tally(forgotten=True), other.evaluation.group_tally(forgotten=True)
