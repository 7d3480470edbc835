"""Finds the input normalisation that a net was trained with, when nobody says."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional

from unlearn_core.data.sets import Dataset, ImageSet
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import device_of, predict
from unlearn_core.models.specs import NORMALIZATIONS, ModelSpec, Normalization

_MOST_IMAGES = 500
_FEWEST_IMAGES = 64
_SECONDS = 6.0  # for all candidates together; a deep net is tried on fewer images
_TIMED_IMAGES = 16


@dataclass(frozen=True, eq=False)
class Probe:
    """A net tried on some test images.

    Attributes:
        best: The normalisation that was taken.
        tried: Each that was tried with its accuracy in [0, 1], best first.
        words: How the best came to be taken.
        labels: Of the test images.
        answers: The net's, under the best.
        images: How many.
    """

    best: Normalization
    tried: list[tuple[Normalization, float]]
    words: str
    labels: Int64[Tensor, " N"]
    answers: Int64[Tensor, " N"]
    images: int


def choose_normalization(
    net: nn.Module, spec: ModelSpec, dataset: Dataset, known: Normalization | None = None
) -> Probe:
    """The normalisation under which a net classifies most test images rightly, of the usual ones; or the one that is known."""
    usual = [*NORMALIZATIONS.values(), own_normalization(dataset.train.images)]
    candidates = [known] if known else usual
    count = _affordable(net, spec, dataset.test, len(candidates) + 1)
    test = _spread(dataset.test, count)
    tried = fit_normalization(net, spec, test.images, test.labels, candidates, _spread(dataset.train, count))
    best, accuracy = tried[0]
    tied = [n.name for n, a in tried[1:] if a == accuracy]
    words = "the best of those tried"
    if tied:
        words = f"as good on test images as {' and '.join(tied)}, better on training images"
    answers = predict(Classifier(net, best).to(device_of(net)), test.images).argmax(dim=1).cpu()
    return Probe(best, tried, words, test.labels, answers, len(test))


def _spread(images: ImageSet, count: int) -> ImageSet:
    """Some of the images, from the first to the last at equal distances."""
    return images.select(torch.linspace(0, len(images) - 1, min(count, len(images))).long())


def _affordable(net: nn.Module, spec: ModelSpec, images: ImageSet, passes: int) -> int:
    """How many images all passes together take a few seconds for."""
    few = _spread(images, _TIMED_IMAGES).images
    model = Classifier(net, NORMALIZATIONS["none"].for_channels(spec.in_channels)).to(device_of(net))
    started = time.perf_counter()
    predict(model, few)
    each = (time.perf_counter() - started) / max(1, len(few))
    return max(_FEWEST_IMAGES, min(_MOST_IMAGES, int(_SECONDS / (passes * each))))


def fit_normalization(
    net: nn.Module,
    spec: ModelSpec,
    images: UInt8[Tensor, "N 3 H W"],
    labels: Int64[Tensor, " N"],
    candidates: Sequence[Normalization],
    others: ImageSet | None = None,
) -> list[tuple[Normalization, float]]:
    """Each candidate with the net's accuracy under it, in [0, 1], best first.

    A few hundred images can't tell similar statistics apart by counting hits: of equal accuracies, the one with the lower
    cross-entropy on the other images comes first. On training images it differs most.

    Args:
        net: The net; its modes are restored.
        spec: Its spec; for nets of one channel, statistics of three are averaged.
        images: A few hundred.
        labels: In the order of the net's outputs.
        candidates: The normalisations to try.
        others: What ties are decided on; the same images if not given.
    """
    fitting = [candidate.for_channels(spec.in_channels) for candidate in candidates]
    logits = [_logits(net, candidate, images) for candidate in fitting]
    accuracies = [float((z.argmax(dim=1) == labels).double().mean()) for z in logits]
    best = max(accuracies, default=0.0)
    losses = [float(functional.cross_entropy(z, labels)) for z in logits]
    if others is not None and accuracies.count(best) > 1:
        for i in (i for i, accuracy in enumerate(accuracies) if accuracy == best):
            losses[i] = float(
                functional.cross_entropy(_logits(net, fitting[i], others.images), others.labels)
            )
    order = sorted(range(len(fitting)), key=lambda i: (-accuracies[i], losses[i]))
    return [(fitting[i], accuracies[i]) for i in order]


def _logits(net: nn.Module, normalization: Normalization, images: UInt8[Tensor, "N 3 H W"]) -> Tensor:
    return predict(Classifier(net, normalization).to(device_of(net)), images).cpu()


def own_normalization(images: UInt8[Tensor, "N 3 H W"]) -> Normalization:
    """Mean and standard deviation of each channel of these images, as the normalisation "own".

    A channel that never varies gets the standard deviation 1.
    """
    grey = torch.arange(256, dtype=torch.float64) / 255
    shares = torch.stack([images[:, c].flatten().bincount(minlength=256) for c in range(3)]).double()
    shares /= shares.sum(dim=1, keepdim=True)
    mean = (shares * grey).sum(dim=1)
    std = (shares * (grey - mean[:, None]) ** 2).sum(dim=1).sqrt()
    std[std < 1 / 512] = 1.0  # less than half a grey level: a constant channel
    return Normalization("own", tuple(mean.tolist()), tuple(std.tolist()))
