"""Choosing a layer: stage chips, then the layers of the stage."""

from collections.abc import Callable, Mapping, Sequence

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
    stages = _stages(list(layers))
    stage = next((name for name, members in stages.items() if present in members), next(iter(stages)))
    if len(stages) > 1:
        _picker("Stage", list(stages), stage, f"{where}_stage", lambda name: stages[name][-1], str)
    if len(stages[stage]) > 1:
        prefix = f"{stage}." if len(stages) > 1 else ""
        _picker(
            "Layer", stages[stage], present, f"{where}_layer", str, lambda name: name.removeprefix(prefix)
        )


def _stages(layers: list[str]) -> dict[str, list[str]]:
    """Layers by the first part of their names, where that makes a handful of stages."""
    stages: dict[str, list[str]] = {}
    for layer in layers:
        stages.setdefault(layer.partition(".")[0], []).append(layer)
    if len(stages) == 2 and all("." in layer for layer in layers):
        return stages
    return stages if 1 < len(stages) <= _MOST_CHIPS else {"all": layers}


def _picker(
    label: str,
    options: Sequence[str],
    present: str,
    key: str,
    layer_of: Callable[[str], str],
    text_of: Callable[[str], str],
) -> None:
    """Chips for a few options, a list for many. The selection decides what is picked, not the widget."""
    st.session_state[key] = present if present in options else options[-1]

    def changed() -> None:
        if st.session_state[key] is not None:
            choose(layer=layer_of(st.session_state[key]))

    if len(options) <= _MOST_CHIPS:
        st.segmented_control(
            label, options, key=key, on_change=changed, format_func=text_of, required=True, help=_HELP[label]
        )
    else:
        st.selectbox(label, options, key=key, on_change=changed, help=_HELP[label])


_HELP = {
    "Stage": "A part of the network. Early stages have large maps of edges and strokes, late ones small maps of objects.",
    "Layer": "A convolution, by its name in the network. Its channels are read after batch norm and ReLU.",
}
