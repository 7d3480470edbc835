"""The second figure: the schedules of l1-sparse's penalty beside fine-tuning and retraining."""

import streamlit as st

from pages.parts.charts import inked
from pages.parts.downloads import table_behind
from pages.parts.sparsity import quantities
from pages.parts.text import md
from unlearn_core.experiments import schedules
from unlearn_core.experiments.families import Family
from unlearn_core.plots import sparsity as plots
from unlearn_core.unlearning.registry import REFERENCE, short_label

_SMALL = "convolution weights below 1e-4, %"
WHAT = (
    "l1-sparse begins with the dense model and adds γ times the sum of all absolute weights to the loss of fine-tuning. "
    "The weight γ stays, falls to 0 or grows from 0 over the epochs; the paper finds that falling does best."
)


def draw(family: Family) -> None:
    """Six charts, one a quantity, and the best schedule as a sentence."""
    st.caption(md(WHAT))
    rows = schedules.rows_of(family)
    missing = schedules.missing(rows)
    if len(missing) == len(schedules.SCHEDULES):
        st.info(
            "No run of l1-sparse is stored for this model and what it forgets. Start one on the Forget page; under "
            "“Course of the penalty” stand the three."
        )
        return
    if missing:
        st.caption(
            md(f"Not measured here: {', '.join(missing)}. Start them on the Forget page with l1-sparse.")
        )
    st.markdown(f"**{md(schedules.best(rows))}**")
    names, reference = list(dict.fromkeys(r["series"] for r in rows)), short_label(REFERENCE)
    st.altair_chart(inked(plots.legend(names, reference)), width="stretch", key=f"l1 legend {family.key}")
    quantities.draw(rows, lambda r, q: plots.schedules(r, names, q, reference), f"l1 {family.key}")
    st.caption(md(f"{quantities.READ_GREY} The dashed line is fine-tuning without a penalty."))
    table = quantities.readable(rows, (("γ", "gamma"), (_SMALL, "small")))
    table_behind(table, f"l1-sparse-{family.key}", formats={_SMALL: "%.2f"})
