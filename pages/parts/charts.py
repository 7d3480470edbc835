"""Charts on the page's ground."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from unlearn_core.plots.gallery import SELECTION

_INK = {"light": "#3C4852", "dark": "#C3CDD4"}


def ink() -> str:
    """The colour of written marks on the present theme; Streamlit leaves them black."""
    return _INK.get(st.context.theme.type or "light", _INK["light"])


def inked(chart: Any) -> Any:
    """An Altair chart with its written marks readable on the present theme."""
    return chart.configure_text(color=ink())


def draw(spec: dict[str, Any], key: str, alt: str, clicked: Callable[[int], None] | None = None) -> None:
    """A gallery, or another plain Vega-Lite chart; `clicked` is told the key of the tile."""
    spec = {**spec, "config": {**spec["config"], "text": {"color": ink()}}}
    if clicked is None:
        st.vega_lite_chart(spec, key=key, alt=alt)
        return

    def changed() -> None:
        tiles = st.session_state[key].get("selection", {}).get(SELECTION, [])
        if tiles:
            clicked(int(tiles[0]["key"]))

    st.vega_lite_chart(spec, key=key, alt=alt, on_select=changed, selection_mode=SELECTION)
