"""A result as one picture for slides and papers: the ladder and the classes."""

import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unlearn_core.plots.dumbbell import most_telling
from unlearn_core.plots.ladder import order
from unlearn_core.plots.marks import FORGOTTEN, NOISE, RETAINED, Rows, marked


def result_png(title: str, ladder: Rows, classes: Rows) -> bytes:
    """The ladder on the left and the classes on the right, as PNG.

    Args:
        title: The finding; wrapped over the figure.
        ladder: From `comparison.ladder`.
        classes: From `comparison.per_class`.
    """
    telling = most_telling(classes)
    figure = Figure(figsize=(12, max(4.5, 0.32 * len(telling) + 1.6)), layout="constrained")
    left, right = figure.subplots(1, 2)
    # A class may be called "$x$": names are text here, not formulas.
    figure.suptitle(title.replace("$", r"\$"), fontsize=12, wrap=True)
    _ladder(left, ladder)
    _classes(right, telling)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()


def _ladder(axes: Any, rows: Rows) -> None:
    rungs = order([r["rung"] for r in rows])
    for name, colour, marker in (("forgotten", FORGOTTEN, "X"), ("retained", RETAINED, "o")):
        course = [r for r in rows if r["group"] == name]
        if course:
            x = [rungs.index(r["rung"]) for r in course]
            axes.fill_between(
                x, [r["low"] for r in course], [r["high"] for r in course], color=colour, alpha=0.15
            )
            axes.plot(
                x, [r["accuracy"] for r in course], color=colour, marker=marker, label=f"{name} classes"
            )
    axes.set_xticks(range(len(rungs)), rungs, rotation=30 if len(rungs) > 5 else 0)
    axes.set(ylim=(-2, 102), ylabel="test accuracy, % (95 % bands)")
    axes.legend(frameon=False, loc="best")
    axes.spines[["top", "right"]].set_visible(False)


def _classes(axes: Any, rows: Rows) -> None:
    y = np.arange(len(rows))
    for i, r in zip(y, rows, strict=True):
        colour = FORGOTTEN if r["forgotten"] else NOISE if r["noise"] else RETAINED
        axes.plot([r["before"], r["after"]], [i, i], color=colour, alpha=0.4, linewidth=3)
        axes.plot([r["after_low"], r["after_high"]], [i, i], color=colour, linewidth=1)
        axes.plot(r["before"], i, "o", markerfacecolor="none", color=colour, markersize=8)
        axes.plot(r["after"], i, "X" if r["forgotten"] else "o", color=colour, markersize=8)
    axes.set_yticks(y, [marked(r["class"], r["forgotten"]).replace("$", r"\$") for r in rows])
    axes.set(xlim=(-2, 102), xlabel="test accuracy, %: ring before, filled after, grey within noise")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
