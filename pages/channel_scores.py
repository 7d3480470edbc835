"""Channel scores: which channels of a layer speak for which class."""

import streamlit as st

from pages.parts import frame
from pages.parts.channel_scores import cut, views
from pages.parts.channel_scores.views import View
from pages.parts.layers import choose_layer
from pages.parts.opened import stats_of
from pages.parts.plan import RATIO
from pages.parts.score_run import ask_for_scores
from pages.parts.selection import choose, current, link
from pages.parts.surveys import strips_of, survey_of
from pages.parts.text import md
from unlearn_core.channels.activations import TAPS
from unlearn_core.channels.ranking import strongest_class
from unlearn_core.plots.channels import LAYER_SELECTION, activation_bars, layers_chart
from unlearn_core.plots.heatmap import LABELS, SELECTION, heatmap_alt, heatmap_chart, heatmap_frame
from unlearn_core.plots.printed import heatmap_png


def page() -> None:
    """The whole page."""
    frame.of_model("Channel scores", body)


@st.fragment
def body() -> None:
    """Everything that a click changes: it reruns alone."""
    with frame.explained():
        tap = st.session_state.get("scores_tap") or "bn_relu"
        stats = stats_of(current().model, current().data, tap)
        if stats is None:
            ask_for_scores(current(), tap)
        else:
            scores(views.view_of(current(), stats))
        tap_choice()
        if stats is not None:
            link("pages/feature_maps.py", "Next: see the channel fire on an image")


def scores(view: View) -> None:
    """The scores of a layer: heatmap, one score worked out, ranked channels, and all layers."""
    st.markdown(f"#### {md(views.finding(view))}")
    with st.container(horizontal=True, gap="medium"):
        choose_layer(view.layers, "scores")
    evidence, explanation = st.columns([1.6, 1], gap="medium")
    with evidence:
        heatmap(view)
    with explanation:
        worked_score(view)
    table(view)
    across_layers(view)


def heatmap(view: View) -> None:
    """The clickable heatmap with its cut line, pager, table and downloads."""
    st.segmented_control(
        "Colour shows",
        list(views.METRICS),
        key="scores_metric",
        default="tf_idf",
        required=True,
        format_func=views.METRICS.get,
        help=views.METRIC_HELP,
    )
    st.altair_chart(
        heatmap_chart(view.heatmap),
        key="scores_heat",
        on_select=clicked,
        selection_mode=SELECTION,
        alt=heatmap_alt(view.heatmap, view.selection.layer),
    )
    st.caption(views.legend(view))
    beside, pager = st.columns([2, 1], gap="large")
    with beside:
        ratio_choice(view)
        st.markdown(cut.sentence(view.cut, view.selection.layer, view.layers, view.stats))
    with pager:
        if len(view.pages) > 1:
            st.selectbox(
                "Channels, by rank",
                range(len(view.pages)),
                key="scores_page",
                format_func=view.pages.__getitem__,
            )
    heatmap_data(view)


def heatmap_data(view: View) -> None:
    """The table behind the heatmap, and both as files."""
    with st.expander("Show data"):
        cells = heatmap_frame(view.heatmap).pivot(index="class", columns="channel", values="value")
        st.dataframe(cells.loc[list(view.heatmap.classes)][list(view.heatmap.channels)])
        name = f"{view.selection.layer}-{view.heatmap.metric}"
        with st.container(horizontal=True):
            st.download_button("CSV of the layer", lambda: views.layer_csv(view), f"{name}.csv", "text/csv")
            st.download_button(
                "PNG of the heatmap",
                lambda: heatmap_png(view.heatmap, views.heading(view)),
                f"{name}.png",
                "image/png",
            )


def ratio_choice(view: View) -> None:
    """The pruning ratio of the Forget page, to be changed here too."""
    st.session_state["scores_ratio"] = view.cut.params.ratio
    st.slider(
        "Pruning ratio",
        0.0,
        0.95,
        step=0.01,
        key="scores_ratio",
        format="percent",
        on_change=lambda: st.session_state.update({RATIO: st.session_state["scores_ratio"]}),
        help="The share of channels that TF-IDF pruning removes; it is the same on the Forget page, with all other settings "
        "of the plan.",
    )


def clicked() -> None:
    """A cell of the heatmap: its channel becomes the page's, its class the row that is explained."""
    cells = st.session_state["scores_heat"].get("selection", {}).get(SELECTION, [])
    if cells:
        choose(channel=int(cells[0]["channel"]))
        views.remember_row(current(), int(cells[0]["row"]))


def worked_score(view: View) -> None:
    """The score of the framed cell, number by number."""
    cell = view.cell
    name = view.stats.classes[cell.row]
    st.subheader(f"Why channel {cell.channel} scores {cell.worked.score:.4f} for “{md(name)}”")
    for formula in views.formulas(cell.worked):
        st.latex(formula)
    st.markdown(views.explanation(view))
    means = view.means[:, cell.channel]
    highest = view.stats.classes[strongest_class(means)]
    st.altair_chart(
        activation_bars(means, view.stats.classes, cell.row, view.heatmap.forgotten),
        alt=f"Mean activation of channel {cell.channel} by class, highest for {highest}.",
    )
    st.caption("Dashed: the channel's mean over the classes. IDF counts the classes at or above it.")
    if name != view.selection.cls and st.button(f"Sort by “{md(name)}”", key="scores_sort"):
        choose(cls=name, channel=cell.channel)
        st.rerun(scope="fragment")
    link(
        "pages/feature_maps.py",
        f"See channel {cell.channel} on an image",
        channel=cell.channel,
        layer=view.selection.layer,
    )


def table(view: View) -> None:
    """The ranked channels; a row is the heatmap's twin for the keyboard."""
    st.subheader(
        f"Channels by {LABELS[view.heatmap.metric].partition(':')[0]} for “{md(view.selection.cls)}”"
    )
    channels = views.table(view)

    def picked() -> None:
        rows = st.session_state["scores_table"].get("selection", {}).get("rows", [])
        if rows:
            choose(channel=int(channels["channel"].iloc[rows[0]]))
            views.remember_row(current(), view.stats.classes.index(view.selection.cls))

    with st.spinner("Finding the test images that drive each channel most …"):
        channels.insert(2, "images", images_of(view))
    st.dataframe(
        channels,
        key="scores_table",
        hide_index=True,
        height=38 * 9,
        row_height=38,
        on_select=picked,
        selection_mode="single-row",
        column_config=views.columns(view),
        alt="Channels of the layer, ranked; the heatmap as a table.",
    )


def images_of(view: View) -> list[str]:
    """For each channel of the heatmap, the test images that drive it most, side by side."""
    layer, tap = view.selection.layer, view.stats.tap
    survey = survey_of(view.selection, layer, tap)
    return strips_of(view.selection, survey, tap, layer, tuple(view.heatmap.channels))


def across_layers(view: View) -> None:
    """All channels of the network at once, where asked for."""
    opened = st.expander(
        f"All layers at once, for “{md(view.selection.cls)}”", on_change="rerun", key="scores_all"
    )
    if not opened.open:
        return
    with opened:
        st.markdown(
            "Each tick is a channel. TF adds up to one within a layer, so a score shrinks as layers widen; here it is "
            "multiplied by the layer's number of channels. Click a tick to go there."
        )
        st.altair_chart(
            layers_chart(view.by_layer, (view.selection.layer, view.cell.channel), view.cut.channels),
            key="scores_layers",
            on_select=jumped,
            selection_mode=LAYER_SELECTION,
            alt="TF-IDF times width of every channel, layer by layer.",
        )


def jumped() -> None:
    """A tick of the cross-layer view."""
    ticks = st.session_state["scores_layers"].get("selection", {}).get(LAYER_SELECTION, [])
    if ticks:
        choose(layer=str(ticks[0]["layer"]), channel=int(ticks[0]["channel"]))


def tap_choice() -> None:
    """Where activations are read, and why it matters."""
    with st.expander("Where activations are read"):
        st.markdown(views.TAP_WORDS)
        st.radio(
            "Tap",
            list(TAPS),
            key="scores_tap",
            format_func=lambda tap: f"{tap}: {TAPS[tap]}",
            label_visibility="collapsed",
        )


frame.show(page)
