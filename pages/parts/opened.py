"""What stands behind a selection: statistics, model, data set and images; each opened once and shared."""

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.parts.selection import Selection
from unlearn_core.channels.activations import ActivationStats, load_stats
from unlearn_core.checkpoints import catalog
from unlearn_core.data.sources import DATASETS, parse_dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.home import home
from unlearn_core.store.runs import RunState, RunStore

if TYPE_CHECKING:
    from unlearn_core.checkpoints.model_files import LoadedModel
    from unlearn_core.data.sets import Dataset

_MOST_FILES = 300_000  # a folder that somebody mistyped may be a whole disk


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
    if tap == "bn_relu" and packed.is_file() and in_pack(model, data):
        return packed
    return _scored(model, data, tap)


def in_pack(model: str, data: str) -> bool:
    """Whether the data pack speaks of this bundled model on this data.

    It was made from the data set that the model was trained on, whichever folder that lies in; a folder that was opened
    and holds other images is another data set.
    """
    from pages.parts.models import card_of

    card = card_of(model)
    own = data.partition(":")[0] == str(card.get("dataset", "")).partition(":")[0]
    return (
        model.startswith("bundled:")
        and own
        and _known_digest(model, data) in ("", card["facts"]["data_digest"])
    )


def _known_digest(model: str, data: str) -> str:
    """The digest of a data set in the model's order of classes, as it was last opened here; empty where it was not."""
    from pages.parts.models import classes_of

    return _digests().get((str(home()), data, classes_of(model)), "")


def _scored(model: str, data: str, tap: str) -> Path | None:
    """The statistics of the newest score run of a model, these very images and tap whose files are as it wrote them."""
    digest = _known_digest(model, data)
    for record in store().list("score", 200):
        asked = record.request.get("settings", {})
        same = (asked.get("model"), asked.get("data"), asked.get("tap", "bn_relu")) == (model, data, tap)
        if same and record.state is RunState.SUCCEEDED:
            # The runs page tells of a damaged run; here it is no score to show.
            with suppress(UnlearnError):
                if digest in ("", store().result(record.id)["inputs"]["data_digest"]):
                    return store().artifact(record.id, "stats.npz")
    return None


def dataset(selection: Selection) -> "Dataset":
    """The selected data set, with its labels in the model's order of classes.

    Raises:
        UnlearnError: It isn't there or isn't usable; the message says what to do.
    """
    from pages.parts.models import card_of

    card = card_of(selection.model)
    classes, size = tuple(card.get("classes", ())), int(card.get("image_size", 0))
    found = _dataset(selection.data, size, classes, str(home()), _stamp_of(selection.data))
    _digests()[str(home()), selection.data, classes] = found.digest
    return found


@contextmanager
def opened(selection: Selection) -> Iterator[tuple["LoadedModel", "Dataset"]]:
    """The model and its data set, for this thread alone: hooks and modes of a shared model are shared too.

    The training images are those that the model may still be trained on, as a run would take them.

    Raises:
        UnlearnError: The model or the data set can't be opened.
    """
    data = dataset(selection)
    # A digest of the data set, as hashing the images themselves takes long and streamlit would sample them.
    loaded, lock = _loaded(selection.model, _model_hash(selection.model), data.digest, data)
    with lock:
        yield loaded, _left(loaded.digest, data.digest, loaded, data)


@st.cache_resource(show_spinner=False, max_entries=8)
def _left(model: str, data: str, _loaded: Any, _data: Any) -> "Dataset":
    from unlearn_core.data.forgotten import forgotten_by
    from unlearn_core.data.leaving_out import leave_out

    return leave_out(_data, forgotten_by(_loaded.card.facts))


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
def _dataset(data: str, size: int, classes: tuple[str, ...], root: str, stamp: tuple[int, int]) -> "Dataset":
    from unlearn_core.data.classes import align_classes
    from unlearn_core.data.sources import open_dataset

    found = open_dataset(parse_dataset(data, size))
    return align_classes(found, classes) if classes else found


@st.cache_resource(show_spinner=False)
def _digests() -> dict[tuple[str, str, tuple[str, ...]], str]:
    """Digests of the data sets that were opened, by home, data set and order of classes."""
    return {}


def _stamp_of(data: str) -> tuple[int, int]:
    """What changes when the files behind a data set do."""
    spec = parse_dataset(data)
    if not DATASETS[spec.name].takes_root:
        return 0, 0
    return _tree(str(Path(spec.root).expanduser() if spec.root else home() / "data"))


# Tens of thousands of files take some tenths of a second to look at, and one click asks several times.
@st.cache_data(show_spinner=False, ttl=5, max_entries=8)
def _tree(root: str) -> tuple[int, int]:
    """How many files and folders lie below a folder, and when the last of them changed, in nanoseconds.

    The change time, as copying a file can keep its modification time.
    """
    changed = [entry.st_ctime_ns for entry in islice(_entries(root), _MOST_FILES)]
    return len(changed), max(changed, default=0)


def _entries(root: str) -> Iterator[os.stat_result]:
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            with suppress(OSError):  # gone meanwhile
                yield os.lstat(os.path.join(folder, name))


@st.cache_resource(show_spinner="Opening the model …", max_entries=4)
def _loaded(model: str, file_hash: str, data_digest: str, _data: "Dataset") -> tuple["LoadedModel", Any]:
    from unlearn_core.checkpoints.model_files import open_model

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
