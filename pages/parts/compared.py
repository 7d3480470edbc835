"""Two models side by side: which runs there are to compare, and their files."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from pages.parts.opened import store
from pages.parts.selection import Selection
from unlearn_core.channels.activations import ActivationStats, load_stats
from unlearn_core.errors import UnlearnError
from unlearn_core.results.evaluation import Evaluation, Predictions
from unlearn_core.results.loading import result_from
from unlearn_core.results.predictions import load_predictions
from unlearn_core.results.result import Forgetting, Size
from unlearn_core.running.words import forgets, title_of, when
from unlearn_core.store.runs import RunState
from unlearn_core.workflows import pack

ORIGINAL = "original"
STORED = "stored"


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two models.

    Attributes:
        key: `original`, `stored` or a run's id.
        result: The result that it comes from.
        request: The settings of that run.
        source: A run's id, or `stored`: whose files to read.
        when: `before` or `after`: which of that run's two models it is.
    """

    key: str
    result: Forgetting
    request: dict[str, Any]
    source: str
    when: str

    @property
    def evaluation(self) -> Evaluation:
        """What this model still knows."""
        return self.result.before if self.when == "before" else self.result.after

    @property
    def size(self) -> Size:
        """How large and how fast this model is."""
        return self.result.size.before if self.when == "before" else self.result.size.after


def choices(chosen: Selection) -> list[str]:
    """The runs that can stand as B: finished ones, those of the selected model first, then the stored one."""
    kinds = [*store().list("unlearn", 300), *store().list("federated", 300)]
    finished = [r for r in kinds if r.state is RunState.SUCCEEDED and forgets(r)]
    finished.sort(key=lambda r: r.created, reverse=True)
    own = [r.id for r in finished if r.request.get("settings", {}).get("model") == chosen.model]
    others = [r.id for r in finished if r.id not in set(own)]
    stored = [STORED] if (pack.folder() / "run" / "result.json").is_file() else []
    of_stored = [STORED] if stored and chosen.model == pack.DEFAULT_MODEL else []
    return list(dict.fromkeys([*own, *of_stored, *others, *stored]))


def label_of(key: str) -> str:
    """What a side is called in the pickers."""
    if key == ORIGINAL:
        return "Original model"
    if key == STORED:
        return "Bundled example run"
    try:
        record = store().get(key)
    except UnlearnError:
        return key
    return f"{title_of(record)} · {when(record.created)}"


def side(key: str, other: str = "") -> Side:
    """The model behind a key; the original is the one that the other side's run started from.

    Raises:
        UnlearnError: There is no such run, or its files are damaged.
    """
    source = other if key == ORIGINAL else key
    result, request = _stored_run() if source == STORED else _own_run(source)
    return Side(key, result, request, source, "before" if key == ORIGINAL else "after")


def problem(a: Side, b: Side) -> str:
    """Why two models can't be compared; empty when they can."""
    ours, theirs = a.evaluation.classes, b.evaluation.classes
    if ours != theirs:
        return (
            f"These two models have different classes, so they can't be compared. A: {', '.join(ours)}. "
            f"B: {', '.join(theirs)}. Pick two runs of models with the same classes."
        )
    return ""


def caution(a: Side, b: Side) -> str:
    """What to bear in mind when comparing; empty when nothing."""
    if a.result.inputs.data_digest != b.result.inputs.data_digest:
        return "The two were measured on different images, so a difference may come from the images."
    return ""


def selection_of(chosen: Selection, which: Side) -> Selection:
    """The selection with the model and data that a side's run was made from: for its images."""
    settings = which.request["settings"]
    return replace(chosen, model=str(settings["model"]), data=str(settings["data"]))


def predictions(which: Side) -> Predictions:
    """The model's answers on the test images.

    Raises:
        UnlearnError: The run kept none.
    """
    return _predictions(str(_file(which, f"predictions_{which.when}.npz")))


def stats(which: Side) -> ActivationStats | None:
    """The model's activation statistics; None where they weren't kept.

    Of the model before, where the images lie at clients elsewhere, those that the clients reported.
    """
    for name in (f"stats_{which.when}.npz", *(["stats_reported.npz"] if which.when == "before" else [])):
        try:
            return _stats(str(_file(which, name)))
        except UnlearnError:
            continue
    return None


def num_channels(which: Side) -> int:
    """Channels of the unpruned model over all layers; 0 when unknown."""
    found = stats(replace(which, when="before"))
    if found is not None:
        return sum(values.shape[1] for values in found.sums.values())
    if which.source == STORED:
        return sum(pack.read_pack().models[pack.DEFAULT_MODEL].layers.values())
    return 0


def _stored_run() -> tuple[Forgetting, dict[str, Any]]:
    return pack.read_run(), {"settings": dict(pack.read_pack().run.settings), "params": {}}


def _own_run(run_id: str) -> tuple[Forgetting, dict[str, Any]]:
    result = result_from(store().result(run_id))
    if not isinstance(result, Forgetting):
        raise UnlearnError(
            f"{run_id} made no model forget, so there is no before and after; pick another run."
        )
    return result, store().get(run_id).request


def _file(which: Side, name: str) -> Path:
    if which.source != STORED:
        return store().artifact(which.source, name)
    path = pack.folder() / "run" / name
    if not path.is_file():
        raise UnlearnError(
            f"The bundled example run keeps no {name}; start a run of your own on the Forget page."
        )
    return path


# A finished run's files never change, so that the path says the content.
@st.cache_resource(show_spinner=False, max_entries=16)
def _predictions(path: str) -> Predictions:
    return load_predictions(Path(path))


@st.cache_resource(show_spinner=False, max_entries=16)
def _stats(path: str) -> ActivationStats:
    return load_stats(Path(path))
