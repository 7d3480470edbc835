"""The rungs of a federated run: how the model does after each step, and what it has cost until then."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from unlearn_core.data.split import ForgetSplit
from unlearn_core.models.classifier import Classifier
from unlearn_core.results import evaluation
from unlearn_core.results.result import Rung, rung_of

T = TypeVar("T")


@dataclass
class Ladder:
    """The rungs so far, and the clock of the run, which stands still while the model is tested.

    Attributes:
        rungs: In their order.
        seconds: What the run's own work took.
    """

    rungs: list[Rung] = field(default_factory=list)
    seconds: float = 0.0

    def clocked(self, work: Callable[[], T]) -> T:
        """Does the work on the clock."""
        began = time.perf_counter()
        outcome = work()
        self.seconds += time.perf_counter() - began
        return outcome

    def add_rung(self, name: str, model: Classifier, split: ForgetSplit, sent: int) -> Rung:
        """The next rung: the model on the server's own test images.

        Args:
            name: Of the rung.
            model: As it is there.
            split: With the test images.
            sent: Bytes that went between server and clients until here.
        """
        tested = evaluation.tabulate(split, evaluation.test_predictions(model, split))
        self.rungs.append(rung_of(tested, name, seconds=round(self.seconds, 3), sent=sent))
        return self.rungs[-1]
