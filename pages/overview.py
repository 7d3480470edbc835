"""The first page: what the model is, which channels encode which class, and what forgetting did to it."""

from typing import Any

import streamlit as st

from pages.parts import frame, selection
from pages.parts.downloads import table_behind
from pages.parts.overview import facts as overview_facts
from pages.parts.score_run import ask_for_scores
from pages.parts.text import md
from unlearn_core.channels.activations import ActivationStats
from unlearn_core.channels.ranking import strongest_class
from unlearn_core.channels.scoring import worked
from unlearn_core.plots.channels import activation_bars
from unlearn_core.plots.dumbbell import dumbbell, most_telling
from unlearn_core.plots.heatmap import SELECTION, heatmap_chart, heatmap_frame
from unlearn_core.plots.overview import strip
from unlearn_core.results import comparison
from unlearn_core.results.claims import verdicts
from unlearn_core.results.result import Forgetting
from unlearn_core.results.verdicts import headline
from unlearn_core.words import percent, signed

CHART = "overview heatmap"
_MARKS = {"good": ":green[✓]", "bad": ":orange[!]", "note": "·"}


def page() -> None:
    """The whole page."""
    chosen = selection.current()
    if not chosen.model:
        frame.head("Overview")
        frame.no_model()
        return
    facts = overview_facts.about(chosen)
    frame.head("Overview", _finding(facts), facts.origin)
    _metrics(facts)
    if facts.stats is None:
        ask_for_scores(chosen, "bn_relu")
    else:
        _channels(chosen, facts, facts.stats)
    _forgetting(facts)
    selection.link("pages/channel_scores.py", "**Next: why these channels?** →")


def _finding(facts: overview_facts.Facts) -> str:
    """What forgetting did, where a run is stored; else what the scores say; else what the card says."""
    run = facts.run
    if run:
        return headline(run, facts.num_channels)
    if facts.stats:
        cls, channel = overview_facts.most_selective(facts.stats)
        layer = facts.stats.layers[-1]
        return f"Of all channels in {layer}, channel {channel} is the most specific to one class: {cls}."
    return f"{facts.name} tells {len(facts.classes)} classes apart; its channels have not been scored yet."


def _metrics(facts: overview_facts.Facts) -> None:
    columns = st.columns(4)
    if facts.accuracy is not None:
        columns[0].metric(
            "Test accuracy",
            percent(facts.accuracy),
            f"{facts.test_images:,} images" if facts.test_images else None,
            delta_color="off",
            delta_arrow="off",
            height="stretch",
            help=f"Share of {facts.test_images:,} test images that the untouched model classifies rightly.",
            border=True,
        )
    if facts.num_channels:
        columns[1].metric(
            "Channels",
            f"{facts.num_channels:,}",
            f"in {facts.num_layers} convolutions",
            delta_color="off",
            delta_arrow="off",
            height="stretch",
            help="Each channel of a convolution looks for something of its own, and gives one feature map.",
            border=True,
        )
    if facts.run:
        _run_metrics(columns[2], columns[3], facts.run)


def _run_metrics(left: Any, right: Any, run: Forgetting) -> None:
    rows = comparison.per_class(run.before, run.after)
    before, after = (e.group_tally(forgotten=True).share for e in (run.before, run.after))
    names = ", ".join(r["class"] for r in rows if r["forgotten"])
    left.metric(
        f"✕ {md(names)} after forgetting",
        percent(after),
        f"{100 * (after - before):+.1f} points",  # its colour follows from a hyphen, not from a minus
        delta_color="inverse",
        height="stretch",
        help=f"Accuracy on test images of the forgotten class; {percent(before)} before.",
        border=True,
    )
    others = [r for r in rows if not r["forgotten"]]
    worst = min(others, key=lambda r: r["difference"])
    right.metric(
        "Worst other class",
        f"{signed(worst['difference'])} points",
        f"class {md(worst['class'])}, {'inside' if worst['noise'] else 'outside'} the noise",
        delta_color="off" if worst["noise"] else "inverse",
        delta_arrow="off",
        height="stretch",
        help=f"The retained class that lost most, on {worst['images']} test images. Inside the noise: chance "
        "alone makes such differences.",
        border=True,
    )


def _channels(chosen: selection.Selection, facts: overview_facts.Facts, stats: ActivationStats) -> None:
    left, right = st.columns([62, 38], gap="large")
    layer = stats.layers[-1]
    with left:
        _heatmap(overview_facts.heatmap(chosen, stats), layer)
    with right:
        _detail(chosen, facts, stats, layer)


def _heatmap(shown: overview_facts.Heatmap, layer: str) -> None:
    st.subheader("Which channels encode which class", help=frame.TF_IDF)
    st.caption(
        f"The {len(shown.channels)} most specific channels of {md(layer)}, the last convolution, "
        "beside the class that each is most specific to. Click a cell."
    )
    st.altair_chart(
        heatmap_chart(shown).properties(height=min(44, 900 // len(shown.classes)) * len(shown.classes) + 60),
        key=CHART,
        on_select=_clicked,
        selection_mode=SELECTION,
        alt=overview_facts.heatmap_words(shown, layer),
    )
    table = heatmap_frame(shown)[["class", "channel", "value"]].rename(columns={"value": "TF-IDF"})
    table_behind(table.to_dict("records"), "overview-tf-idf")


def _clicked() -> None:
    cells = st.session_state[CHART]["selection"][SELECTION]
    if cells:
        classes = selection.classes()
        selection.choose(cls=classes[int(cells[0]["row"])], layer=None, channel=int(cells[0]["channel"]))


def _detail(
    chosen: selection.Selection, facts: overview_facts.Facts, stats: ActivationStats, layer: str
) -> None:
    channel = overview_facts.channel_of(chosen, stats)
    focus = stats.classes.index(chosen.cls)
    score, size = worked(stats, layer, focus, channel), stats.sums[layer].shape[1]
    st.subheader(f"Channel {channel}")
    st.caption(f"Number {score.rank} of {size} for class {md(chosen.cls)} (TF-IDF {score.score:.4f})")
    if facts.maps is None:
        st.info(
            "Its maps on images are on the page Maps: they are computed there, from the model and the data."
        )
    else:
        _strips(facts.maps, stats, focus, channel)
    means = stats.mean(layer)[:, channel]
    forgotten = [stats.classes.index(c) for c in chosen.forget]
    st.altair_chart(
        activation_bars(means, stats.classes, focus, forgotten),
        alt=f"Mean activation of channel {channel}; highest for {stats.classes[strongest_class(means)]}.",
    )
    selection.link("pages/feature_maps.py", "See it fire on any image →", layer=layer, channel=channel)


def _strips(maps: Any, stats: ActivationStats, focus: int, channel: int) -> None:
    own, others = overview_facts.picture_rows(maps, stats, focus, channel)
    high = float(maps.scale[channel])
    for rows, words in (
        (own, f"On images of {stats.classes[focus]}"),
        (others, "On the classes next in line"),
    ):
        st.caption(md(words))
        values = maps.values(rows, channel)
        names = [stats.classes[k] for k in maps.labels[rows]]
        st.html(strip(maps.images[rows], values, names, high, channel))
    st.caption(
        f"Dark is 0, bright is {high:.3g}, the channel's largest value on {len(maps.labels)} test images."
    )


def _forgetting(facts: overview_facts.Facts) -> None:
    run = facts.run
    st.divider()
    if not run:
        st.subheader("What forgetting does")
        st.info("No class has been forgotten with this model yet.")
        selection.link("pages/forget.py", "Forget a class →")
        return
    left, right = st.columns([62, 38], gap="large")
    with left:
        _dumbbells(run)
    with right:
        st.subheader("Is it gone?")
        st.caption(md(facts.run_words))
        for verdict in verdicts(run):
            st.markdown(f"{_MARKS[verdict.tone]} {md(verdict.text)}")
        selection.link("pages/before_after.py", "Look closer, before and after →")


def _dumbbells(run: Forgetting) -> None:
    rows = comparison.per_class(run.before, run.after)
    st.subheader("What forgetting does")
    st.caption("Ring before, disc after, ✕ forgotten; whiskers are 95 % intervals; grey is within the noise.")
    st.altair_chart(dumbbell(most_telling(rows)))
    table_behind(rows, "overview-classes")
    st.caption("The same beside its controls")
    percent = st.column_config.NumberColumn(format="%.1f %%")
    st.dataframe(
        overview_facts.controls(run),
        hide_index=True,
        column_config={
            "forgotten class": percent,
            "other classes": percent,
            "seconds": st.column_config.NumberColumn(format="%.1f"),
        },
    )


frame.show(page)
