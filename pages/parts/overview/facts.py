"""What the first page shows, gathered without torch: from the data pack, cards and finished runs."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from pages.parts import models, opened
from pages.parts.selection import Selection
from unlearn_core.channels.activations import ActivationStats
from unlearn_core.channels.ranking import by_score, next_in_line, owned
from unlearn_core.channels.scoring import tf_idf
from unlearn_core.errors import UnlearnError
from unlearn_core.plots.heatmap import Heatmap
from unlearn_core.results.loading import of_record
from unlearn_core.results.result import Forgetting
from unlearn_core.store.runs import RunState
from unlearn_core.unlearning.beside import words_of
from unlearn_core.unlearning.registry import short_label
from unlearn_core.workflows import pack
from unlearn_core.workflows.pack import PackedMaps, PackedModel, most_selective

__all__ = ["Facts", "Heatmap", "about", "most_selective"]

MOST_CHANNELS = 40
_TILES = 6


@dataclass(frozen=True, eq=False)
class Facts:
    """What there is to say of a model.

    Attributes:
        name: The model's.
        classes: Its classes.
        origin: Where the numbers come from, a sentence.
        accuracy: On the test set, in [0, 1]; None when nobody measured it.
        test_images: How many that were; 0 when unknown.
        num_layers: Convolutions; 0 when unknown.
        num_channels: Of all convolutions; 0 when unknown.
        stats: Activation statistics, or None.
        maps: Maps of a few images, or None.
        run: The result of an unlearning run of the model, or None.
        run_words: Which run that is.
    """

    name: str
    classes: tuple[str, ...]
    origin: str
    accuracy: float | None
    test_images: int
    num_layers: int
    num_channels: int
    stats: ActivationStats | None
    maps: PackedMaps | None
    run: Forgetting | None
    run_words: str


def about(chosen: Selection) -> Facts:
    """All there is to say of the selected model.

    Raises:
        UnlearnError: The data pack is missing or damaged.
    """
    card, stats = models.card_of(chosen.model), opened.stats(chosen)
    packed = _packed(chosen)
    recorded = card.get("facts", {})
    run, run_words = _stored_run(chosen) or _own_run(chosen) or (None, "")
    return Facts(
        name=str(card.get("name", chosen.model)),
        classes=tuple(card.get("classes", ())),
        origin=_origin(chosen, packed, stats),
        accuracy=packed.evaluation.test_accuracy if packed else recorded.get("accuracy"),
        test_images=packed.test_images if packed else int(recorded.get("test_images") or 0),
        num_layers=len(stats.layers) if stats else 0,
        num_channels=sum(s.shape[1] for s in stats.sums.values()) if stats else 0,
        stats=stats,
        maps=_maps(chosen.model, packed.model_digest) if packed else None,
        run=run,
        run_words=run_words,
    )


def heatmap(chosen: Selection, stats: ActivationStats) -> Heatmap:
    """The last convolution's most specific channels, side by side with those of the same class."""
    values = tf_idf(stats.mean(stats.layers[-1]))
    channel = channel_of(chosen, stats)
    ordered = owned(values, MOST_CHANNELS, channel)
    focus = stats.classes.index(chosen.cls)
    forgotten = [stats.classes.index(c) for c in chosen.forget]
    return Heatmap(
        stats.classes, "tf_idf", values, ordered, focus, forgotten, (focus, channel), pruned=(), dead=()
    )


def heatmap_words(shown: Heatmap, layer: str) -> str:
    """What the heatmap shows, for those who don't see it."""
    k, channel = shown.cell
    return (
        f"TF-IDF of {len(shown.channels)} channels of {layer} for {len(shown.classes)} classes. "
        f"The framed cell is channel {channel} for class {shown.classes[k]}: {shown.values[k, channel]:.4f}."
    )


def channel_of(chosen: Selection, stats: ActivationStats) -> int:
    """The selected channel, where it is one of the last convolution; else the class's most specific one."""
    if chosen.layer == stats.layers[-1]:
        return chosen.channel
    return by_score(tf_idf(stats.mean(stats.layers[-1]))[stats.classes.index(chosen.cls)])[0]


def picture_rows(
    maps: PackedMaps, stats: ActivationStats, focus: int, channel: int
) -> tuple[list[int], list[int]]:
    """Images of the class, and one of each of the other classes on which the channel is most active."""
    others = next_in_line(stats.mean(maps.layer)[:, channel], focus, _TILES)
    return maps.of_class(focus)[:_TILES], [maps.of_class(k)[0] for k in others]


def controls(run: Forgetting) -> pd.DataFrame:
    """The run and its controls: accuracy on forgotten and other classes in per cent, and seconds."""
    rows = [("Before", run.before, None), (short_label(run.method), run.after, run.seconds)]
    rows += [
        (
            words_of(name) + (", stored" if c.stored else ""),
            c.evaluation,
            c.seconds,
        )
        for name, c in run.controls.items()
    ]
    return pd.DataFrame(
        [
            {
                "model": label[:1].upper() + label[1:],
                "forgotten class": _in_percent(e.forget_test_accuracy),
                "other classes": _in_percent(e.retain_test_accuracy),
                "seconds": seconds,
            }
            for label, e, seconds in rows
        ]
    )


def _in_percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _packed(chosen: Selection) -> PackedModel | None:
    """What the pack says of the model; None where it is not a bundled one, or is shown with other data."""
    packed = opened.in_pack(chosen.model, chosen.data)
    return pack.read_pack().models.get(chosen.model) if packed else None


def _origin(chosen: Selection, packed: PackedModel | None, stats: ActivationStats | None) -> str:
    if packed:
        about = pack.read_pack()
        images = f"{packed.train_images:,} training and {packed.test_images:,} test images of {packed.data}"
        return f"Stored, computed {about.made} on {images} by: {about.command}"
    if stats is not None:
        return f"Scored on {int(stats.counts.sum()):,} training images of {chosen.data} by a run of yours."
    return ""


def _stored_run(chosen: Selection) -> tuple[Forgetting, str] | None:
    if not _packed(chosen) or chosen.model != pack.read_pack().default_model:
        return None
    run = pack.read_run()
    made, device = pack.read_pack().made, run.device_name
    words = f"Stored run, computed {made} with default settings, seed 0, on a {device}."
    return run, words


def _own_run(chosen: Selection) -> tuple[Forgetting, str] | None:
    """The newest finished unlearning run of the model and data."""
    for record in opened.store().list("unlearn", 200):
        asked = record.request.get("settings", {})
        same = (asked.get("model"), asked.get("data")) == (chosen.model, chosen.data)
        if same and record.state is RunState.SUCCEEDED:
            full = opened.store().get(record.id)
            result = of_record(full)
            if isinstance(result, Forgetting) and result.after.forget_classes:
                return result, f"Your run {full.name or full.id}"
    return None


@st.cache_resource(show_spinner=False, max_entries=4)
def _maps(reference: str, _digest: str) -> PackedMaps | None:
    try:
        return pack.read_maps(reference)
    except OSError as error:
        raise UnlearnError(
            f"The data pack lacks the maps of {reference}. Make it anew: {pack.COMMAND}"
        ) from error
