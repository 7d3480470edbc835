"""Opening a model of one's own: its data set, its checkpoint, and what Lethe made of them."""

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import frame, models, selection
from pages.parts.open import importing
from pages.parts.text import md
from unlearn_core.data.sources import DATASETS, DatasetSource
from unlearn_core.errors import UnlearnError
from unlearn_core.intervals import Tally, wilson
from unlearn_core.words import span

NORMALIZATIONS = {
    "auto": "find the one that fits",
    "none": "none: pixels in [0, 1]",
    "cifar10": "CIFAR-10's",
    "cifar100": "CIFAR-100's",
    "imagenet": "ImageNet's",
    "half": "0.5 for all: pixels in [-1, 1]",
    "cifar10_by_image": "CIFAR-10's, deviations by image (.2023, .1994, .2010)",
    "own": "mean and standard deviation of my own",
}
_RESULT = "open result"
_FAILED = "open failed"


def page() -> None:
    """The whole page."""
    count = len(models.at_hand())
    at_hand = "1 model is" if count == 1 else f"{count} models are"
    frame.head(
        "Open a model",
        f"{at_hand} at hand; open your own with the data that it was trained on.",
        "Checkpoints are read as tensors only: no code in them is ever run. Nothing leaves this machine.",
    )
    left, right = st.columns(2, gap="large")
    with left:
        data = _data_form()
    with right:
        _checkpoint_form(data)
    if _RESULT in st.session_state:
        _result(st.session_state[_RESULT])


def _data_form() -> str:
    """The data set that is chosen, as `parse_dataset` reads it; empty while a folder is still to be named."""
    st.subheader("1 · Data set")
    here, known = selection.current().data.partition(":"), list(DATASETS)
    kind = st.radio(
        "Data set",
        known,
        index=known.index(here[0]) if here[0] in known else 0,
        format_func=lambda name: DATASETS[name].short,
        captions=[source.caption for source in DATASETS.values()],
        key="open data",
        label_visibility="collapsed",
    )
    source = DATASETS[kind]
    text = _with_root(source, here[2] if kind == here[0] else "")
    if text:
        _look_at_data(source, text)
    return text


def _with_root(source: DatasetSource, known: str) -> str:
    if not source.takes_root:
        return source.name
    label = "Folder" if source.needs_root else "Folder that holds it (empty: Lethe's own data folder)"
    root = st.text_input(
        label,
        value=known,
        key=f"open root {source.name}",
        placeholder="/path/to/images",
        help="On the machine that Lethe runs on. Files are read and never changed.",
    ).strip()
    if source.needs_root and not root:
        st.caption("Name the folder to go on.")
        return ""
    return f"{source.name}:{root}" if root else source.name


def _look_at_data(source: DatasetSource, text: str) -> None:
    check, download = st.columns(2)
    wanted = check.button(
        "Look at the data", key="open look", help="Opens it and counts its images.", width="stretch"
    )
    fetch = source.download and download.button(
        f"Download ({source.download.size})",
        key="open download",
        help=f"From {source.download.origin}, into the folder above. "
        "Starts only with this click; any other click stops it.",
        width="stretch",
    )
    if not (wanted or fetch):
        return
    try:
        dataset = importing.open_data(text, download=bool(fetch))
    except UnlearnError as error:
        st.error(md(str(error)))
        return
    side = dataset.test.images.shape[-1]
    st.success(
        f"{len(dataset.train):,} training and {len(dataset.test):,} test images "
        f"in {len(dataset.classes)} classes, {side} × {side} pixels."
    )
    for note in dataset.notes:
        st.caption(md(note))
    _class_counts(dataset)


def _class_counts(dataset: Any) -> None:
    k = len(dataset.classes)
    counts = {
        "class": list(dataset.classes),
        "training images": dataset.train.labels.bincount(minlength=k).tolist(),
        "test images": dataset.test.labels.bincount(minlength=k).tolist(),
    }
    with st.expander("Images by class"):
        st.dataframe(pd.DataFrame(counts), hide_index=True)


def _checkpoint_form(data: str) -> None:
    st.subheader("2 · Checkpoint")
    source = st.segmented_control(
        "Where is it?", ["Upload", "On this machine"], default="Upload", required=True, key="open source"
    )
    content, path = None, ""
    if source == "Upload":
        content = st.file_uploader(
            "A file of weights: .pt, .pth, .th, .tar or .safetensors",
            key="open file",
            help="A state dict, bare or wrapped. At most 200 MB; name a larger one by its path.",
        )
    else:
        path = st.text_input("Path", key="open path", placeholder="/path/to/model.pth").strip()
    st.subheader("3 · How its input is normalised")
    normalize = _normalize_form()
    arch = _architecture_form()
    unsaid = _unsaid_form()
    ready = bool(data and normalize and (content or path))
    if st.button("Open the model", type="primary", disabled=not ready, key="open start"):
        _open(data, content, path, {"arch": arch, "normalize": normalize, **unsaid})
    if not ready:
        st.caption("Choose a data set and a file of weights to go on.")
    _failure()


def _normalize_form() -> str:
    """The normalisation as `parse_normalization` reads it; empty while numbers are still to be given."""
    kind = st.selectbox(
        "Normalisation",
        list(NORMALIZATIONS),
        format_func=NORMALIZATIONS.__getitem__,
        key="open normalize",
        label_visibility="collapsed",
        help="What was subtracted from the pixels and what they were divided by in training. "
        "A checkpoint doesn't say; the usual ones are tried on a few hundred test images.",
    )
    if kind != "own":
        return kind
    return st.text_input(
        "Means / standard deviations", key="open mean std", placeholder="0.5,0.5,0.5/0.2,0.2,0.2"
    ).strip()


def _architecture_form() -> str:
    """The architecture to take; empty to recognise it. Asked only once a readable file was not recognised."""
    failed = st.session_state.get(_FAILED, {})
    if not failed.get("table") and "open arch" not in st.session_state:
        return ""
    labels = {"": "recognise it from names and shapes", **importing.architectures()}
    return st.selectbox(
        "Architecture", list(labels), format_func=labels.__getitem__, key="open arch", persist_state="page"
    )


def _open(data: str, content: Any, path: str, hints: dict[str, Any]) -> None:
    """Opens, or keeps why it could not be done and what was in the file."""
    for key in (_RESULT, _FAILED):
        st.session_state.pop(key, None)
    try:
        dataset = importing.open_data(data, size=hints.pop("size"))
        with st.spinner("Reading the checkpoint and trying normalisations …"):
            if content is not None:
                with importing.uploaded(content.getvalue(), content.name) as file:
                    _take(file, content.name, dataset, hints)
            else:
                _take(Path(path).expanduser(), path, dataset, hints)
    except UnlearnError as error:
        st.session_state.setdefault(_FAILED, {"error": "", "table": []})["error"] = str(error)
    st.rerun()


def _take(file: Path, name: str, dataset: Any, hints: dict[str, Any]) -> None:
    try:
        opened = importing.import_checkpoint(file, name, dataset, hints)
    except UnlearnError:
        st.session_state[_FAILED] = {
            "error": "",
            "table": _table(file, hints["arch"], len(dataset.classes)),
            "arch": hints["arch"],
        }
        raise
    st.session_state[_RESULT] = opened
    selection.choose(model=opened.reference, data=opened.data)


def _unsaid_form() -> dict[str, Any]:
    """What a person knows of a checkpoint that doesn't say it; nothing where they leave it empty."""
    with st.expander("What the file doesn't say"):
        part = st.text_input(
            "Part", key="open part", help="Which model, where the file holds several, such as ema."
        ).strip()
        order = st.text_input(
            "Class order",
            key="open order",
            placeholder="airplane,automobile,bird",
            help="The classes in the order of its outputs; empty for the data set's order.",
        ).strip()
        size = st.number_input(
            "Image size in pixels",
            0,
            1024,
            0,
            key="open size",
            help="Side of the images; 0 for the data set's own.",
        )
        sparse = st.checkbox("It is a sparse model: weights that are exactly zero stay so", key="open zeros")
    return {"part": part, "class_order": order, "size": int(size), "keep_zeros": sparse or None}


def _table(file: Path, arch: str, classes: int) -> list[dict[str, str]]:
    """What differs from the chosen architecture, or what the file holds; nothing if it can't be read."""
    try:
        from unlearn_core.checkpoints.tables import difference_rows, tensor_rows

        return difference_rows(file, arch, classes) if arch else tensor_rows(file)
    except UnlearnError:
        return []


def _failure() -> None:
    failed = st.session_state.get(_FAILED)
    if not failed:
        return
    st.error(md(failed["error"]))
    if failed["table"]:
        words = f"Where it differs from {failed['arch']}" if failed["arch"] else "What the file holds"
        st.caption(f"{md(words)}: {len(failed['table'])} tensors")
        st.dataframe(pd.DataFrame(failed["table"]), hide_index=True, height=300)
        if not failed["arch"]:
            st.caption("If you know the architecture, choose it above and open the file again.")


def _result(opened: importing.Opened) -> None:
    st.divider()
    st.subheader(f"Opened: {md(opened.file)}")
    for note in opened.notes:
        st.warning(md(note))
    left, right = st.columns(2, gap="large")
    with left:
        st.dataframe(_identity(opened), hide_index=True)
    with right:
        _tried(opened)
    first, second, _ = st.columns([1, 1, 2])
    with first:
        selection.link("pages/overview.py", "**Score its channels** →")
    with second:
        selection.link("pages/forget.py", "Forget a class →")


def _identity(opened: importing.Opened) -> pd.DataFrame:
    rows = {
        "Architecture": opened.arch,
        "Parameters": f"{opened.parameters:,}",
        "Classes": f"{opened.classes}",
        "Data set": opened.data,
        "Normalisation": opened.normalization["name"],
        "Mean / standard deviation": " / ".join(
            ", ".join(f"{v:.3g}" for v in opened.normalization[part]) for part in ("mean", "std")
        ),
        "SHA-256 of the weights": opened.digest[:16],
        "Kept as": opened.reference,
    }
    return pd.DataFrame({"": list(rows), "value": list(rows.values())})


def _tried(opened: importing.Opened) -> None:
    if not opened.tried:
        st.caption("Its card names the normalisation; nothing had to be tried.")
        return
    n = opened.images
    rows = []
    for name, accuracy in opened.tried.items():
        ends = wilson(Tally.nearest(accuracy, n))
        rows.append(
            {
                "normalisation": name,
                "accuracy": 100 * accuracy,
                "95 % interval": f"{span(ends.low, ends.high)} %",
            }
        )
    st.caption(
        f"Each normalisation that was tried, on {n:,} test images; the first one was taken: {md(opened.chosen)}."
    )
    bar = st.column_config.ProgressColumn("accuracy", format="%.1f %%", min_value=0, max_value=100)
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config={"accuracy": bar})


frame.show(page)
