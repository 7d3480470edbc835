"""How long runs would take: from the newest run of as much work, else from one measured training step."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.parts.opened import opened, store
from pages.parts.selection import Selection
from unlearn_core.running import cost
from unlearn_core.running.words import seconds_of
from unlearn_core.store.runs import RunState
from unlearn_core.unlearning.registry import find_method
from unlearn_core.unlearning.work import Sizes, Work
from unlearn_core.words import duration

_SAME = ("model", "data", "controls", "method")
_ALIKE = 0.05  # by how much the work of two runs may differ
_USUAL_BATCH = 128


def estimate(selection: Selection, requests: Sequence[Mapping[str, Any]], device: str) -> str:
    """How long these runs would take, one after the other, and how that is known.

    Raises:
        UnlearnError: Model, data or device can't be used.
    """
    with opened(selection) as (loaded, data):
        clock = _Clock(loaded, data, device)
        found = [clock.seconds(request) for request in requests]
        together = f" for all {len(requests)} runs" if len(requests) > 1 else ""
        total = duration(sum(seconds for seconds, _ in found))
        if all(measured for _, measured in found):
            return f"About {total}{together}: as long as the last run of this model and method with as much work."
        params = requests[0]["params"]
        batch = int(params.get("batch_size", _USUAL_BATCH))
        step = clock.step(batch, str(params.get("precision", "float32")))
    return (
        f"About {total}{together}, start and evaluation included, from one training step of {batch} images measured on "
        f"{device}: {step:.2g} s. Other work on this machine makes it longer."
    )


class _Clock:
    """The seconds of requests for one model, data set and device."""

    def __init__(self, loaded: Any, data: Any, device: str) -> None:
        self.loaded, self.data, self.device = loaded, data, device
        self.of_class = Counter(data.train.labels.tolist())
        self.parameters = sum(p.numel() for p in loaded.model.net.parameters())
        self.runs = [
            r
            for r in store().list("unlearn", 200)
            # A resumed run did only a part of the work in its last attempt.
            if r.state is RunState.SUCCEEDED and r.device == device and r.attempt == 1
        ]

    def seconds(self, request: Mapping[str, Any]) -> tuple[float, bool]:
        """How long a run takes, and whether one like it has."""
        total = self._computed(request)
        for record in self.runs:
            theirs = record.request.get("settings", {})
            same = all(theirs.get(k) == request["settings"].get(k) for k in _SAME)
            if same and abs(self._computed(record.request) / total - 1) < _ALIKE:
                return seconds_of(record) or total, True
        return total, False

    def step(self, batch_size: int, precision: str) -> float:
        """Seconds of one training step."""
        few = min(batch_size, len(self.data.train))
        return _step(*self._key, few, precision, self.device, self.loaded, self.data) / few * batch_size

    @property
    def _key(self) -> tuple[str, str]:
        return self.loaded.digest, self.data.digest

    def _computed(self, request: Mapping[str, Any]) -> float:
        speed = cost.Speed(
            self.step,
            lambda: _answer(*self._key, self.device, self.loaded, self.data),
            lambda: _gradient(*self._key, self.device, self.loaded, self.data),
        )
        return cost.seconds_of(self._parts(request), self._sizes(request["settings"]), speed)

    def _sizes(self, asked: Mapping[str, Any]) -> Sizes:
        """Counted, not split: that would copy every image of the data set."""
        from unlearn_core.data.classes import class_index
        from unlearn_core.workflows.ends import names_in

        data, fraction = self.data, float(asked.get("fraction") or 0)
        gone = {class_index(data.classes, name) for name in names_in(str(asked.get("forget", "")))}
        forget = sum(self.of_class[k] for k in gone) or round(fraction * len(data.train))
        return Sizes(len(data.train) - forget, forget, len(data.test), len(data.classes), self.parameters)

    def _parts(self, request: Mapping[str, Any]) -> list[Work]:
        """The work of the method and of its controls, each with the settings that it runs with."""
        from unlearn_core.workflows.ends import names_in
        from unlearn_core.workflows.unlearn import control_params, method_params

        asked, card = request["settings"], self.loaded.card
        method, sizes = find_method(asked["method"]), self._sizes(asked)
        own = method_params(method, request.get("params", {}), card)
        controls = [find_method(name) for name in names_in(str(asked["controls"])) if name != method.name]
        beside = [c.work(control_params(c, method, own, card), sizes) for c in controls]
        return [method.work(own, sizes), *beside]


@st.cache_resource(show_spinner=False, max_entries=64)
def _step(
    model: str, data: str, batch_size: int, precision: str, device: str, _loaded: Any, _data: Any
) -> float:
    """Measured once for each batch size, arithmetic and device."""
    from unlearn_core.models.recipe import Recipe
    from unlearn_core.unlearning import preview

    recipe = Recipe(batch_size=batch_size, precision=precision)
    return preview.step_seconds(_loaded.model, _data.train, recipe, device)


@st.cache_resource(show_spinner=False, max_entries=16)
def _answer(model: str, data: str, device: str, _loaded: Any, _data: Any) -> float:
    from unlearn_core.unlearning import preview

    return preview.answer_seconds(_loaded.model, _data.train, device)


@st.cache_resource(show_spinner=False, max_entries=16)
def _gradient(model: str, data: str, device: str, _loaded: Any, _data: Any) -> tuple[float, float]:
    from unlearn_core.unlearning import preview

    return preview.gradient_seconds(_loaded.model, _data.train, device)
