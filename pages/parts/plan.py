"""The plan that TF-IDF pruning on the Forget page would carry out, for every page that shows it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.parts.methods import key_of
from pages.parts.opened import opened
from pages.parts.selection import Selection
from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.params import build, settings_of
from unlearn_core.unlearning.methods.tfidf_prune import METHOD, TfidfPruneParams

if TYPE_CHECKING:
    from unlearn_core.channels.activations import ActivationStats
    from unlearn_core.checkpoints.model_files import LoadedModel
    from unlearn_core.data.sets import Dataset

RATIO = key_of(METHOD.name, "ratio")
"""Under this key the session holds the form's pruning ratio."""
_SEED = "forget seed"
# The settings that decide the plan; a change of the others needs no new one.
_DECIDE = {"ratio", "scope", "where", "direction", "combine", "tap", "images_per_class", "residual", "cut"}


@dataclass(frozen=True)
class Planned:
    """A plan, and of what it is made.

    Attributes:
        plan: Which channels go.
        sizes: Channels of every convolution.
        images: How many images were scored.
    """

    plan: PruningPlan
    sizes: Mapping[str, int]
    images: int


def form_params() -> TfidfPruneParams:
    """The settings as the form of the Forget page has them in this session; the defaults where nobody changed them."""
    values = {
        s.name: st.session_state.get(key_of(METHOD.name, s.name), s.default)
        for s in settings_of(TfidfPruneParams)
    }
    return build(TfidfPruneParams, values)


def form_seed() -> int:
    """The seed as the form has it."""
    return int(st.session_state.get(_SEED, 0))


def plan_of(selection: Selection, params: TfidfPruneParams, seed: int) -> Planned:
    """What would be pruned to forget the basket; the same question is answered once.

    Raises:
        UnlearnError: Nothing would be pruned, or model or data can't be opened.
    """
    with opened(selection) as (loaded, data):
        return planned(loaded, data, selection.forget, params, seed)


def planned(
    loaded: "LoadedModel", data: "Dataset", forget: tuple[str, ...], params: TfidfPruneParams, seed: int
) -> Planned:
    """The same of a model and data that are open.

    Raises:
        UnlearnError: Nothing would be pruned.
    """
    return _planned(loaded.digest, data.digest, forget, deciding(params), seed, loaded, data)


def deciding(params: TfidfPruneParams) -> str:
    """The settings that decide the plan, as text to be compared."""
    return json.dumps({name: getattr(params, name) for name in sorted(_DECIDE)})


@st.cache_resource(show_spinner=False, max_entries=64)
def _planned(
    model: str, data: str, forget: tuple[str, ...], settings: str, seed: int, _loaded: Any, _data: Any
) -> Planned:
    from unlearn_core.data.split import ForgetSpec, split_dataset
    from unlearn_core.unlearning import preview

    params = build(TfidfPruneParams, json.loads(settings))
    split = split_dataset(_data, ForgetSpec(forget))
    stats = _statistics(model, data, params.tap, params.images_per_class, _loaded, split, params)
    plan = preview.planned(_loaded.model, split, params, stats, seed)
    sizes = {layer: sums.shape[1] for layer, sums in stats.sums.items()}
    return Planned(plan, sizes, int(stats.counts.sum()))


# Not by what is to be forgotten: the images that are scored are the same whatever it is.
@st.cache_resource(show_spinner="Scoring the channels on training images …", max_entries=16)
def _statistics(
    model: str, data: str, tap: str, per_class: int, _loaded: Any, _split: Any, _params: Any
) -> "ActivationStats":
    from unlearn_core.unlearning import preview

    return preview.scoring_stats(_loaded.model, _split, _params)
