"""How long an unlearning run takes: as long as one of as much work, else from its work and the measured speed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unlearn_core.running.bench import Bench, Estimate
from unlearn_core.running.watching import seconds_of_work
from unlearn_core.unlearning.registry import find_method
from unlearn_core.unlearning.work import Sizes, Work

_SAME = ("model", "data", "controls", "method")
_ALIKE = 0.05  # by how much the work of two runs may differ
_USUAL_BATCH = 128

_EACH_PART = 0.4  # a small membership attack, timing and saving, measured with the bundled models
_EACH_PAIR = 2e-8  # fitting the attack's two machines, by pairs of images that the larger learns from: benchmarks.attack_cost
_START = 4.0  # starting Python, torch, model and data
_KEPT_PER_CLASS = 100  # images whose activations a run keeps, before and after


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes:
        step: Seconds of one training step of a batch size, in an arithmetic.
        answer: Seconds of one image's answer.
        gradient: Seconds of one image's own gradient, and of multiplying two of them; asked only where it is needed.
    """

    step: Callable[[int, str], float]
    answer: Callable[[], float]
    gradient: Callable[[], tuple[float, float]]


def estimate(request: Mapping[str, Any], bench: Bench) -> Estimate:
    """How long a run would take.

    Raises:
        UnlearnError: Model, data or settings can't be used.
    """
    seconds = _computed(request, bench)
    for record in bench.past("unlearn"):
        theirs = record.request.get("settings", {})
        same = all(theirs.get(name) == request["settings"].get(name) for name in _SAME)
        if same and abs(_computed(record.request, bench) / seconds - 1) < _ALIKE:
            source = ": as long as the last run of this model and method with as much work."
            return Estimate(seconds_of_work(record) or seconds, source, by_past=True)
    return Estimate(seconds, _source(request.get("params", {}), bench))


def seconds_of(parts: Sequence[Work], sizes: Sizes, speed: Speed) -> float:
    """How long a run takes whose parts do this work, from its start to its last file.

    Args:
        parts: The method's work and that of each control.
        sizes: Of the split.
        speed: Of the model on the device.
    """
    answered = sizes.retain + sizes.forget + sizes.test
    kept = min(_KEPT_PER_CLASS * sizes.classes, sizes.retain + sizes.forget)
    evaluations = 1 + len(parts)
    images = answered * evaluations + kept * 2 + sum(w.answers + sizes.test * w.epochs for w in parts)
    own = sum(_seconds(work, speed) for work in parts)
    attack = _EACH_PART + _EACH_PAIR * (sizes.test + min(sizes.retain, sizes.test)) ** 2
    return _START + attack * evaluations + images * speed.answer() + own


def _seconds(work: Work, speed: Speed) -> float:
    total = sum(
        s.images * s.steps * speed.step(s.batch_size, s.precision) / s.batch_size for s in work.stints
    )
    if work.gradients:
        each, pair = speed.gradient()
        total += work.gradients * each + work.pairs * pair
    return total


def _source(params: Mapping[str, Any], bench: Bench) -> str:
    batch, precision = int(params.get("batch_size", _USUAL_BATCH)), str(params.get("precision", "float32"))
    return (
        f", start and evaluation included, from one training step of {batch} images measured on {bench.device}: "
        f"{bench.step(batch, precision):.2g} s. Other work on this machine makes it longer."
    )


def _computed(request: Mapping[str, Any], bench: Bench) -> float:
    sizes = _sizes(request["settings"], bench)
    return seconds_of(_parts(request, sizes, bench), sizes, Speed(bench.step, bench.answer, bench.gradient))


def _sizes(settings: Mapping[str, Any], bench: Bench) -> Sizes:
    """Counted, not split: that would copy every image of the data set."""
    from unlearn_core.data.classes import class_index
    from unlearn_core.workflows.ends import names_in

    _, dataset = bench.inputs
    images, fraction = len(dataset.train), float(settings.get("fraction") or 0)
    gone = {class_index(dataset.classes, name) for name in names_in(str(settings.get("forget", "")))}
    forget = sum(bench.images_by_class[k] for k in gone) or round(fraction * images)
    return Sizes(images - forget, forget, len(dataset.test), len(dataset.classes), bench.parameters)


def _parts(request: Mapping[str, Any], sizes: Sizes, bench: Bench) -> list[Work]:
    """The work of the method and of its controls, each with the settings that it runs with."""
    from unlearn_core.workflows.ends import names_in
    from unlearn_core.workflows.unlearn import control_params, method_params

    settings, card = request["settings"], bench.inputs[0].card
    method = find_method(settings["method"])
    own = method_params(method, request.get("params", {}), card)
    controls = [find_method(name) for name in names_in(str(settings["controls"])) if name != method.name]
    beside = [c.work(control_params(c, method, own, card), sizes) for c in controls]
    return [method.work(own, sizes), *beside]
