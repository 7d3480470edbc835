"""Who holds which images: drawn from the form at once, before anything runs."""

from typing import Any

import streamlit as st

from pages.parts import charts, selection
from pages.parts.downloads import table_behind
from pages.parts.opened import dataset
from pages.parts.text import md
from unlearn_core.plots import federation
from unlearn_core.results import federation as rounds
from unlearn_core.results.holdings import Held


def held_by(chosen: selection.Selection, clients: int, partition: str, seed: int) -> Held:
    """Images of each class at each client, (M, K), as a run with these settings deals them.

    Raises:
        UnlearnError: The data set can't be opened, or can't be dealt so.
    """
    data = dataset(chosen)
    return _held(data.digest, data.classes, clients, partition, seed, data)


def draw(held: Held, classes: tuple[str, ...], forget: list[int], key: str) -> None:
    """The picture, with the table behind it."""
    shown = max(1, min(len(held), federation.MOST_CELLS // max(1, len(classes))))
    rows = rounds.holding_rows(held[:shown], classes, forget)
    chart = federation.holdings(rows, classes)
    st.altair_chart(charts.inked(chart), width="stretch", key=f"holdings {key}")
    part = f"The first {shown:,} of {len(held):,} clients. " if shown < len(held) else ""
    marks = "✕ a class to forget, and the clients that carry it · " if forget else ""
    bubbles = "area: number of images · " if shown <= federation.MOST_BUBBLES else ""
    st.caption(md(f"{part}{marks}{bubbles}every training image lies with exactly one client."))
    table_behind(wide(held, classes), f"holdings_{key}")


def wide(held: Held, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row a client, one column a class."""
    return [
        {
            "client": client,
            **{name: int(n) for name, n in zip(classes, row, strict=True)},
            "all": int(row.sum()),
        }
        for client, row in enumerate(held)
    ]


@st.cache_resource(show_spinner="Dealing the images …", max_entries=32)
def _held(digest: str, classes: tuple[str, ...], clients: int, partition: str, seed: int, _data: Any) -> Held:
    from unlearn_core.federated.partition import draw as deal
    from unlearn_core.federated.partition import holdings, parse_partition

    labels = _data.train.labels.numpy()
    parts = deal(labels, clients, parse_partition(partition), seed=seed)
    return holdings(labels, parts, len(classes))
