"""What the page of channel scores shows, worked out from statistics and selection; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts.channel_scores.cut import Cut, cut_of
from pages.parts.selection import Selection
from pages.parts.text import md
from unlearn_core.channels.activations import TAPS, ActivationStats
from unlearn_core.channels.ranking import by_score, dead, every_score, ranking, standout, value_range
from unlearn_core.channels.scoring import Array, WorkedScore, channel_scores, worked
from unlearn_core.plots.heatmap import LABELS, Heatmap, columns_a_page
from unlearn_core.words import counted, percent

METRICS = {"tf_idf": "TF-IDF", "tf": "TF", "idf": "IDF", "mean": "Mean activation"}
METRIC_HELP = (
    "**TF**: the channel's share of the layer's activation for a class. **IDF**: the fewer classes lie at or above the "
    "channel's own mean, the higher. **TF-IDF**: their product, what pruning goes by. **Mean activation**: what all of "
    "them are made from."
)
TAP_WORDS = (
    "Scores depend on where a channel is read. After batch norm and ReLU is what the next layer sees, and what these "
    "pages use. The paper's released code reads the ReLU of the raw convolution instead; batch norm may turn such a "
    "ranking round. Choose it to compare: it needs a scoring run of its own."
)


@dataclass(frozen=True)
class Cell:
    """The framed cell and the numbers behind it."""

    row: int
    channel: int
    worked: WorkedScore


@dataclass(frozen=True)
class View:
    """One layer's scores as they are to be drawn."""

    selection: Selection
    stats: ActivationStats
    means: Array
    by_layer: Mapping[str, Array]
    heatmap: Heatmap
    cell: Cell
    cut: Cut
    pages: tuple[str, ...]

    @cached_property
    def layers(self) -> dict[str, int]:
        """Channels of each convolution."""
        return {layer: self.stats.sums[layer].shape[1] for layer in self.stats.layers}


def view_of(selection: Selection, stats: ActivationStats) -> View:
    """What to draw for this selection."""
    metric = st.session_state.get("scores_metric") or "tf_idf"
    focus = stats.classes.index(selection.cls)
    forgotten = [stats.classes.index(name) for name in selection.forget]
    values = channel_scores(stats, metric).by_layer[selection.layer]
    specific = channel_scores(stats).by_layer
    means = stats.mean(selection.layer)
    row = _row(selection, focus)
    cut = cut_of(selection, stats)
    # IDF is the same for all classes: TF-IDF decides among equals.
    order = (
        by_score(values[focus])
        if metric != "idf"
        else sorted(by_score(specific[selection.layer][focus]), key=lambda c: -values[focus, c])
    )
    width = columns_a_page(len(stats.classes))
    pages = tuple(
        f"{a + 1}–{min(a + width, len(order))} of {len(order)}" for a in range(0, len(order), width)
    )
    at = min(int(st.session_state.get("scores_page") or 0), len(pages) - 1)
    heatmap = Heatmap(
        stats.classes, metric, values, order[at * width : (at + 1) * width], focus, forgotten,
        (row, selection.channel), cut.channels.get(selection.layer, ()), dead(means),
    )  # fmt: skip
    cell = Cell(row, selection.channel, worked(stats, selection.layer, row, selection.channel))
    by_layer = {layer: scores[focus] for layer, scores in specific.items()}
    return View(selection, stats, means, by_layer, heatmap, cell, cut, pages)


def remember_row(selection: Selection, row: int) -> None:
    """Keeps which class of the heatmap is explained, until model, class in focus or layer change."""
    st.session_state["scores_cell"] = (*_context(selection), row)


def _row(selection: Selection, focus: int) -> int:
    explained = st.session_state.get("scores_cell", ())
    return int(explained[-1]) if explained[:-1] == _context(selection) else focus


def _context(selection: Selection) -> tuple[str, ...]:
    return (selection.model, selection.data, selection.cls, selection.layer)


def finding(view: View) -> str:
    """What is to be seen, in one sentence that the table confirms."""
    layer, name = view.selection.layer, view.selection.cls
    best = standout(view.stats, layer, view.heatmap.focus)
    if best is None:
        return f"In {layer}, no channel speaks for “{name}”: every TF-IDF score is 0."
    compared = f"{best.times:.1f} times as active as for the next class"
    if best.times < 1.05:
        compared = (
            "about as active as for the next class"
            if best.times > 0.95
            else "though another class drives it more"
        )
    return (
        f"In {layer}, channel {best.channel} speaks most for “{name}”: it makes up {percent(best.share)} of the layer's "
        f"activation there, {compared}, and lies above its own mean in {best.above} of {view.cell.worked.num_classes} "
        "classes."
    )


def heading(view: View) -> str:
    """The heatmap's title on paper."""
    return f"{LABELS[view.heatmap.metric]} · {view.selection.layer} · sorted by {view.selection.cls}"


def legend(view: View) -> str:
    """What the colours stand for, and what the picture was made from."""
    low, high = value_range(view.heatmap.values)
    silent = len(view.heatmap.dead)
    empty = [md(name) for name, count in zip(view.stats.classes, view.stats.counts, strict=True) if not count]
    return (
        f"Min {low:.3g}, max {high:.3g} in this layer. "
        f"From {int(view.stats.counts.sum()):,} training images, read {TAPS[view.stats.tap].partition(':')[0]}. "
        f"Click a cell to see its score worked out."
        + (f" Hatched: {counted(silent, 'dead channel')}, zero for every class." if silent else "")
        + (f" No images, so no scores: {', '.join(empty)}." if empty else "")
    )


def formulas(score: WorkedScore) -> list[str]:
    """TF, IDF and their product with the live numbers, in TeX."""
    share = (
        rf"\frac{{\text{{mean}}}}{{\text{{layer sum}}}}=\frac{{{score.mean:.4g}}}{{{score.layer_sum:.4g}}}"
    )
    rarity = rf"\ln\frac{{1+{score.num_classes}}}{{1+{score.classes_above}}}"
    return [
        rf"\footnotesize\mathrm{{TF}}={share}={score.tf:.4f}",
        r"\footnotesize\begin{aligned}\mathrm{IDF}&=\ln\frac{1+\text{classes}}{1+\text{above}}\\"
        rf"&={rarity}={score.idf:.3f}\end{{aligned}}",
        rf"\footnotesize\mathrm{{TF}}\times\mathrm{{IDF}}={score.tf:.4f}\times{score.idf:.4f}=\mathbf{{{score.score:.4f}}}",
    ]


def explanation(view: View) -> str:
    """What the numbers mean, in words."""
    score, name = view.cell.worked, md(view.stats.classes[view.cell.row])
    size = view.layers[view.selection.layer]
    where = f"Rank **{score.rank} of {size}** for “{name}”."
    if score.mean == 0:
        return f"{where} The channel is silent for “{name}”, so TF is 0 and the score too."
    if score.classes_above == score.num_classes:
        return (
            f"{where} All {score.num_classes} classes drive the channel alike, so it tells none apart: IDF is ln 1 = 0, "
            "and the score is 0 however strong the channel is."
        )
    return (
        f"{where} {score.classes_above} of {score.num_classes} classes lie at or above the channel's mean: the fewer, the "
        "more the channel says about those. A channel that is strong for every class alike would score 0, as all of "
        "them would count."
    )


def table(view: View) -> pd.DataFrame:
    """The channels in view with what is known of each, in the heatmap's order."""
    heatmap = view.heatmap
    rows = ranking(view.stats, view.selection.layer, heatmap.focus, list(heatmap.channels))
    marks = {**dict.fromkeys(heatmap.pruned, "✕ would go"), **dict.fromkeys(heatmap.dead, "dead")}
    return pd.DataFrame([{**row, "state": marks.get(row["channel"], "")} for row in rows])


def columns(view: View) -> dict[str, Any]:
    """How the table's columns look."""
    config = st.column_config
    top = value_range(view.by_layer[view.selection.layer])[1] or 1.0
    return {
        "rank": config.NumberColumn("Rank", help="By TF-IDF for the class in focus", width="small"),
        "channel": config.NumberColumn("Channel", width="small"),
        "images": config.ImageColumn(
            "Driven most by", help="The four test images with the highest mean activation of the channel"
        ),
        "score": config.ProgressColumn("TF-IDF", format="%.4f", min_value=0.0, max_value=top),
        "tf": config.NumberColumn(
            "TF", format="percent", help="Share of the layer's activation for the class"
        ),
        "idf": config.NumberColumn(
            "IDF", format="%.3f", help="ln((1 + classes) / (1 + classes above the mean))"
        ),
        "mean": config.NumberColumn("Mean activation", format="%.4g"),
        "above": config.NumberColumn(
            "Classes above mean", help="In how many classes the channel is at or above its own mean"
        ),
        "strongest": config.TextColumn("Strongest for"),
        "state": config.TextColumn("At this ratio"),
    }


def layer_csv(view: View) -> str:
    """Every channel of the layer for every class, as CSV."""
    rows = every_score(view.stats, view.selection.layer, list(METRICS))
    return pd.DataFrame(rows).to_csv(index=False)
