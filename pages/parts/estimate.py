"""How long a run would take: from the newest run like it, else from one measured training step."""

from collections.abc import Mapping
from typing import Any

from pages.parts.models import card_of
from pages.parts.opened import opened, store
from pages.parts.preview_panel import step_of
from pages.parts.run_words import duration, seconds_of
from pages.parts.selection import Selection
from unlearn_core.runs import RunState

_SAME_PARAMS = ("epochs", "batch_size", "precision", "augment")
_SAME_SETTINGS = ("model", "data", "method", "controls")
_TRAINED = {"random_prune", "fine_tune", "retrain"}


def estimate(selection: Selection, request: Mapping[str, Any], device: str) -> str:
    """How long it would take, and how that is known.

    Raises:
        UnlearnError: Model, data or device can't be used.
    """
    alike = _like(request, device)
    if alike is not None:
        return (
            f"About {duration(alike)}: as long as the last run with this model, method, epochs and controls."
        )
    params = request["params"]
    if "epochs" not in params:
        return "A few seconds: nothing is trained."
    step = step_of(selection, int(params["batch_size"]), str(params["precision"]), device)
    seconds = _computed(selection, request, step)
    return (
        f"About {duration(seconds)}, from one training step of {params['batch_size']} images measured on {device}: "
        f"{step:.2g} s. Other work on this machine makes it longer."
    )


def _computed(selection: Selection, request: Mapping[str, Any], step: float) -> float:
    from unlearn_core.data import ForgetSpec, split_dataset
    from unlearn_core.preview import run_seconds

    asked, params = request["settings"], request["params"]
    parts = [asked["method"], *str(asked["controls"]).split(",")]
    retrain = int(card_of(selection.model).get("facts", {}).get("recipe", {}).get("epochs", 12))
    epochs = [
        retrain if p == "retrain" else int(params["epochs"])
        for p in parts
        if p in _TRAINED or p == asked["method"]
    ]
    with opened(selection) as (_, data):
        split = split_dataset(
            data, ForgetSpec(selection.forget, float(asked["fraction"]), int(asked["seed"]))
        )
    return run_seconds(step, int(params["batch_size"]), epochs, split)


def _like(request: Mapping[str, Any], device: str) -> float | None:
    for record in store().list("unlearn", 200):
        asked, params = record.request.get("settings", {}), record.request.get("params", {})
        same = all(asked.get(k) == request["settings"].get(k) for k in _SAME_SETTINGS)
        same = same and all(params.get(k) == request["params"].get(k) for k in _SAME_PARAMS)
        # A resumed run did only a part of the work in its last attempt.
        if same and record.state is RunState.SUCCEEDED and record.device == device and record.attempt == 1:
            return seconds_of(record)
    return None
