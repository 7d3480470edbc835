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
from unlearn_core.checkpoints import cards, catalog
from unlearn_core.checkpoints.foreign import Hints, understand, with_normalization
from unlearn_core.checkpoints.reading import TensorFile, read_tensors
from unlearn_core.checkpoints.recognition import load_into, require_fit
from unlearn_core.data.classes import align_classes
from unlearn_core.data.sets import Dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.registry import build_net, build_shell
from unlearn_core.models.specs import (
    ModelCard,
    card_from_plain,
    card_to_plain,
)
from unlearn_core.store.files import write_bytes
from unlearn_core.store.runs import RunStore

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
        parts: The models in the file, where it holds several.
    """

    model: Classifier
    card: ModelCard
    plan: PruningPlan | None
    digest: str
    notes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


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
    part: str = "",
    class_order: str = "",
    keep_zeros: bool | None = None,
    device: torch.device | None = None,
) -> LoadedModel:
    """The model behind a reference, on the device and in evaluation mode.

    Args:
        reference: `bundled:NAME`, `imported:NAME`, `run:ID` or a path.
        dataset: Names the classes of a checkpoint without a card, and finds its normalisation.
        arch: The architecture of a checkpoint that names and shapes don't tell.
        normalize: `auto`, a name, or MEAN/STD; other than `auto` it takes the place of the card's.
        part: Which model of a checkpoint that holds several.
        class_order: Names of the outputs of a checkpoint without a card, in order; "" for the data set's order.
        keep_zeros: Whether weights of such a checkpoint that are exactly zero are a sparse model's.
        device: Where the model is to lie; the CPU if not given.

    Raises:
        UnlearnError: There is no such model, or the file can't be trusted or understood.
    """
    path = _path(str(reference))
    hints = Hints(arch, normalize, part, class_order, keep_zeros)
    file = read_tensors(path, which=part)
    if catalog.HEADER_KEY in file.metadata:
        loaded = _own(path, file.tensors, file.metadata[catalog.HEADER_KEY])
        card = with_normalization(loaded.card, normalize)
        loaded = replace(loaded, card=card, model=Classifier(loaded.model.net, card.normalization))
    else:
        loaded = _foreign(path, file, dataset, hints)
    loaded.model.to(device or torch.device("cpu")).eval()
    return loaded


def import_model(path: Path, dataset: Dataset, *, name: str, **hints: Any) -> tuple[str, LoadedModel]:
    """Takes a checkpoint into the user's folder as a file of Lethe's own; returns its reference and the model.

    Args:
        path: Where it lies.
        dataset: The data that it was trained on.
        name: What the person calls it.
        hints: As `open_model` takes them.

    Raises:
        UnlearnError: It can't be trusted or understood, or has other classes than the data; nothing is left behind.
    """
    loaded = open_model(path, dataset, **hints)
    align_classes(dataset, loaded.card.classes)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(name).stem).strip("-")[:40] or "model"
    key = f"{stem}-{loaded.digest[:8]}"
    # A card's own data set is somebody's word; what the person opened it with is known to be there.
    card = replace(loaded.card, name=stem, dataset=str(dataset.spec))
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


def image_size_of(reference: str) -> int:
    """Side of the images in pixels that the card of a model names; 0 for a file without a card.

    Raises:
        UnlearnError: There is no such model.
    """
    path = _path(reference)
    try:
        return int(catalog.read_header(path)["card"]["image_size"])
    except UnlearnError:
        return 0


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
        read = cards.checked(entry["card"], path.name)
        card = card_from_plain(read.values)
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
    digest = digest_of(net.state_dict())
    return LoadedModel(
        Classifier(net, card.normalization), card, plan, digest, _card_notes(card, read, digest)
    )


def _card_notes(card: ModelCard, read: cards.CheckedCard, digest: str) -> tuple[str, ...]:
    notes = []
    if read.dropped:
        notes.append(
            f"Facts on its card that are unknown or out of range were left out: {', '.join(read.dropped[:5])}."
        )
    if card.facts.get("weights_digest", digest) != digest:
        notes.append(
            "Its weights are not those that its card was written for: the file was changed or damaged."
        )
    return tuple(notes)


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


def _foreign(path: Path, file: TensorFile, dataset: Dataset | None, hints: Hints) -> LoadedModel:
    if dataset is None:
        raise UnlearnError(
            f"{path.name} has no card, so its classes are unknown; open it together with a data set."
        )
    read = understand(path, file, dataset, hints)
    model = Classifier(read.net, read.card.normalization)
    parts = file.candidates if len(file.candidates) > 1 else ()
    return LoadedModel(model, read.card, None, digest_of(read.net.state_dict()), read.notes, parts)
