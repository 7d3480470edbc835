"""How much work a run is, from its settings and the size of the data alone: in training steps, so that one measured step
of the model on the device at hand gives the time.

A training step is a forward pass, a backward pass that costs twice as much, and the update. Answers outside training, a
teacher's among them, are measured by themselves: they gain less from reduced precision than training steps.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Plain = Mapping[str, Any]

FORWARD = 1 / 3
"""A forward pass inside a training step, as a share of it."""

_EACH_PART = 0.4  # a small membership attack, timing and saving, measured with the bundled models
_EACH_PAIR = 2e-8  # fitting the attack's two machines, by pairs of images that the larger learns from: benchmarks.attack_cost
_START = 4.0  # starting Python, torch, model and data
_KEPT_PER_CLASS = 100  # images whose activations a run keeps, before and after


@dataclass(frozen=True)
class Sizes:
    """How many training images are kept and forgotten, test images, and classes there are."""

    retain: int
    forget: int
    test: int
    classes: int


@dataclass(frozen=True)
class Stint:
    """A stretch of like work.

    Attributes:
        images: Images that go through it, over all epochs.
        batch_size: Images at a time.
        steps: What one of them costs, in training steps of the same batch size.
        precision: Arithmetic of these steps.
    """

    images: float
    batch_size: int
    steps: float = 1.0
    precision: str = "auto"


@dataclass(frozen=True)
class Work:
    """What a method does.

    Attributes:
        stints: Work in batches.
        epochs: After how many epochs the test set is answered.
        answers: Images that are answered, or whose activations are read, beside that.
        gradients: Images whose own gradient is computed.
        pairs: Pairs of gradients that are multiplied.
    """

    stints: tuple[Stint, ...] = ()
    epochs: int = 0
    answers: float = 0
    gradients: float = 0
    pairs: float = 0


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


def work_of(method: str, params: Plain, sizes: Sizes, parameters: int = 0) -> Work:
    """What a method does with these settings; nothing where it only changes weights at one stroke.

    Args:
        method: Name in the registry.
        params: All its settings.
        sizes: Of the split.
        parameters: Of the model, as influence unlearning holds fewer gradients of a large one at once.
    """
    return _WORK[method](params, sizes, parameters) if method in _WORK else Work()


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


def _stint(images: float, params: Plain, steps: float = 1.0) -> Stint:
    return Stint(images, params["batch_size"], steps, params["precision"])


def _exact(images: float, params: Plain, steps: float = 1.0) -> Stint:
    """Gradients that are wanted themselves, in full precision."""
    return Stint(images, params["batch_size"], steps, "float32")


def _trained(images: Callable[[Sizes], float], steps: float = 1.0) -> Callable[[Plain, Sizes, int], Work]:
    """Passes over some of the images."""

    def work(params: Plain, sizes: Sizes, parameters: int) -> Work:
        return Work((_stint(params["epochs"] * images(sizes), params, steps),), params["epochs"])

    return work


def _pruned(params: Plain, sizes: Sizes, parameters: int) -> Work:
    everything = sizes.retain + sizes.forget
    scored = min(everything, params["images_per_class"] * sizes.classes or everything)
    tuned = min(sizes.retain, params["tune_images"] or sizes.retain)
    return Work((_stint(params["epochs"] * tuned, params),), params["epochs"] + 1, answers=scored)


def _salun(params: Plain, sizes: Sizes, parameters: int) -> Work:
    trained = _stint(params["epochs"] * (sizes.forget + sizes.retain), params)
    return Work((_exact(sizes.forget, params), trained), params["epochs"])


def _scrub(params: Plain, sizes: Sizes, parameters: int) -> Work:
    leaving = min(params["max_epochs"], params["epochs"]) * sizes.forget
    staying = params["epochs"] * sizes.retain
    asked = (sizes.test + params["epochs"] * sizes.forget) if params["rewind"] else 0
    away = Stint(leaving, params["forget_batch_size"], precision=params["precision"])
    # The teacher answers every image once, too.
    return Work((away, _stint(staying, params)), params["epochs"], answers=leaving + staying + asked)


def _bad_teacher(params: Plain, sizes: Sizes, parameters: int) -> Work:
    mixed = params["epochs"] * (sizes.forget + params["retain_share"] * sizes.retain)
    return Work((_stint(mixed, params),), params["epochs"], answers=2 * mixed)


def _boundary_shrink(params: Plain, sizes: Sizes, parameters: int) -> Work:
    found = _exact(sizes.forget, params, 1 + FORWARD)
    return Work((found, _stint(params["epochs"] * sizes.forget, params)), params["epochs"])


def _influence(params: Plain, sizes: Sizes, parameters: int) -> Work:
    m = min(params["samples"], sizes.retain)
    mean = _exact(sizes.forget + sizes.retain, params)
    if params["solver"] == "released":
        return Work((mean,), gradients=m, pairs=3 * m)
    fitting = int(params["memory"] * 2**30 / (4 * max(1, parameters)))
    chunk = m if m <= fitting else max(1, fitting // 2)
    chunks = math.ceil(m / max(1, chunk))
    # Each chunk's gradients are computed once as rows and once as the columns of every chunk before it.
    gradients = chunk * chunks * (chunks + 1) / 2
    return Work((mean, _exact(m, params)), gradients=gradients, pairs=m * m)


def _fisher(params: Plain, sizes: Sizes, parameters: int) -> Work:
    images = min(params["samples"] or sizes.retain, sizes.retain)
    # One backward pass for each class behind every forward pass.
    return Work((_exact(images, params, FORWARD + sizes.classes * (1 - FORWARD)),))


_WORK: Mapping[str, Callable[[Plain, Sizes, int], Work]] = {
    "tfidf_prune": _pruned,
    "random_prune": _pruned,
    "fine_tune": _trained(lambda sizes: sizes.retain),
    "retrain": _trained(lambda sizes: sizes.retain),
    "l1_sparse": _trained(lambda sizes: sizes.retain),
    "gradient_ascent": _trained(lambda sizes: sizes.forget),
    "random_label": _trained(lambda sizes: sizes.retain + sizes.forget),
    "salun": _salun,
    "scrub": _scrub,
    "neggrad": _trained(lambda sizes: sizes.retain, steps=2.0),
    "bad_teacher": _bad_teacher,
    "boundary_shrink": _boundary_shrink,
    "boundary_expand": _trained(lambda sizes: sizes.forget),
    "influence": _influence,
    "fisher": _fisher,
}

INSTANT = frozenset({"untouched", "mask_logit", "reset_row"})
"""Methods that only change weights at one stroke."""
