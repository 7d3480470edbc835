"""Models on disk: Lethe's own files (specification, card, plan and safetensors in one), and other people's checkpoints."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from unlearn_core.channels.pruning import PruningPlan, plan_from_plain, plan_to_plain
from unlearn_core.channels.surgery import remove
from unlearn_core.checkpoints import catalog
from unlearn_core.checkpoints.normalizing import fit_normalization, own_normalization
from unlearn_core.checkpoints.reading import read_tensors
from unlearn_core.checkpoints.recognition import load_into, recognise, require_fit
from unlearn_core.data.classes import align_classes
from unlearn_core.data.sets import Dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.registry import build_net, build_shell
from unlearn_core.models.specs import (
    NORMALIZATIONS,
    ModelCard,
    ModelSpec,
    Normalization,
    card_from_plain,
    card_to_plain,
    parse_normalization,
)
from unlearn_core.store.files import write_bytes
from unlearn_core.store.runs import RunStore

# Below this many times the accuracy of guessing, a model is not trained for these images and scores would mean nothing.
_TRAINED = 3.0
_PROBE_IMAGES = 500
# More than the largest network on offer (vgg16_bn on ImageNet) has, and half a gigabyte at most.
_MOST_PARAMETERS = 140_000_000


@dataclass(frozen=True)
class LoadedModel:
    """A model that is open.

    Attributes:
        model: Takes uint8 images (N, 3, H, W).
        card: What it is and how it was made.
        plan: The channels it lost, if any.
        digest: SHA-256 of names, types, shapes and values of its tensors.
        notes: What the person should know, as sentences.
    """

    model: Classifier
    card: ModelCard
    plan: PruningPlan | None
    digest: str
    notes: tuple[str, ...] = ()


def save_model(path: Path, model: Classifier, card: ModelCard, plan: PruningPlan | None = None) -> None:
    """Writes a model as one safetensors file that `open_model` reopens bit for bit; atomic."""
    write_bytes(path, model_bytes(model, card, plan))


def model_bytes(model: Classifier, card: ModelCard, plan: PruningPlan | None = None) -> bytes:
    """The bytes of such a file."""
    entry = {"format": 1, "card": card_to_plain(card), "plan": plan_to_plain(plan) if plan else None}
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.net.state_dict().items()}
    return safetensors_bytes(tensors, metadata={catalog.HEADER_KEY: json.dumps(entry)})


def open_model(
    reference: str | Path,
    dataset: Dataset | None = None,
    *,
    arch: str = "",
    normalize: str = "auto",
    device: torch.device | None = None,
) -> LoadedModel:
    """The model behind a reference, on the device and in evaluation mode.

    Args:
        reference: `bundled:NAME`, `imported:NAME`, `run:ID` or a path.
        dataset: Names the classes of a checkpoint without a card, and finds its normalisation.
        arch: The architecture of a checkpoint that names and shapes don't tell.
        normalize: `auto`, a name, or MEAN/STD; other than `auto` it takes the place of the card's.
        device: Where the model is to lie; the CPU if not given.

    Raises:
        UnlearnError: There is no such model, or the file can't be trusted or understood.
    """
    path = _path(str(reference))
    file = read_tensors(path)
    if catalog.HEADER_KEY in file.metadata:
        loaded = _own(path, file.tensors, file.metadata[catalog.HEADER_KEY])
        given = parse_normalization(normalize)
        if given:
            card = replace(loaded.card, normalization=given)
            loaded = replace(loaded, card=card, model=Classifier(loaded.model.net, given))
    else:
        loaded = _foreign(path, file.tensors, dataset, arch, normalize)
    loaded.model.to(device or torch.device("cpu")).eval()
    return loaded


def import_model(
    path: Path, dataset: Dataset, *, name: str, arch: str = "", normalize: str = "auto"
) -> tuple[str, LoadedModel]:
    """Takes a checkpoint into the user's folder as a file of Lethe's own; returns its reference and the model.

    Raises:
        UnlearnError: It can't be trusted or understood, or has other classes than the data; nothing is left behind.
    """
    loaded = open_model(path, dataset, arch=arch, normalize=normalize)
    align_classes(dataset, loaded.card.classes)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(name).stem).strip("-")[:40] or "model"
    key = f"{stem}-{loaded.digest[:8]}"
    card = replace(loaded.card, name=stem)
    save_model(catalog.imported_folder() / f"{key}.safetensors", loaded.model, card, loaded.plan)
    return f"imported:{key}", replace(loaded, card=card)


def fresh_model(card: ModelCard, seed: int) -> Classifier:
    """A newly initialised model of a card's specification and normalisation; the global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Classifier(build_net(card.spec), card.normalization)


def fresh_like(loaded: LoadedModel, seed: int) -> Classifier:
    """A newly initialised model of an open model's structure, also where channels were cut out of it; on the CPU."""
    fresh = fresh_model(loaded.card, seed)
    if loaded.plan is None:
        return fresh
    return Classifier(_pruned_like(fresh.net, loaded.plan, loaded.card), loaded.card.normalization)


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes: equal for equal models, whatever file holds them."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def measured_facts(
    net: nn.Module, accuracy: float | None, per_class: Sequence[float | None]
) -> dict[str, Any]:
    """What a card says of these very weights, and of no others: their test accuracy, and which they are.

    Args:
        net: The network.
        accuracy: On all test images.
        per_class: On those of each class, (K,).
    """
    return {
        "accuracy": accuracy,
        "per_class": list(per_class),
        "weights_digest": digest_of(net.state_dict()),
    }


def _path(reference: str) -> Path:
    if reference.startswith(("bundled:", "imported:")):
        return catalog.path_of(reference)
    if reference.startswith("run:"):
        return RunStore().artifact(reference.removeprefix("run:"), "model.safetensors")
    path = Path(reference).expanduser()
    if not path.is_file():
        raise UnlearnError(
            f"There is no model file {reference!r}; give a path, or one of: {', '.join(catalog.models())}."
        )
    return path


def _own(path: Path, tensors: dict[str, Tensor], header: str) -> LoadedModel:
    try:
        entry: dict[str, Any] = json.loads(header)
        card = card_from_plain(entry["card"])
        plan = plan_from_plain(entry["plan"]) if entry.get("plan") else None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UnlearnError(
            f"The card in {path.name} is damaged ({error}); save or download the model again."
        ) from error
    _require_plausible(path, card, plan, tensors)
    net = build_net(card.spec)
    if plan:
        net = _pruned_like(net, plan, card)
    load_into(net, tensors, path.name)
    return LoadedModel(Classifier(net, card.normalization), card, plan, digest_of(net.state_dict()))


def _require_plausible(
    path: Path, card: ModelCard, plan: PruningPlan | None, tensors: Mapping[str, Tensor]
) -> None:
    """A small file's card must not make us build a huge network: only shapes are built here, no weights.

    Raises:
        UnlearnError: The card's network has other tensors than the file, or is larger than any that loses channels here.
    """
    shell = build_shell(card.spec)
    if plan is None:
        require_fit(shell, tensors, path.name)
    elif sum(t.numel() for t in shell.state_dict().values()) > _MOST_PARAMETERS:
        raise UnlearnError(
            f"The card in {path.name} tells of a network with more than {_MOST_PARAMETERS:,} weights; "
            "save or download the model again."
        )


def _pruned_like(net: nn.Module, plan: PruningPlan, card: ModelCard) -> nn.Module:
    """The pruned structure, cut only where the stored plan says that channels were cut."""
    example = torch.zeros(2, card.spec.in_channels, card.image_size, card.image_size)
    return remove(net, plan, example, check=False)


def _foreign(
    path: Path, tensors: dict[str, Tensor], dataset: Dataset | None, arch: str, normalize: str
) -> LoadedModel:
    if dataset is None:
        raise UnlearnError(
            f"{path.name} has no card, so its classes are unknown; open it together with a data set."
        )
    spec = ModelSpec(arch, len(dataset.classes)) if arch else recognise(tensors)
    net = build_net(spec)
    load_into(net, tensors, path.name)
    if len(dataset.classes) != spec.num_classes:
        raise UnlearnError(
            f"{path.name} has {spec.num_classes} outputs, but the data set {dataset.spec} has {len(dataset.classes)} "
            f"classes ({', '.join(dataset.classes[:12])}); choose the data set that the model was trained on."
        )
    normalization, facts, notes = _normalization(net, spec, dataset, normalize)
    image_size = int(dataset.test.images.shape[-1])
    card = ModelCard(path.stem, spec, dataset.classes, normalization, image_size, str(dataset.spec), facts)
    return LoadedModel(Classifier(net, normalization), card, None, digest_of(net.state_dict()), notes)


def _normalization(
    net: nn.Module, spec: ModelSpec, dataset: Dataset, normalize: str
) -> tuple[Normalization, dict[str, Any], tuple[str, ...]]:
    """The normalisation given, or the usual one that fits best; with the accuracy of each that was tried."""
    given = parse_normalization(normalize)
    candidates = [given] if given else [*NORMALIZATIONS.values(), own_normalization(dataset.train.images)]
    probe = dataset.test.select(
        torch.linspace(0, len(dataset.test) - 1, min(_PROBE_IMAGES, len(dataset.test))).long()
    )
    tried = fit_normalization(net, spec, probe.images, probe.labels, candidates)
    best, accuracy = tried[0]
    facts = {
        "normalization_chosen": "given" if given else "the best of those tried",
        "normalization_tried": {n.name: a for n, a in tried},
        "normalization_images": len(probe),
    }
    return best, facts, _low_accuracy(accuracy, len(dataset.classes), len(probe))


def _low_accuracy(accuracy: float, classes: int, images: int) -> tuple[str, ...]:
    if accuracy >= min(0.5, _TRAINED / classes):
        return ()
    return (
        f"This model classifies only {accuracy:.0%} of {images} test images rightly (guessing gives {1 / classes:.0%}). "
        "It was probably trained on other data, with other classes or another normalisation; scores of it mean little.",
    )
