"""What the person has selected: one selection for all pages, kept in the URL, so that a link restores it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from pages.parts import models
from pages.parts.text import md
from unlearn_core.channels.ranking import by_score
from unlearn_core.channels.scoring import tf_idf
from unlearn_core.data.sources import DATASETS
from unlearn_core.workflows.pack import most_selective

DEFAULT_MODEL = "bundled:digits-resnet20"
_KEY = "lethe selection"
_LONGEST = 4096
_MOST_ROWS = 24
_MANY = ("forget", "rows")
_PAGES = Path(__file__).resolve().parents[2]
# What a choice makes meaningless unless it is chosen along with it.
_RESETS = {
    "model": ("data", "layer", "channel", "a", "b", "image", "scenario", "rows"),
    "data": ("a", "b", "image", "scenario", "rows"),
    "scenario": ("rows",),
    "cls": ("channel", "image"),
    "layer": ("channel",),
}


@dataclass(frozen=True)
class Selection:
    """The state that all pages share.

    Attributes:
        model: A reference: `bundled:NAME`, `imported:KEY` or `run:ID`; empty when no model is at hand.
        data: What `parse_dataset` reads.
        cls: The class in focus; empty without a model.
        forget: The classes in the forget basket.
        layer: A convolution; empty when the model has no scores yet and none was chosen.
        channel: A channel of the layer; -1 when the model has no scores yet and none was chosen.
        a: Run that is compared, or empty.
        b: Run that it is compared with, or empty.
        image: Position in the test set; -1 when none was chosen.
        scenario: What many runs are compared on, or empty.
        rows: Rows that are chosen there.
    """

    model: str
    data: str
    cls: str
    forget: tuple[str, ...]
    layer: str
    channel: int
    a: str
    b: str
    image: int
    scenario: str = ""
    rows: tuple[str, ...] = ()


def current() -> Selection:
    """The selection: from the URL, else from the session, else the defaults.

    A value that is unknown here is dropped, with a toast that names it.
    """
    chosen = {**st.session_state.get(_KEY, {}), **_from_url()}
    kept = _known(chosen)
    for name in chosen.keys() - kept.keys():
        st.toast(md(f"Ignored {name} = {str(chosen[name])[:80]!r}: there is no such {_WORDS[name]} here."))
    _keep(kept)
    return _filled(kept)


def choose(**changes: Any) -> None:
    """Changes the selection and the URL; None goes back to a default. The caller reruns if it has to."""
    chosen = {**st.session_state.get(_KEY, {}), **_from_url()}
    for name, value in changes.items():
        if value != chosen.get(name):
            for reset in _RESETS.get(name, ()):
                chosen.pop(reset, None)
    chosen = {k: v for k, v in {**chosen, **changes}.items() if v is not None}
    _keep(_known(chosen))


def classes() -> tuple[str, ...]:
    """The classes of the selected model, in its order."""
    return models.classes_of(current().model)


def link(page: str, label: str, **changes: Any) -> None:
    """A link to another page that takes the selection along; `changes` as in `choose`."""
    if not (_PAGES / page).exists():
        return
    values = {**st.session_state.get(_KEY, {}), **changes}
    st.page_link(page, label=label, query_params=_to_url(values))


def query() -> str:
    """The whole selection, defaults included, as the query part of a link."""
    from urllib.parse import urlencode

    return urlencode(_to_url(current().__dict__), doseq=True)


def _from_url() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in st.query_params:
        if name in _WORDS:
            values = [v[:_LONGEST] for v in st.query_params.get_all(name)]
            found[name] = tuple(values) if name in _MANY else values[-1]
    return found


def _keep(chosen: Mapping[str, Any]) -> None:
    st.session_state[_KEY] = dict(chosen)
    wanted = _to_url(chosen)
    present = {name: st.query_params.get_all(name) for name in st.query_params}
    others = {name: values for name, values in present.items() if name not in _WORDS}
    if present != {**others, **{k: v if isinstance(v, list) else [v] for k, v in wanted.items()}}:
        st.query_params.from_dict({**others, **wanted})


def _to_url(chosen: Mapping[str, Any]) -> dict[str, Any]:
    texts = {k: list(v) if k in _MANY else str(v) for k, v in chosen.items() if v is not None}
    return {k: texts[k] for k in _WORDS if texts.get(k) and texts[k] != "-1"}


def _known(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The choices that make sense here; numbers become numbers."""
    kept: dict[str, Any] = {}
    if models.exists(chosen.get("model", "")):
        kept["model"] = chosen["model"]
    names = models.classes_of(kept.get("model") or default_model())
    if str(chosen.get("data", "")).partition(":")[0] in DATASETS:
        kept["data"] = chosen["data"]
    if chosen.get("cls") in names:
        kept["cls"] = chosen["cls"]
    left = models.classes_left(kept.get("model") or default_model())
    if "forget" in chosen and all(c in left for c in chosen["forget"]):
        kept["forget"] = tuple(c for c in left if c in chosen["forget"])
    for name in ("channel", "image"):
        if str(chosen.get(name, "")).isascii() and str(chosen.get(name, "")).isdigit():
            kept[name] = min(int(str(chosen[name])[:9]), 10**8)
    if chosen.get("rows"):
        kept["rows"] = tuple(dict.fromkeys(str(row) for row in chosen["rows"]))[:_MOST_ROWS]
    return {**kept, **{k: str(chosen[k]) for k in ("layer", "a", "b", "scenario") if chosen.get(k)}}


def _filled(chosen: Mapping[str, Any]) -> Selection:
    """The choices, with defaults in the gaps: the most selective class, the last layer, its top channel."""
    from pages.parts import opened

    model = chosen.get("model") or default_model()
    names = models.classes_of(model)
    data = chosen.get("data") or str(models.card_of(model).get("dataset") or "digits")
    stats = opened.stats_of(model, data)
    layer, channel = str(chosen.get("layer", "")), int(chosen.get("channel", -1))
    cls = chosen.get("cls") or (names[0] if names else "")
    if stats is not None:
        layer = layer if layer in stats.layers else stats.layers[-1]
        scores = tf_idf(stats.mean(layer))
        cls = chosen.get("cls") or most_selective(stats)[0]
        if not 0 <= channel < scores.shape[1]:
            channel = by_score(scores[stats.classes.index(cls)])[0]
    forget = tuple(chosen.get("forget", ()))
    a, b, image = chosen.get("a", ""), chosen.get("b", ""), int(chosen.get("image", -1))
    scenario, rows = chosen.get("scenario", ""), tuple(chosen.get("rows", ()))
    return Selection(model, data, cls, forget, layer, channel, a, b, image, scenario, rows)


def default_model() -> str:
    """The model of the first screen; empty when there is none at all."""
    found = models.at_hand()
    return DEFAULT_MODEL if DEFAULT_MODEL in found else next(iter(found), "")


_WORDS = {
    "model": "model",
    "data": "data set",
    "cls": "class",
    "forget": "class",
    "layer": "layer",
    "channel": "channel",
    "a": "run",
    "b": "run",
    "image": "image",
    "scenario": "comparison",
    "rows": "row",
}
