"""Choosing a layer: stage chips, then the layers of the stage."""

from collections.abc import Mapping

import streamlit as st

from pages.parts.selection import choose, current

_MOST_CHIPS = 10


def choose_layer(layers: Mapping[str, int], where: str) -> None:
    """Chips for the convolutions, in the order of the forward pass; a click changes the selection.

    Args:
        layers: Channels of each convolution.
        where: Which page draws them; part of the widgets' keys.
    """
    present = current().layer
    groups = _grouped(list(layers))
    stage = next((name for name, members in groups.items() if present in members), next(iter(groups)))
    if len(groups) > 1:
        _picker("Stage", list(groups), stage, f"{where}_stage", lambda name: groups[name][-1], str)
    if len(groups[stage]) > 1:
        prefix = f"{stage}." if len(groups) > 1 else ""
        _picker(
            "Layer", groups[stage], present, f"{where}_layer", str, lambda name: name.removeprefix(prefix)
        )


def _grouped(layers: list[str]) -> dict[str, list[str]]:
    """Layers by the first part of their names, where that makes a handful of groups."""
    groups: dict[str, list[str]] = {}
    for layer in layers:
        groups.setdefault(layer.partition(".")[0], []).append(layer)
    if len(groups) == 2 and all("." in layer for layer in layers):
        return groups
    return groups if 1 < len(groups) <= _MOST_CHIPS else {"all": layers}


def _picker(label, options, present, key, layer_of, shown) -> None:  # type: ignore[no-untyped-def]
    """Chips for a few options, a list for many. The selection decides what is chosen, not the widget."""
    st.session_state[key] = present if present in options else options[-1]

    def changed() -> None:
        if st.session_state[key] is not None:
            choose(layer=layer_of(st.session_state[key]))

    if len(options) <= _MOST_CHIPS:
        st.segmented_control(
            label, options, key=key, on_change=changed, format_func=shown, required=True, help=_HELP[label]
        )
    else:
        st.selectbox(label, options, key=key, on_change=changed, help=_HELP[label])


_HELP = {
    "Stage": "A part of the network. Early stages have large maps of edges and strokes, late ones small maps of objects.",
    "Layer": "A convolution, by its name in the network. Its channels are read after batch norm and ReLU.",
}
