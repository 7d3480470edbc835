"""How long making a model sparse would take: from the last run like it, else from one measured training step."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.parts.opened import opened, store
from pages.parts.selection import Selection
from unlearn_core.running.words import seconds_of
from unlearn_core.sparsify.registry import find_sparsifier
from unlearn_core.sparsify.sparsifier import effort_of
from unlearn_core.store.runs import RunState
from unlearn_core.words import duration

_START = 6.0  # seconds: a process, torch, model, data and the evaluations before and after
_SAME = ("model", "data", "sparsifier", "strict", "forget", "fraction")


def seconds(selection: Selection, request: Mapping[str, Any], device: str) -> tuple[float, str]:
    """Seconds that a run would take, and how that is known.

    Raises:
        UnlearnError: Model, data or settings can't be used.
    """
    for record in store().list("sparsify", 100):
        if record.state is RunState.SUCCEEDED and record.attempt == 1 and _alike(record.request, request):
            return seconds_of(record) or _START, "as long as the last run like it"
    from unlearn_core.sparsify.dense import origin_of
    from unlearn_core.workflows.sparsify import recorded, sparsifier_params

    asked = request["settings"]
    sparsifier = find_sparsifier(asked["sparsifier"])
    with opened(selection) as (loaded, data):
        params = sparsifier_params(sparsifier, request["params"], loaded)
        given = origin_of(params, recorded(loaded, data), asked["seed"]).given
        effort = effort_of(sparsifier, params, given=given, strict=asked["strict"])
        step = _step(loaded.digest, data.digest, params.batch_size, device, loaded, data)
        steps = -(-len(data.train) // params.batch_size)
        flows = effort.flows * _flow(loaded.digest, loaded, data) if effort.flows else 0.0
    told = f"{effort.epochs} epochs of {steps} steps, one of which took {step:.2g} s on {device}"
    return _START + effort.epochs * steps * step + flows, told


def sentence(selection: Selection, request: Mapping[str, Any], device: str) -> str:
    """The estimate as a sentence."""
    found, how = seconds(selection, request, device)
    return f"About {duration(found)}: {how}. Other work on this machine makes it longer."


def _alike(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    same = all(theirs.get("settings", {}).get(k) == ours["settings"].get(k) for k in _SAME)
    return same and theirs.get("params") == ours["params"]


@st.cache_resource(show_spinner=False, max_entries=64)
def _step(model: str, data: str, batch_size: int, device: str, _loaded: Any, _data: Any) -> float:
    from unlearn_core.models.recipe import Recipe
    from unlearn_core.unlearning import preview

    few = min(batch_size, len(_data.train))
    return preview.step_seconds(_loaded.model, _data.train, Recipe(batch_size=few), device)


@st.cache_resource(show_spinner=False, max_entries=16)
def _flow(model: str, _loaded: Any, _data: Any) -> float:
    """Seconds of one pass of the synthetic flow, the second of two."""
    import time

    import torch

    from unlearn_core.sparsify.synflow import flow, positive

    net = positive(_loaded.model.net)
    device = next(net.parameters()).device
    ones = torch.ones(
        1, _loaded.model.in_channels, *_data.train.images.shape[2:], dtype=torch.float64, device=device
    )
    flow(net, ones)
    started = time.perf_counter()
    flow(net, ones)
    return time.perf_counter() - started
