"""Other people's checkpoints: which net their tensors are, and all that a file without a card doesn't say."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from unlearn_core.checkpoints.input_statistics import normalization_in
from unlearn_core.checkpoints.normalizing import Probe, choose_normalization
from unlearn_core.checkpoints.parametrizations import Whole, made_whole
from unlearn_core.checkpoints.reading import TensorFile
from unlearn_core.checkpoints.recognition import Fit, best_fit, fit_to, load_into
from unlearn_core.checkpoints.suspicion import outlying_weights, permutation, share_of_zeros
from unlearn_core.data.classes import align_classes
from unlearn_core.data.sets import Dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.models.registry import build_shell
from unlearn_core.models.specs import ModelCard, ModelSpec, Normalization, parse_normalization
from unlearn_core.words import percent

# Below this many times the accuracy of guessing, a model is not trained for these images and scores would mean nothing.
_TRAINED = 3.0
# Trained weights are never exactly zero: a hundredth that are were made so.
_SPARSE = 0.01


@dataclass(frozen=True)
class Hints:
    """What a person says of a checkpoint that doesn't say it itself.

    Attributes:
        arch: Its architecture; "" to recognise it.
        normalize: As `parse_normalization` reads it.
        part: Which of several models in the file; "" for the plain one.
        class_order: The names of its outputs in order, with commas between; "" for the data set's order.
        keep_zeros: Whether weights that are exactly zero are a sparse model's; None where nobody said.
    """

    arch: str = ""
    normalize: str = "auto"
    part: str = ""
    class_order: str = ""
    keep_zeros: bool | None = None


@dataclass(frozen=True)
class Understood:
    """A checkpoint of which everything is known or guessed.

    Attributes:
        net: With its weights.
        card: What it is, as far as it can be told.
        notes: What the person should know, as sentences.
    """

    net: nn.Module
    card: ModelCard
    notes: tuple[str, ...]


def understand(path: Path, file: TensorFile, dataset: Dataset, hints: Hints) -> Understood:
    """The net that a file without a card holds, with a card as good as the data set and the person's hints allow.

    Raises:
        UnlearnError: No net fits, several do, or it has other classes than the data.
    """
    try:
        whole = made_whole(file.tensors)
    except UnlearnError as error:
        raise UnlearnError(f"{path.name} can't be opened as a model: {error}") from error
    fit = _fit(path, whole.tensors, hints)
    net = build_shell(fit.spec).to_empty(device="cpu")
    load_into(net, whole.tensors, path.name)
    _require_classes(path, fit.spec, dataset)
    ordered = align_classes(dataset, _class_order(hints.class_order, dataset))
    normalization, facts, probe = _normalization(net, fit.spec, ordered, file, whole, hints)
    sparse, zeros = _sparsity(net, whole, hints)
    card = ModelCard(
        path.stem,
        fit.spec,
        ordered.classes,
        normalization,
        int(ordered.test.images.shape[-1]),
        str(dataset.spec),
        {**facts, **sparse},
    )
    notes = (
        *_low_accuracy(probe, ordered.classes, file.candidates),
        *_how_it_was_read(file, whole, fit),
        *zeros,
        *_doubts(net, file),
    )
    return Understood(net, card, notes)


def _fit(path: Path, tensors: Mapping[str, Tensor], hints: Hints) -> Fit:
    return fit_to(hints.arch, tensors, path.name) if hints.arch else best_fit(tensors)


def _require_classes(path: Path, spec: ModelSpec, dataset: Dataset) -> None:
    if len(dataset.classes) != spec.num_classes:
        raise UnlearnError(
            f"{path.name} has {spec.num_classes} outputs, but the data set {dataset.spec} has {len(dataset.classes)} "
            f"classes ({', '.join(dataset.classes[:12])}); choose the data set that the model was trained on."
        )


def _class_order(text: str, dataset: Dataset) -> Sequence[str]:
    """The classes in the order of the model's outputs; a name with a comma stands in quotation marks."""
    if not text.strip():
        return dataset.classes
    return tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True)))


def as_class_order(names: Sequence[str]) -> str:
    """The names as `class_order` reads them."""
    return ",".join(f'"{name}"' if "," in name else name for name in names)


def _normalization(
    net: nn.Module, spec: ModelSpec, dataset: Dataset, file: TensorFile, whole: Whole, hints: Hints
) -> tuple[Normalization, dict[str, Any], Probe]:
    """The normalisation given, the one that the file holds, or the usual one that fits best."""
    given = parse_normalization(hints.normalize)
    held = normalization_in({**file.beside, **whole.tensors})
    probe = choose_normalization(net, spec, dataset, given or held)
    chosen = "given" if given else "taken from the file" if held else probe.words
    facts = {
        "normalization_chosen": chosen,
        "normalization_tried": {n.name: a for n, a in probe.tried},
        "normalization_images": probe.images,
    }
    return probe.best, facts, probe


def _sparsity(net: nn.Module, whole: Whole, hints: Hints) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The facts of a sparse model's card, and what to say of zeros."""
    share = share_of_zeros(net)
    if share < _SPARSE or hints.keep_zeros is False:
        return {}, ()
    if not whole.masks and not hints.keep_zeros:
        return {}, (
            f"{percent(share)} of the convolutions' weights are exactly zero, as in a sparse model. If it is one, say so "
            "(--keep-zeros, or the question on the page Open a model): otherwise training fills them again.",
        )
    facts = {"method": "mask of the file" if whole.masks else "zeros of the file", "measured": share}
    sparsity = {**facts, "asked": None, "over": "convolution weights", "strict": False, "forget": None}
    return {"sparsity": sparsity}, (
        f"A sparse model: {percent(share)} of the convolutions' weights are zero and stay so.",
    )


def _low_accuracy(probe: Probe, classes: Sequence[str], parts: Sequence[str]) -> tuple[str, ...]:
    """Whether the model fits these images at all, and if not, what may be the cause."""
    accuracy = probe.tried[0][1]
    order = permutation(probe.labels, probe.answers, len(classes))
    if order is not None:
        names = as_class_order([classes[label] for label in order.label_of_output])
        return (
            f"Its answers are a permutation of the labels: in the order {names} it classifies "
            f"{percent(order.accuracy, 0)} rightly instead of {percent(accuracy, 0)}. Its outputs probably stand in that "
            f"order: open it again with --class-order '{names}' (on the page, Class order).",
        )
    if accuracy >= min(0.5, _TRAINED / len(classes)):
        return ()
    causes = ["other data", "another image size", "another order of classes", "another normalisation"]
    if len(parts) > 1:
        causes.append("another part of the file being the trained one")
    return (
        f"This model classifies only {percent(accuracy, 0)} of {probe.images} test images rightly (guessing gives "
        f"{percent(1 / len(classes), 0)}). Likely causes are {', '.join(causes[:-1])} or {causes[-1]}; scores of it mean little.",
    )


def _how_it_was_read(file: TensorFile, whole: Whole, fit: Fit) -> tuple[str, ...]:
    pairing = fit.pairing
    said = [file.chosen if len(file.candidates) > 1 else "", *whole.words]
    left = [*file.beside, *pairing.beside]
    if pairing.absent:
        said.append(f"{len(pairing.absent)} convolutions without a bias got zeros")
    if left:
        said.append(
            f"left out, because no layer uses it: {', '.join(left[:5])}" + (" ..." if len(left) > 5 else "")
        )
    notes = [f"Read from the file: {'; '.join(words for words in said if words)}."] if any(said) else []
    if pairing.ordered:
        notes.append(
            f"The names of its layers are not known, so they were matched with {fit.spec.arch} by their order and sizes."
        )
    return tuple(notes)


def _doubts(net: nn.Module, file: TensorFile) -> tuple[str, ...]:
    outlying = outlying_weights(net)
    notes = []
    if outlying:
        notes.append(
            f"A weight lies far outside the range of its layer ({', '.join(outlying[:3])}), as a flipped bit leaves it. "
            "Download or copy the file again if you did not expect that."
        )
    if not file.checked:
        notes.append(
            "This kind of file has no checksums: numbers that were damaged on the way can't all be noticed."
        )
    return tuple(notes)


def with_normalization(card: ModelCard, normalize: str) -> ModelCard:
    """The card with the normalisation that a person gives in place of its own."""
    given = parse_normalization(normalize)
    return replace(card, normalization=given) if given else card
