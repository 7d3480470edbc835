"""Each client's own scores beside those of all clients, and how far they disagree."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from pages.parts import charts
from pages.parts.downloads import table_behind
from pages.parts.federated.result import Shown
from pages.parts.opened import store
from pages.parts.text import md
from unlearn_core.channels.ranking import by_score, dead, in_common, value_range
from unlearn_core.channels.scoring import Array
from unlearn_core.errors import UnlearnError
from unlearn_core.federated.client_stats import layers_in
from unlearn_core.plots import race as races
from unlearn_core.plots.heatmap import SELECTION, Heatmap, heatmap_alt, heatmap_chart, heatmap_frame
from unlearn_core.results.holdings import Held, of_classes
from unlearn_core.store.runs import RunRecord
from unlearn_core.words import percent

_ALL, _PLAIN = "all clients", "plain average"
_COLUMNS = 40
_MOST_ROWS = 40


@dataclass(frozen=True)
class Scores:
    """One layer's TF-IDF scores.

    Attributes:
        layers: The layers that there are, in the order of the forward pass.
        rows: What the rows are: all clients, the plain average, then each client.
        clients: The clients, by number.
        counts: Images of each class that each client reported, (M, K).
        by_row: (rows, K, C); NaN for a class that a client reported no image of.
    """

    layers: tuple[str, ...]
    rows: tuple[str, ...]
    clients: tuple[int, ...]
    counts: Held
    by_row: Array


def draw(run: Shown) -> None:
    """The whole tab."""
    if run.result["action"] != "unlearn":
        st.info("Only unlearning reports statistics of channels; pick an unlearning run above.")
        return
    if run.asked("secure"):
        st.info(
            "This run added its statistics under masks: the server saw their sum, and no client's own scores."
        )
        return
    try:
        _body(run)
    except UnlearnError as error:
        st.error(md(str(error)))


@st.fragment
def _body(run: Shown) -> None:
    cut = {layer: g["channels"] for g in run.result["plan"]["groups"] for layer in g["layers"]}
    layers = layers_of(run.record)
    left, right = st.columns(2)
    first = next((i for i, name in reversed(list(enumerate(layers))) if name in cut), len(layers) - 1)
    layer = left.selectbox("Layer", layers, index=first, key=f"federated layer {run.record.id}")
    k = right.selectbox(
        "Class",
        range(len(run.classes)),
        index=run.forget[0],
        format_func=lambda i: f"✕ {run.classes[i]}" if i in run.forget else run.classes[i],
        key=f"federated class {run.record.id}",
    )
    scores = scores_of(run.record, layer, run.classes, run.result["params"]["tap"])
    pruned = tuple(int(c) for c in cut.get(layer, ()))
    _overview(run, scores, layer, int(k), pruned)
    _pair(run, scores, layer, int(k), pruned)
    _alone(run)


def _overview(run: Shown, scores: Scores, layer: str, k: int, pruned: tuple[int, ...]) -> None:
    """One class: all clients together on top, then every client; a click picks the client below."""
    values = scores.by_row[:, k]
    order = by_score(values[0])[:_COLUMNS]
    counts = [f"{row} · {n}" for row, n in zip(scores.rows, _images(scores, k), strict=True)][:_MOST_ROWS]
    picked = _picked(run, scores)
    shown = Heatmap(
        counts, "tf_idf", values[: len(counts)], order, 0, [], (picked, order[0]), pruned, dead(values[0])
    )
    st.markdown(f"**Every client on “{md(run.classes[k])}” in {md(layer)}**")
    key = f"federated rows {run.record.id}"
    st.altair_chart(
        heatmap_chart(shown),
        key=key,
        on_select=lambda: _clicked(key, run, scores),
        selection_mode=SELECTION,
        alt=heatmap_alt(shown, layer),
    )
    st.caption(
        f"TF-IDF of the {len(order)} channels that all clients together score highest; behind a row's name: images of the class "
        "that it reported. ✕ on top: what the plan prunes. An empty row reported none of it. Click a client to see it below."
    )
    frame = heatmap_frame(shown).pivot(index="class", columns="channel", values="value").loc[counts]
    table_behind(
        frame[order].reset_index().rename(columns=str).to_dict("records"),
        "clients_scores",
        formats={str(c): "%.4f" for c in order},
    )


def _pair(run: Shown, scores: Scores, layer: str, k: int, pruned: tuple[int, ...]) -> None:
    """All classes by channels: all clients together, beside the picked client alone."""
    st.session_state[_beside(run)] = _picked(run, scores)
    picked = st.selectbox(
        "Beside all clients",
        range(1, len(scores.rows)),
        format_func=lambda i: scores.rows[i],
        key=_beside(run),
    )
    order = by_score(scores.by_row[0, k])[:_COLUMNS]
    high = max(value_range(scores.by_row[row])[1] for row in (0, picked))
    columns = st.columns(2, gap="medium")
    for column, row in zip(columns, (0, picked), strict=True):
        values = scores.by_row[row]
        shown = Heatmap(run.classes, "tf_idf", values, order, k, run.forget, (k, -1), pruned, dead(values))
        with column:
            st.markdown(f"**{md(scores.rows[row].capitalize())}**")
            chart = heatmap_chart(shown, high)
            st.altair_chart(
                charts.inked(chart), key=f"federated side {row == 0}", alt=heatmap_alt(shown, layer)
            )
    st.markdown(md(disagreement(scores, run, picked, k, layer, pruned)))


def disagreement(scores: Scores, run: Shown, picked: int, k: int, layer: str, pruned: tuple[int, ...]) -> str:
    """How far a client's ranking for a class lies from that of all clients, in a sentence."""
    whole, alone = scores.by_row[0, k], scores.by_row[picked, k]
    name = scores.rows[picked].capitalize()
    count = len(pruned) or max(1, len(whole) // 5)
    common = in_common(whole, alone, count)
    if common is None:
        return f"{name} reported no image of “{run.classes[k]}”, so by itself it could not say which channels encode it."
    return (
        f"Of the {count} channels of {layer} that score highest for “{run.classes[k]}” over all clients, "
        f"{name.lower()} alone has {common} among its own {count} highest: they disagree on {count - common}."
    )


def _alone(run: Shown) -> None:
    """The plan that each client would make alone, against that of all."""
    told = run.federation.get("agreement")
    if not told:
        return
    carried = of_classes(run.held, run.forget)
    rows = [{"client": i, "images": carried[i], "share": share} for i, share in enumerate(told["alone"])]
    known = [r for r in rows if r["share"] is not None]
    if not known:
        return
    st.markdown("**What each client would prune alone**")
    worst = min(known, key=lambda r: r["share"])
    none = len(rows) - len(known)
    st.markdown(
        md(
            f"Alone, client {worst['client']} would miss most: it agrees on {percent(worst['share'], 0)} of the "
            f"{told['channels']} channels that all clients' exact statistics pick."
            + (
                f" {none} of {len(rows)} clients hold no image of the class and could plan nothing."
                if none
                else ""
            )
        )
    )
    chart = races.agreement_of_clients(sorted(known, key=lambda r: r["share"])[:_MOST_ROWS], told["chance"])
    st.altair_chart(charts.inked(chart), width="stretch", key="federated alone")
    st.caption("Over the whole network · dashed: random channels.")
    table_behind(
        [{**r, "share": None if r["share"] is None else 100 * r["share"]} for r in rows], "clients_alone"
    )


def layers_of(record: RunRecord) -> tuple[str, ...]:
    """The layers that the clients reported.

    Raises:
        UnlearnError: The run's file is missing or damaged.
    """
    return _layers(str(store().artifact(record.id, "client_stats.npz")))


def scores_of(record: RunRecord, layer: str, classes: tuple[str, ...], tap: str) -> Scores:
    """Scores of a layer: all clients, the plain average, each client.

    Raises:
        UnlearnError: The run's file is missing or damaged.
    """
    return _scores(str(store().artifact(record.id, "client_stats.npz")), layer, classes, tap)


# A finished run's files never change, so that the path says the content.
@st.cache_resource(show_spinner=False, max_entries=16)
def _layers(path: str) -> tuple[str, ...]:
    return layers_in(Path(path))


@st.cache_resource(show_spinner="Scoring every client …", max_entries=16)
def _scores(path: str, layer: str, classes: tuple[str, ...], tap: str) -> Scores:
    from unlearn_core.federated.agreement import layer_scores

    clients, counts, values = layer_scores(path, layer, classes, tap)
    rows = (_ALL, _PLAIN, *(f"client {c}" for c in clients))
    return Scores(_layers(path), rows, clients, counts, values)


def _images(scores: Scores, k: int) -> list[str]:
    told = scores.counts[:, k].tolist()
    return [f"{sum(told):,}"] * 2 + [f"{n:,}" for n in told]


def _picked(run: Shown, scores: Scores) -> int:
    """The row of the picked client; at first that of the one that disagrees most."""
    kept = st.session_state.get(_beside(run))
    if kept is not None and 1 <= kept < len(scores.rows):
        return int(kept)
    alone = (run.federation.get("agreement") or {}).get("alone", [])
    known = [
        (share, client)
        for client, share in enumerate(alone)
        if share is not None and client in scores.clients
    ]
    return 2 + scores.clients.index(min(known)[1]) if known else min(2, len(scores.rows) - 1)


def _clicked(key: str, run: Shown, scores: Scores) -> None:
    cells: list[dict[str, Any]] = st.session_state[key].get("selection", {}).get(SELECTION, [])
    if cells and 1 <= int(cells[0]["row"]) < len(scores.rows):
        st.session_state[_beside(run)] = int(cells[0]["row"])


def _beside(run: Shown) -> str:
    """The key of the widget that says which row stands beside all clients."""
    return f"federated beside {run.record.id}"
