"""What stands behind a selection: statistics, model, data set and images; each opened once and shared."""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.parts.selection import Selection
from unlearn_core import catalog
from unlearn_core.activations import ActivationStats, load_stats
from unlearn_core.errors import UnlearnError
from unlearn_core.home import home
from unlearn_core.runs import RunState, RunStore

if TYPE_CHECKING:
    from unlearn_core.checkpoints import LoadedModel
    from unlearn_core.data import Dataset


def store() -> RunStore:
    """The store of this person's runs."""
    return _store(str(home()))


def stats(selection: Selection) -> ActivationStats | None:
    """Activation statistics of the selected model and data; None when nobody has collected them yet."""
    return stats_of(selection.model, selection.data)


def stats_of(model: str, data: str, tap: str = "bn_relu") -> ActivationStats | None:
    """As `stats`: from the data pack for a bundled model, else from the newest score run; needs no torch."""
    path = stats_path(model, data, tap)
    return _stats(str(path), _stamp(path)) if path else None


def stats_path(model: str, data: str, tap: str = "bn_relu") -> Path | None:
    """The file that `stats_of` reads; in the data pack, or in a run's folder."""
    packed = catalog.ASSETS / "pack" / f"{model.removeprefix('bundled:')}.stats.npz"
    # The pack was made from the data set that the model was trained on, whichever folder it lies in.
    own = data.partition(":")[0] == _card_dataset(model)
    if model.startswith("bundled:") and own and tap == "bn_relu" and packed.is_file():
        return packed
    return _scored(model, data, tap)


def _scored(model: str, data: str, tap: str) -> Path | None:
    """The statistics of the newest score run of a model, data and tap whose files are as it wrote them."""
    for record in store().list("score", 200):
        asked = record.request.get("settings", {})
        same = (asked.get("model"), asked.get("data"), asked.get("tap", "bn_relu")) == (model, data, tap)
        if same and record.state is RunState.SUCCEEDED:
            # The runs page tells of a damaged run; here it is no score to show.
            with suppress(UnlearnError):
                return store().artifact(record.id, "stats.npz")
    return None


def dataset(selection: Selection) -> "Dataset":
    """The selected data set, with its labels in the model's order of classes.

    Raises:
        UnlearnError: It isn't there or isn't usable; the message says what to do.
    """
    from pages.parts.models import classes_of

    return _dataset(selection.data, classes_of(selection.model), str(home()))


@contextmanager
def opened(selection: Selection) -> Iterator[tuple["LoadedModel", "Dataset"]]:
    """The model and its data set, for this thread alone: hooks and modes of a shared model are shared too.

    Raises:
        UnlearnError: The model or the data set can't be opened.
    """
    data = dataset(selection)
    # A digest of the data set, as hashing the images themselves takes long and streamlit would sample them.
    loaded, lock = _loaded(selection.model, _model_hash(selection.model), data.digest, data)
    with lock:
        yield loaded, data


def thumbnails(selection: Selection, indices: Sequence[int], part: str = "test") -> list[str]:
    """Images of the data set, by their positions in its training or test part, as PNG data URIs."""
    from unlearn_core.plots.tiles import image_uri

    images = getattr(dataset(selection), part)
    where = {int(index): place for place, index in enumerate(images.indices.tolist())}
    return [image_uri(images.images[where[int(i)]].permute(1, 2, 0).numpy()) for i in indices]


@st.cache_resource(show_spinner=False, max_entries=4)
def _store(root: str) -> RunStore:
    return RunStore(Path(root))


@st.cache_resource(show_spinner=False, max_entries=16)
def _stats(path: str, stamp: tuple[int, int]) -> ActivationStats:
    return load_stats(Path(path))


@st.cache_resource(show_spinner="Opening the data set …", max_entries=3)
def _dataset(data: str, classes: tuple[str, ...], _home: str) -> "Dataset":
    from unlearn_core.data import align_classes, open_dataset, parse_dataset

    found = open_dataset(parse_dataset(data))
    return align_classes(found, classes) if classes else found


@st.cache_resource(show_spinner="Opening the model …", max_entries=4)
def _loaded(model: str, file_hash: str, data_digest: str, _data: "Dataset") -> tuple["LoadedModel", Any]:
    from unlearn_core.checkpoints import open_model

    return open_model(model, _data), threading.RLock()


def _model_hash(model: str) -> str:
    path = model_path(model)
    return _file_hash(str(path), _stamp(path))


def model_path(model: str) -> Path:
    """The weights file behind a reference.

    Raises:
        UnlearnError: There is no such model.
    """
    if model.startswith("run:"):
        return store().artifact(model.removeprefix("run:"), "model.safetensors")
    return catalog.path_of(model)


@st.cache_resource(show_spinner=False, max_entries=64)
def _file_hash(path: str, stamp: tuple[int, int]) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_size, about.st_mtime_ns


def _card_dataset(model: str) -> str:
    from pages.parts.models import card_of

    return str(card_of(model).get("dataset", "")).partition(":")[0]
