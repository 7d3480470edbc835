"""Progress and cancelling: one callable through all the work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


class RunCancelled(Exception):
    """Raised by a `Report` to stop the work; whoever started the work catches it."""


@dataclass(frozen=True)
class Progress:
    """One step of the work, as plain data.

    Attributes:
        stage: What is being done, in words a person reads ("fine-tuning").
        done: Steps finished in this stage.
        total: Steps of this stage; at least 1.
        metrics: Plain values known now (loss, epoch, accuracy per class as shares in [0, 1]).
    """

    stage: str
    done: int
    total: int
    metrics: Mapping[str, Any] = field(default_factory=dict)


Report = Callable[[Progress], None]
"""Told of every batch or step. Raises `RunCancelled` to stop the work there."""


def silent(progress: Progress) -> None:
    """A `Report` that listens to nothing."""


def renamed(report: Report, stage: str) -> Report:
    """The same listener, told of another stage: work that several callers share goes by each one's own name."""
    return lambda progress: report(replace(progress, stage=stage))
