"""The cut that the page of channel scores shows: the plan of the Forget page, and where a layer's own cut differs from it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pages.parts.plan import form_params, form_seed, plan_of
from pages.parts.selection import Selection
from pages.parts.text import md
from unlearn_core.channels.activations import TAPS, ActivationStats
from unlearn_core.channels.pruning import cut_of_layer
from unlearn_core.channels.scoring import channel_scores
from unlearn_core.errors import UnlearnError
from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams
from unlearn_core.words import listed

_WHERE = {
    "last_convs": "in the last four convolutions only",
    "last_stage": "in the last stage only",
    "inner": "only in convolutions whose output enters no sum",
    "all": "in convolutions whose channels can be silenced by themselves",
}
_SCOPE = {"global": "ranks all layers together", "global_balanced": "ranks all layers together, evened out"}
_DIRECTION = {"low": "takes the lowest scores", "random": "draws channels at random"}


@dataclass(frozen=True)
class Cut:
    """What would go to forget some classes.

    Attributes:
        params: Of the Forget page.
        classes: What would be forgotten.
        channels: By layer, those that the plan prunes.
        images: How many images the plan was scored on.
        alone: Those that the ratio would prune of the layer in view, ranked by itself on the scores of this page.
        refused: Why there is no plan; else empty.
    """

    params: TfidfPruneParams
    classes: tuple[str, ...]
    channels: Mapping[str, tuple[int, ...]]
    images: int
    alone: tuple[int, ...]
    refused: str = ""


def cut_of(selection: Selection, stats: ActivationStats) -> Cut:
    """What the Forget page would prune with its present settings to forget the basket, or the class in focus."""
    params, classes = form_params(), selection.forget or (selection.cls,)
    targets = [stats.classes.index(name) for name in classes]
    try:
        alone = cut_of_layer(channel_scores(stats), selection.layer, targets, params)
        made = plan_of(replace(selection, forget=classes), params, form_seed())
    except UnlearnError as error:
        return Cut(params, classes, {}, 0, (), str(error))
    return Cut(params, classes, made.plan.channels, made.images, alone)


def sentence(cut: Cut, layer: str, sizes: Mapping[str, int], stats: ActivationStats) -> str:
    """What would go of a layer and of the whole network, and how that differs from a cut of this layer by itself.

    Args:
        cut: From `cut_of`.
        layer: The layer in view.
        sizes: Channels of each convolution.
        stats: What this page's scores are made from.
    """
    if cut.refused:
        return md(cut.refused)
    here, total = len(cut.channels.get(layer, ())), sum(map(len, cut.channels.values()))
    return (
        f"Would prune **{here} of {sizes[layer]}** channels here to forget {md(', '.join(cut.classes))}: with the settings of "
        f"the Forget page, {total:,} of {sum(sizes.values()):,} go, in {len(cut.channels)} of {len(sizes)} layers. ✕ marks "
        f"them.{_difference(cut, layer, stats)}"
    )


def _difference(cut: Cut, layer: str, stats: ActivationStats) -> str:
    here, alone = set(cut.channels.get(layer, ())), set(cut.alone)
    if here == alone:
        return ""
    reasons = _reasons(cut, layer, stats)
    why = f": Forget {listed(reasons)}" if reasons else ""
    same = f", {len(here & alone)} of them the same" if here else ""
    return f" Cut by itself at this ratio, this layer would lose {len(alone)}{same}{why}."


def _reasons(cut: Cut, layer: str, stats: ActivationStats) -> list[str]:
    """What Forget does otherwise than a cut of one layer by the scores of this page."""
    params = cut.params
    if layer not in cut.channels and (params.where != "all" or params.scope == "per_layer"):
        return [f"cuts {_WHERE[params.where]}"]
    reasons = [
        words[name]
        for words, name in ((_SCOPE, params.scope), (_DIRECTION, params.direction))
        if name in words
    ]
    if params.combine == "sequential" and len(cut.classes) > 1:
        reasons.append("prunes for one class after the other")
    if params.residual == "group":
        reasons.append("cuts a channel out of all parts of a residual sum")
    if params.tap != stats.tap:
        reasons.append(f"reads activations {TAPS[params.tap].partition(':')[0]}")
    elif cut.images != int(stats.counts.sum()):
        reasons.append(f"scores {cut.images:,} images instead of {int(stats.counts.sum()):,}")
    return reasons
