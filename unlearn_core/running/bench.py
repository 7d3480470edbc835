"""What an estimate is made from: past runs, and the speed of a model on a device, measured where it is needed."""

from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from unlearn_core.store.runs import RunRecord, RunState, RunStore

if TYPE_CHECKING:
    from unlearn_core.checkpoints.model_files import LoadedModel
    from unlearn_core.data.sets import Dataset

T = TypeVar("T")

Measured = MutableMapping[tuple[Any, ...], Any]
"""What was measured before, by model, data set, device and what it is."""

_MOST_RUNS = 200


@dataclass(frozen=True)
class Estimate:
    """How long a run would take.

    Attributes:
        seconds: From its start to its last file.
        source: How that is known: the rest of a sentence that says how long.
        by_past: Whether it is known from a run before.
    """

    seconds: float
    source: str
    by_past: bool = False


class Bench:
    """A device with a model and its data set, which are opened only when something has to be measured.

    Args:
        store: Of past runs.
        device: On which a run would compute.
        opened: Opens the model, and the data set with its labels in the model's order of classes.
        measured: Kept from one bench to the next, so that nothing is measured twice.
    """

    def __init__(
        self,
        store: RunStore,
        device: str,
        opened: Callable[[], "tuple[LoadedModel, Dataset]"],
        measured: Measured,
    ) -> None:
        self.store, self.device = store, device
        self._opened, self._measured = opened, measured

    @cached_property
    def inputs(self) -> "tuple[LoadedModel, Dataset]":
        """The model and its data set.

        Raises:
            UnlearnError: They can't be opened.
        """
        return self._opened()

    @cached_property
    def images_by_class(self) -> Counter[int]:
        """How many training images each class has."""
        return Counter(self.inputs[1].train.labels.tolist())

    @cached_property
    def parameters(self) -> int:
        """How many numbers the model has learnt."""
        return sum(p.numel() for p in self.inputs[0].model.net.parameters())

    def past(self, kind: str) -> list[RunRecord]:
        """Finished runs of a kind on this device, newest first; a resumed one did but a part of its work at last."""
        return [
            r
            for r in self.store.list(kind, _MOST_RUNS)
            if r.state is RunState.SUCCEEDED and r.device == self.device and r.attempt == 1
        ]

    def step(self, batch_size: int, precision: str) -> float:
        """Seconds of one training step of so many images, in this arithmetic."""
        from unlearn_core.models.recipe import Recipe
        from unlearn_core.running import timing

        few = min(batch_size, len(self.inputs[1].train))
        recipe = Recipe(batch_size=few, precision=precision)
        seconds = self._once(("step", few, precision), timing.step_seconds, recipe)
        return seconds / few * batch_size

    def answer(self) -> float:
        """Seconds of one image's answer."""
        from unlearn_core.running import timing

        return self._once(("answer",), timing.answer_seconds)

    def gradient(self) -> tuple[float, float]:
        """Seconds of one image's own gradient, and of multiplying two of them."""
        from unlearn_core.running import timing

        return self._once(("gradient",), timing.gradient_seconds)

    def flow(self) -> float:
        """Seconds of one pass of the synthetic flow."""
        from unlearn_core.running import timing

        return self._once(("flow",), timing.flow_seconds)

    def _once(self, what: tuple[Any, ...], measure: Callable[..., T], *args: Any) -> T:
        loaded, dataset = self.inputs
        key = (loaded.digest, dataset.digest, self.device, *what)
        if key not in self._measured:
            self._measured[key] = measure(loaded.model, dataset.train, *args, self.device)
        seconds: T = self._measured[key]
        return seconds


@contextmanager
def set_up(
    store: RunStore,
    device: str,
    opened: Callable[[], "AbstractContextManager[tuple[LoadedModel, Dataset]]"],
    measured: Measured,
) -> Iterator[Bench]:
    """A bench; model and data set are let go of at the end, where they were opened."""
    with ExitStack() as stack:
        yield Bench(store, device, lambda: stack.enter_context(opened()), measured)
