"""Comparing many runs: one row a model that was measured, from single runs and from stored studies alike."""

from unlearn_core.experiments.classes import by_class
from unlearn_core.experiments.finding import finding, ranked
from unlearn_core.experiments.pairing import AVERAGE
from unlearn_core.experiments.published import Beside, Published, beside
from unlearn_core.experiments.study import STUDIES, Study, read_study, studies, write_study
from unlearn_core.experiments.table import Row, Scenario, scenarios, table
from unlearn_core.experiments.trial import (
    CONTROLS,
    ORIGINAL,
    REFERENCE,
    Trial,
    from_plain,
    to_plain,
    trials_of,
)

__all__ = [
    "AVERAGE",
    "CONTROLS",
    "ORIGINAL",
    "REFERENCE",
    "STUDIES",
    "Beside",
    "Published",
    "Row",
    "Scenario",
    "Study",
    "Trial",
    "beside",
    "by_class",
    "finding",
    "from_plain",
    "ranked",
    "read_study",
    "scenarios",
    "studies",
    "table",
    "to_plain",
    "trials_of",
    "write_study",
]
