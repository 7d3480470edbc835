"""From scores to a plan, and from a plan to a model without those channels.

A plan is decided first, as plain data that can be shown, edited, stored and broadcast; applying it is short and decides
nothing. Channels that stand or fall together (residual sums, depthwise convolutions) are one `ChannelGroup`.

Paper: Wang et al., "Federated Unlearning via Class-Discriminative Pruning", WWW 2022, arXiv 2110.11794, section 3.3.
Where we deviate from the authors' released code: it keeps the highest scores (the sign of its mask is inverted), burns
the mask into the weights and lets them grow back, and leaves the batch norm's constant; here the highest go and stay gone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats
from unlearn_core.channels.scoring import ChannelScores, channel_scores, require_images
from unlearn_core.errors import UnlearnError
from unlearn_core.params import setting

SCOPES = ("per_layer", "global", "global_balanced")
WHERE = ("last_convs", "last_stage", "inner", "all")
DIRECTIONS = ("high", "low", "random")
COMBINATIONS = ("growing", "joint", "sequential")
MOST_OF_SEVERAL = 0.6
"""A budget that grows with the classes stops here: beyond it fine-tuning no longer brings the others back."""
RESIDUAL = ("mask", "group")
"""What becomes of channels of residual sums."""
_EPSILON = 1e-9  # 0.29 of 100 channels are 29, whatever floating point makes of the product


@dataclass(frozen=True)
class ChannelGroup:
    """Convolutions whose output channels stand or fall together.

    Attributes:
        name: The first layer's name.
        layers: The convolutions, in the order of the forward pass.
        size: Channels C of each.
        removable: Whether channels can be cut out; otherwise they are silenced and stay in place.
        inner: Whether the output feeds only the next layer, and no sum with another one.
        side: Height of the output's map in pixels.
    """

    name: str
    layers: tuple[str, ...]
    size: int
    removable: bool
    inner: bool
    side: int


@dataclass(frozen=True)
class PruningSettings:
    """Which channels go."""

    ratio: float = setting(
        0.2,
        "Share of channels to prune, of each layer or of all together",
        label="Pruning ratio",
        low=0.0,
        high=0.95,
    )
    scope: str = setting(
        "per_layer",
        "Rank within each layer, or all layers together (the paper's released code); balanced evens out narrow layers",
        label="Rank channels",
        choices=SCOPES,
    )
    where: str = setting("last_stage", "Which convolutions may lose channels", choices=WHERE)
    direction: str = setting(
        "high",
        "Prune the highest scores (the paper), the lowest or random ones",
        label="Which scores go",
        choices=DIRECTIONS,
        advanced=True,
    )
    combine: str = setting(
        "growing",
        "Several classes: one budget of the ratio and half of it more for each class, up to six tenths of the channels "
        "(growing); of the ratio for any number (joint); or one class after the other, each with the whole ratio (the paper)",
        label="Several classes",
        choices=COMBINATIONS,
        advanced=True,
    )


@dataclass(frozen=True)
class PlannedGroup:
    """One group's part of a plan; `channels` are indices of the unpruned model, ascending."""

    name: str
    layers: tuple[str, ...]
    size: int
    removable: bool
    channels: tuple[int, ...]


@dataclass(frozen=True)
class PruningPlan:
    """Which channels go, as plain data.

    Attributes:
        groups: The groups that lose channels.
        reason: How the plan came about: settings, classes, seed.
        notes: What the person should know, for instance where a layer's cap was reached.
    """

    groups: tuple[PlannedGroup, ...]
    reason: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def channels(self) -> dict[str, tuple[int, ...]]:
        """Pruned channels by layer."""
        by_layer: dict[str, tuple[int, ...]] = {}
        for group in self.groups:
            for layer in group.layers:
                by_layer[layer] = tuple(sorted({*by_layer.get(layer, ()), *group.channels}))
        return by_layer

    @property
    def total(self) -> int:
        """How many channels go, over all layers."""
        return sum(len(group.channels) * len(group.layers) for group in self.groups)


Statistics = Callable[[PruningPlan | None], ActivationStats]
"""Activation statistics with a plan's channels silenced; with none, of the model as it is."""


def plan_to_plain(plan: PruningPlan) -> dict[str, Any]:
    """The plan as JSON-ready values; `plan_from_plain` reverses it."""
    return asdict(plan)


def plan_from_plain(plain: Mapping[str, Any]) -> PruningPlan:
    """The plan that `plan_to_plain` wrote, checked.

    Raises:
        UnlearnError: The values aren't a plan, or channels are repeated, out of range or a whole layer.
    """
    try:
        groups = tuple(
            PlannedGroup(
                str(g["name"]),
                tuple(map(str, g["layers"])),
                int(g["size"]),
                bool(g["removable"]),
                _indices(g),
            )
            for g in plain["groups"]
        )
        return PruningPlan(groups, dict(plain.get("reason", {})), tuple(map(str, plain.get("notes", ()))))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UnlearnError(f"This isn't a pruning plan ({error}); make a new one from scores.") from error


def plan_classes(
    statistics: Statistics,
    groups: Sequence[ChannelGroup],
    settings: PruningSettings,
    targets: Sequence[int],
    seed: int = 0,
) -> PruningPlan:
    """The plan for all classes to forget: jointly, or one after the other on the network pruned so far (the paper).

    Args:
        statistics: From anywhere: one pass over images, what many clients sent, or a file.
        groups: Groups of the model.
        settings: What to prune.
        targets: Indices of the classes to forget.
        seed: For the random direction.

    Raises:
        UnlearnError: As `make_plan`, or a target has too few images.
    """

    def planned(classes: Sequence[int], gone: PruningPlan | None = None) -> PruningPlan:
        stats = statistics(gone)
        require_images(stats, classes)
        return make_plan(channel_scores(stats), groups, classes, settings, seed=seed, gone=gone)

    if settings.combine != "sequential" or len(targets) == 1:
        return planned(targets)
    plans = [planned(targets[:1])]
    for target in targets[1:]:
        plans.append(planned((target,), merge_plans(plans)))
    return merge_plans(plans)


def cut_of_layer(
    scores: ChannelScores, layer: str, targets: Sequence[int], settings: PruningSettings
) -> tuple[int, ...]:
    """The highest channels that a budget prunes of one layer ranked by itself, whatever becomes of all others."""
    group = ChannelGroup(layer, (layer,), scores.by_layer[layer].shape[1], True, True, 1)
    alone = replace(settings, scope="per_layer", where="all", direction="high")
    if int(budget_ratio(alone, len(targets)) * group.size + _EPSILON) == 0:
        return ()
    return make_plan(scores, [group], targets, alone).channels[layer]


def make_plan(
    scores: ChannelScores,
    groups: Sequence[ChannelGroup],
    targets: Sequence[int],
    settings: PruningSettings,
    *,
    seed: int = 0,
    gone: PruningPlan | None = None,
) -> PruningPlan:
    """The plan that prunes the channels most specific to the target classes.

    A group's score is the mean of its layers' scores; several targets share one budget through the maximum over them
    (an extension; the paper prunes one class after the other). Exactly floor(`budget_ratio` x channels) go, ties to the
    lower index, and at least a tenth of every layer stays.

    Args:
        scores: (K, C) for every layer.
        groups: Groups of the model; `settings.where` chooses among them.
        targets: Indices of the classes to forget.
        settings: Ratio, scope, place and direction.
        seed: For the random direction.
        gone: What goes anyway, for other classes: its channels are not chosen again.

    Raises:
        UnlearnError: Nothing would be pruned, there is no target, or a target has no scores.
    """
    if not targets:
        raise UnlearnError("No class to forget was chosen; pick at least one.")
    candidates = choose_groups(groups, settings.where)
    spent = gone.channels if gone else {}
    values = {g.name: _group_scores(scores, g, targets, settings, seed) for g in candidates}
    for group in candidates:
        values[group.name][list(spent.get(group.name, ()))] = -np.inf
    budget = _budget_per_layer if settings.scope == "per_layer" else _budget_global
    counts = budget(values, budget_ratio(settings, len(targets)))
    notes = []
    planned = []
    for group in candidates:
        count = min(counts[group.name], _most(group.size) - len(spent.get(group.name, ())))
        if count < counts[group.name]:
            notes.append(
                f"{group.name}: {counts[group.name]} of {group.size} channels were due; {count} go, so that the layer lives."
            )
        if count:
            highest = np.argsort(-values[group.name], kind="stable")[:count]
            channels = tuple(sorted(int(c) for c in highest))
            planned.append(PlannedGroup(group.name, group.layers, group.size, group.removable, channels))
    if not planned and gone is None:
        raise UnlearnError(_nothing_to_prune(candidates, settings))
    reason = {
        **asdict(settings),
        "classes": [scores.classes[t] for t in targets],
        "metric": scores.metric,
        "seed": seed,
    }
    return PruningPlan(tuple(planned), reason, tuple(notes))


def budget_ratio(settings: PruningSettings, classes: int) -> float:
    """The share of channels that go for that many classes at once.

    With one budget of the same size for any number, each class loses too few of its channels and is hardly forgotten; one
    after the other, each with the whole ratio, empties the layers from four classes on (benchmarks/several_classes.py).
    """
    if settings.combine != "growing" or classes == 1:
        return settings.ratio
    return min(max(settings.ratio, MOST_OF_SEVERAL), settings.ratio * (1 + classes / 2))


def merge_plans(plans: Sequence[PruningPlan]) -> PruningPlan:
    """The plan that prunes what any of them prunes (several classes one after the other)."""
    merged: dict[str, PlannedGroup] = {}
    for group in (g for plan in plans for g in plan.groups):
        before = merged[group.name].channels if group.name in merged else ()
        channels = tuple(sorted({*before, *group.channels}))
        merged[group.name] = PlannedGroup(group.name, group.layers, group.size, group.removable, channels)
    classes = [name for plan in plans for name in plan.reason["classes"]]
    notes = tuple(note for plan in plans for note in plan.notes)
    return PruningPlan(tuple(merged.values()), {**plans[-1].reason, "classes": classes}, notes)


def one_after_the_other(first: PruningPlan | None, then: PruningPlan | None) -> PruningPlan | None:
    """The plan of the unpruned model for what two plans do; `then` has the indices of the model that `first` left.

    Channels that were cut out have no index in `then`, silenced ones do.
    """
    if first is None or then is None:
        return first or then
    cut = {layer: set(g.channels) for g in first.groups if g.removable for layer in g.layers}
    groups = {(g.layers, g.removable): g for g in first.groups}
    for group in then.groups:
        missing = cut.get(group.name, set())
        size = group.size + len(missing)
        left = [c for c in range(size) if c not in missing]
        key = (group.layers, group.removable)
        before = groups[key].channels if key in groups else ()
        channels = tuple(sorted({*before, *(left[c] for c in group.channels)}))
        groups[key] = replace(group, size=size, channels=channels)
    return PruningPlan(
        tuple(groups.values()), {"first": first.reason, "then": then.reason}, first.notes + then.notes
    )


def kept_in_place(plan: PruningPlan) -> PruningPlan:
    """The same plan with every channel silenced rather than cut out."""
    return replace(plan, groups=tuple(replace(group, removable=False) for group in plan.groups))


def choose_groups(groups: Sequence[ChannelGroup], where: str) -> tuple[ChannelGroup, ...]:
    """The groups of a place in the network: `last_convs` (the last four), `last_stage` (the smallest maps), `inner`, `all`.

    Raises:
        UnlearnError: An unknown place, or none of the model's groups lies there.
    """
    if where not in WHERE:
        raise UnlearnError(f"Unknown place {where!r}; choose one of: {', '.join(WHERE)}.")
    smallest = min((g.side for g in groups), default=0)
    selected = {
        "all": lambda: list(groups),
        "inner": lambda: [g for g in groups if g.inner],
        "last_stage": lambda: [g for g in groups if g.side == smallest],
        "last_convs": lambda: list(groups)[-4:],
    }[where]()
    if not selected:
        raise UnlearnError(f"This model has no convolution to prune at {where!r}; choose another place.")
    return tuple(selected)


def _group_scores(
    scores: ChannelScores, group: ChannelGroup, targets: Sequence[int], settings: PruningSettings, seed: int
) -> NDArray[np.float64]:
    """One value a channel, (C,): the highest go first."""
    if settings.direction == "random":
        # Keyed by layer, so that the draw in one layer does not depend on which others take part.
        return np.random.default_rng([seed, *group.name.encode()]).random(group.size)
    by_target = np.mean([scores.by_layer[layer][list(targets)] for layer in group.layers], axis=0)
    values: NDArray[np.float64] = by_target.max(axis=0)
    if np.isnan(values).any():
        raise UnlearnError("A class to forget has no images in the scoring sample; add images of it.")
    if settings.scope == "global_balanced":
        values = values * group.size  # TF sums to one in a layer: without this, narrow layers score highest
    return -values if settings.direction == "low" else values


def _budget_per_layer(values: Mapping[str, NDArray[np.float64]], ratio: float) -> dict[str, int]:
    return {name: int(ratio * len(v) + _EPSILON) for name, v in values.items()}


def _budget_global(values: Mapping[str, NDArray[np.float64]], ratio: float) -> dict[str, int]:
    everything = np.concatenate(list(values.values()))
    owners = np.repeat(np.arange(len(values)), [len(v) for v in values.values()])
    highest = np.argsort(-everything, kind="stable")[: int(ratio * len(everything) + _EPSILON)]
    counts = np.bincount(owners[highest], minlength=len(values))
    return {name: int(count) for name, count in zip(values, counts, strict=True)}


def _most(size: int) -> int:
    """The most channels that may go from a layer of this size: a tenth stays, and never fewer than one."""
    return size - max(1, -(-size // 10))


def _nothing_to_prune(groups: Sequence[ChannelGroup], settings: PruningSettings) -> str:
    widths = [g.size for g in groups]
    smallest = 1 / (max(widths) if settings.scope == "per_layer" else sum(widths))
    return (
        f"A ratio of {settings.ratio:g} would prune no channel at {settings.where!r}; "
        f"the smallest ratio that prunes one there is {smallest:.3g}."
    )


def _indices(group: Mapping[str, Any]) -> tuple[int, ...]:
    channels = tuple(int(c) for c in group["channels"])
    size = int(group["size"])
    if (
        len(set(channels)) != len(channels)
        or not all(0 <= c < size for c in channels)
        or len(channels) >= size
    ):
        raise ValueError(f"channels of {group['name']!r} are repeated, out of range or all of them")
    return tuple(sorted(channels))
