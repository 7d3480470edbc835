"""The data pack: what the first page shows of the bundled models; made by one command, read without torch."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unlearn_core.channels.activations import ActivationStats, load_stats, save_stats
from unlearn_core.channels.scoring import tf_idf
from unlearn_core.checkpoints import catalog
from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, Report, silent
from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.loading import from_plain
from unlearn_core.results.plain import to_plain
from unlearn_core.results.result import Settings, UnlearnResult
from unlearn_core.store.files import read_json, write_bytes, write_json, write_npz
from unlearn_core.unlearning.beside import usual_controls
from unlearn_core.unlearning.registry import REFERENCE, find_method
from unlearn_core.workflows.requests import UnlearnRequest

if TYPE_CHECKING:
    from unlearn_core.checkpoints.model_files import LoadedModel
    from unlearn_core.data.sets import Dataset

COMMAND = "python -m unlearn_core pack --out assets/pack"
DEFAULT_MODEL = "bundled:digits-resnet20"
IMAGES_PER_CLASS = 6
_KEPT_OF_RUN = (
    "result.json",
    "plan.json",
    *(f"{name}_{when}.npz" for name in ("predictions", "stats") for when in ("before", "after")),
)
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class PackedMaps:
    """The last convolution's maps of a few test images, the first ones of each class.

    Attributes:
        layer: The convolution.
        images: As the model gets them, uint8 (N, H, W, 3).
        labels: True classes, (N,).
        indices: Positions in the test set, (N,).
        maps: Rectified maps in 255ths of each channel's `scale`, uint8 (N, C, h, w).
        scale: Each channel's largest value on these images, (C,).
    """

    layer: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    maps: NDArray[np.uint8]
    scale: NDArray[np.float32]

    def of_class(self, k: int) -> list[int]:
        """The places of a class's images."""
        return [int(i) for i in np.flatnonzero(self.labels == k)]

    def values(self, places: Sequence[int], channel: int) -> NDArray[np.float32]:
        """A channel's rectified maps of some of the images, (n, h, w)."""
        values: NDArray[np.float32] = (
            self.maps[places, channel].astype(np.float32) * self.scale[channel] / 255
        )
        return values


@dataclass(frozen=True)
class PackedModel:
    """A bundled model in the pack.

    Attributes:
        data: The data set that it was measured on.
        data_digest: Hash of its images.
        model_digest: Hash of the weights.
        train_images: How many images its statistics are of.
        test_images: How many images it was tested on.
        evaluation: On the whole test set.
        layers: How many channels each convolution has.
        channel: The most specific channel of the last convolution.
    """

    data: str
    data_digest: str
    model_digest: str
    train_images: int
    test_images: int
    evaluation: Evaluation
    layers: Mapping[str, int]
    channel: int


@dataclass(frozen=True)
class PackedRun:
    """The stored unlearning run: its folder in the pack, and the settings that it was started with."""

    folder: str
    settings: Settings


@dataclass(frozen=True)
class Pack:
    """What the pack says of itself.

    Attributes:
        made: The day, as 2026-01-31.
        command: What makes it anew.
        default_model: The reference of the model that the first page opens with.
        default_class: The class that it opens with.
        models: Each bundled model by its reference.
        run: The stored run of the default model.
    """

    made: str
    command: str
    default_model: str
    default_class: str
    models: Mapping[str, PackedModel]
    run: PackedRun


def folder() -> Path:
    """Where the pack of this installation lies."""
    return catalog.ASSETS / "pack"


def read_pack(where: Path | None = None) -> Pack:
    """What the pack says of itself, of each model and of the stored run.

    Raises:
        UnlearnError: The pack is missing or damaged; the message says how to make it.
    """
    path = (where or folder()) / "pack.json"
    try:
        values = read_json(path)
        if values["format"] != _FORMAT:
            raise KeyError("format")
        return from_plain(Pack, values, path.name)
    except (UnlearnError, KeyError) as error:
        raise UnlearnError(
            f"The data pack of the first page can't be read ({error}). Make it anew: {COMMAND}"
        ) from error


def read_stats(reference: str, where: Path | None = None) -> ActivationStats:
    """A bundled model's activation statistics over all training images."""
    return load_stats((where or folder()) / f"{_stem(reference)}.stats.npz")


def read_maps(reference: str, where: Path | None = None) -> PackedMaps:
    """A bundled model's maps of a few test images."""
    with np.load((where or folder()) / f"{_stem(reference)}.maps.npz", allow_pickle=False) as arrays:
        values = {name: arrays[name] for name in ("images", "labels", "indices", "maps", "scale")}
        return PackedMaps(str(arrays["layer"]), **values)


def most_selective(stats: ActivationStats) -> tuple[str, int]:
    """The largest TF-IDF of the last convolution: its class and its channel. The first page opens there."""
    scores = tf_idf(stats.mean(stats.layers[-1]))
    k, channel = np.unravel_index(np.nanargmax(scores), scores.shape)
    return stats.classes[int(k)], int(channel)


def make_pack(out: Path, report: Report = silent, data: Mapping[str, str] | None = None) -> Pack:
    """Computes the pack of all bundled models and writes it to `out`; returns what `read_pack` will read.

    Args:
        out: The folder, made if need be.
        report: Told of every step.
        data: Where data sets lie, by name, where not at their default place: {"cifar10": "cifar10:ROOT"}.

    Raises:
        UnlearnError: A bundled model or its data set is missing.
    """
    references = [name for name in catalog.models() if name.startswith("bundled:")]
    if DEFAULT_MODEL not in references:
        raise UnlearnError(
            f"There is no model {DEFAULT_MODEL} in {catalog.bundled_folder()}; train it first."
        )
    models = {name: _packed_model(out, name, data or {}, report) for name in references}
    about = {
        "format": _FORMAT,
        "made": time.strftime("%Y-%m-%d", time.gmtime()),
        "command": COMMAND,
        "default_model": DEFAULT_MODEL,
        "default_class": models[DEFAULT_MODEL]["class"],
        "models": models,
        "run": _packed_run(out, DEFAULT_MODEL, models[DEFAULT_MODEL]["class"], report),
    }
    write_json(out / "pack.json", about)
    return read_pack(out)


def read_run(where: Path | None = None) -> UnlearnResult:
    """The result of the stored unlearning run of the default model."""
    path = (where or folder()) / "run" / "result.json"
    return from_plain(UnlearnResult, read_json(path), path.name)


def model_figures(loaded: "LoadedModel", dataset: "Dataset", report: Report = silent) -> dict[str, Any]:
    """What the pack says of a model: its accuracy on the whole test set, and what it was measured on."""
    from unlearn_core.results.evaluation import evaluation_of, predictions

    tested = predictions(loaded.model, dataset.test, report)
    return {
        "data": dataset.spec.name,
        "data_digest": dataset.digest,
        "model_digest": loaded.digest,
        "train_images": len(dataset.train),
        "test_images": len(dataset.test),
        "evaluation": to_plain(evaluation_of(dataset.classes, (), tested)),
    }


def model_maps(loaded: "LoadedModel", dataset: "Dataset", layer: str) -> PackedMaps:
    """A layer's maps of the first test images of each class."""
    import torch

    from unlearn_core.channels.activations import first_per_class
    from unlearn_core.channels.feature_maps import image_maps

    chosen = torch.from_numpy(first_per_class(dataset.test.labels.numpy(), IMAGES_PER_CLASS))
    images = dataset.test.select(chosen)
    maps = np.stack([image_maps(loaded.model, image).maps[layer] for image in images.images])
    scale = maps.max(axis=(0, 2, 3))
    shares = maps / np.where(scale > 0, scale, 1)[:, None, None]
    return PackedMaps(
        layer,
        images.images.permute(0, 2, 3, 1).numpy(),
        images.labels.numpy(),
        images.indices.numpy(),
        np.rint(255 * shares).astype(np.uint8),
        scale.astype(np.float32),
    )


def _packed_model(out: Path, reference: str, data: Mapping[str, str], report: Report) -> dict[str, Any]:
    """Writes a model's statistics and maps; returns its entry."""
    from unlearn_core.channels.activations import collect
    from unlearn_core.workflows.ends import open_both
    from unlearn_core.workflows.requests import Opening

    name = _data_of(reference)
    dataset, loaded = open_both(Opening(reference, data.get(name, name), device="auto"), report)
    stats = collect(loaded.model, dataset.train, dataset.classes, report=report)
    save_stats(stats, out / f"{_stem(reference)}.stats.npz")
    maps = model_maps(loaded, dataset, stats.layers[-1])
    write_npz(out / f"{_stem(reference)}.maps.npz", vars(maps))
    cls, channel = most_selective(stats)
    layers = {layer: sums.shape[1] for layer, sums in stats.sums.items()}
    return {**model_figures(loaded, dataset, report), "layers": layers, "class": cls, "channel": channel}


def _packed_run(out: Path, reference: str, cls: str, report: Report) -> dict[str, Any]:
    """Forgets a class with the default settings, beside retraining; keeps the result without the weights."""
    from unlearn_core.workflows.unlearn import unlearn

    # Retrained here too, as the stored references keep no answers image by image for the audit.
    controls = ",".join([*usual_controls(find_method(UnlearnRequest().method)), REFERENCE])
    settings = {"model": reference, "data": _data_of(reference), "forget": cls, "controls": controls}
    with tempfile.TemporaryDirectory() as scratch:
        result = unlearn({"settings": settings, "params": {}}, Path(scratch), report)
        write_json(Path(scratch) / "result.json", to_plain(result))
        attacked = sorted(path.name for path in Path(scratch).glob("membership_*.npz"))
        for name in (*_KEPT_OF_RUN, *attacked):
            if (Path(scratch) / name).is_file():
                write_bytes(out / "run" / name, (Path(scratch) / name).read_bytes())
    report(Progress("writing the pack", 1, 1))
    return {"folder": "run", "settings": settings}


def _data_of(reference: str) -> str:
    """The name of the data set that a bundled model was trained on."""
    return str(catalog.read_header(catalog.path_of(reference))["card"]["dataset"])


def _stem(reference: str) -> str:
    return reference.removeprefix("bundled:")
