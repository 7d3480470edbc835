"""The sentence that opens a page or a terminal's table: what was done, what became of what is forgotten, what it cost."""

from dataclasses import replace

from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.intervals import LEVEL, Tally, newcombe, within_noise
from unlearn_core.results.claims import alarm, falls_short, reference_of, smallest_difference
from unlearn_core.results.evaluation import Evaluation, together
from unlearn_core.results.result import Forgetting
from unlearn_core.words import figure, listed, percent, points, quoted

_NAMED = 3


def headline(result: Forgetting, channels: int = 0, what: str = "") -> str:
    """A result against the model that it began with; where it failed, this and what to try come first.

    Args:
        result: Of unlearning, on one machine or federated.
        channels: Channels of the whole model before, 0 when unknown.
        what: What was done, where nothing was pruned ("Fine-tuning").
    """
    reference = reference_of(result)
    sentence = finding(
        result.before,
        result.after,
        result.plan,
        channels,
        what,
        retrained=reference.evaluation if reference else None,
        tuned=any(rung.rung not in {"original", "pruned"} for rung in result.ladder),
    )
    return f"{alarm(result)} {sentence}".strip()


def finding(
    before: Evaluation,
    after: Evaluation,
    plan: PruningPlan | None = None,
    channels: int = 0,
    what: str = "",
    *,
    ahead: bool = False,
    retrained: Evaluation | None = None,
    tuned: bool = False,
) -> str:
    """What was done, what it did to what is forgotten, and what it cost.

    Args:
        before: The model compared with.
        after: The model in question.
        plan: The pruning plan, if there is one.
        channels: Channels of the whole model before, 0 when unknown.
        what: What was done, where nothing was pruned ("Fine-tuning").
        ahead: Whether it is only being considered; the sentence then stands in the present tense.
        retrained: The retrained model, where there is one: a random share's only measure.
        tuned: Whether training followed the pruning, and so is part of what did it.
    """
    if plan and plan.groups:
        what = (
            f"Pruning {plan.total} of {channels} channels" if channels else f"Pruning {plan.total} channels"
        )
        what += " at random" if plan.reason.get("direction") == "random" else ""
        what += " and fine-tuning" if tuned else ""
    effect = _on_share(before, after, retrained) if after.is_share else _effect(before, after, ahead)
    return f"{what or 'This run'} {effect}; {_cost(before, after, ahead)}."


def _effect(before: Evaluation, after: Evaluation, ahead: bool) -> str:
    takes = "takes" if ahead else "took"
    if not after.forget_classes:
        return (
            f"{takes} the test accuracy from {figure(before.test_accuracy)} to {percent(after.test_accuracy)}"
        )
    # The same classes on both sides: those that the sentence names.
    shares = [replace(e, forget_classes=after.forget_classes).forget_test_accuracy for e in (before, after)]
    names = listed([quoted(name) for name in after.forgotten], _NAMED)
    return f"{takes} {names} from {figure(shares[0])} to {percent(shares[1])}"


def _on_share(before: Evaluation, after: Evaluation, retrained: Evaluation | None) -> str:
    """What became of a random share: recognised as often as by a model that never saw it, or not."""
    left = after.forget_tally
    beside = [f"{percent(before.forget_tally.share)} before"] if before.is_share else []
    if retrained is not None:
        name = "the under-trained retraining" if falls_short(retrained, before) else "retraining"
        beside.append(f"{percent(retrained.forget_tally.share)} after {name}")
    given = f" ({', '.join(beside)})" if beside else ""
    return (
        f"left {percent(left.share)} of the {left.total} images to forget recognised{given} and took the test accuracy "
        f"from {figure(before.test_accuracy)} to {percent(after.test_accuracy)}"
    )


def _cost(before: Evaluation, after: Evaluation, ahead: bool) -> str:
    """What became of the other classes: each tested at a level that all of them share, the rest together as well."""
    kept = [
        k for k in range(len(after.classes)) if k not in after.forget_classes and after.class_tally(k).total
    ]
    if not kept:
        return "no other class is left"
    level = 1 - (1 - LEVEL) / len(kept)
    pairs = {k: (before.class_tally(k), after.class_tally(k)) for k in kept}
    moved = {k: b.share - a.share for k, (a, b) in pairs.items() if 0.0 not in newcombe(a, b, level)}
    rest = [pair for k, pair in pairs.items() if k not in moved]
    named = _moved(after, moved, len(kept), ahead)
    if not rest:
        return f"{named}, no other class is left"
    return f"{named}, {_rest('others', rest, len(kept))}" if named else _rest(_all(after), rest, len(kept))


def _all(after: Evaluation) -> str:
    return "all other classes" if after.forget_classes else "all classes"


def _moved(after: Evaluation, moved: dict[int, float], count: int, ahead: bool) -> str:
    """The classes that moved by more than noise; empty where none did."""
    ranked = sorted(moved, key=lambda k: moved[k])
    if len(ranked) > _NAMED:
        other = "other " if after.forget_classes else ""
        most = max(ranked, key=lambda k: abs(moved[k]))
        return (
            f"{len(ranked)} of {count} {other}classes {'move' if ahead else 'moved'} by more than noise, most "
            f"{quoted(after.classes[most])} by {points(moved[most])}"
        )
    if not ranked:
        return ""
    losses = all(moved[k] < 0 for k in ranked)
    verb = ("costs" if ahead else "cost") if losses else ("changes" if ahead else "changed")
    figures = ", ".join(f"{quoted(after.classes[k])} {points(moved[k])}" for k in ranked)
    return f"{verb} {figures} (outside noise)"


def _rest(who: str, rest: list[tuple[Tally, Tally]], count: int) -> str:
    """Classes of which none alone moved by more than noise; together they may have."""
    before, after = (together(side) for side in zip(*rest, strict=True))
    if not within_noise(before, after):
        return f"{who} together {points(after.share - before.share)} (outside noise), though none alone"
    return f"{who} within noise{_sight(before, rest, count)}"


def _sight(pooled: Tally, rest: list[tuple[Tally, Tally]], count: int) -> str:
    """The smallest losses that so many images can show, with the multiplicity of the tests."""
    level = 1 - (1 - LEVEL) / count
    single = [smallest_difference(before, -1, level) for before, _ in rest]
    pooled_least = smallest_difference(pooled, -1)
    if pooled_least is None:
        return " (so few images can show no loss)"
    least = max((share for share in single if share is not None), default=None)
    one = "of some alone none does" if None in single else f"from {figure(least)} points on in each alone"
    return f" (a loss shows from {figure(pooled_least)} points on together, {one})"
