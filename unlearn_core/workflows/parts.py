"""The parts of an unlearning run: the untouched model, the method and each control, evaluated alike."""

import copy
import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from unlearn_core.channels.pruning import one_after_the_other, plan_to_plain
from unlearn_core.checkpoints.model_files import LoadedModel, fresh_like, measured_facts, model_bytes
from unlearn_core.data.forgotten import forgotten_by, to_facts
from unlearn_core.data.leaving_out import forgotten_in
from unlearn_core.data.split import ForgetSplit
from unlearn_core.errors import UnlearnError
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.inference import device_of
from unlearn_core.models.size import measure
from unlearn_core.params import plain
from unlearn_core.progress import Progress, Report
from unlearn_core.results import evaluation
from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.loading import from_plain
from unlearn_core.results.plain import to_plain
from unlearn_core.results.result import MeasuredModel, Part, Rung, Size, rung_of
from unlearn_core.sparsify.mask import SparseMask, mask_in, mask_of_zeros
from unlearn_core.store.files import write_bytes, write_json
from unlearn_core.unlearning.method import Method
from unlearn_core.unlearning.task import Outcome, Task
from unlearn_core.workflows.answers import (
    answers_of,
    closeness,
    evaluated,
    keep_answers,
    keep_inside,
    keep_membership,
)

M = TypeVar("M", bound=MeasuredModel)


class Parts:
    """The parts of an unlearning run: each is computed once, kept as a file, and read back when a run is resumed."""

    def __init__(
        self,
        folder: Path,
        loaded: LoadedModel,
        split: ForgetSplit,
        seed: int,
        report: Report,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.folder, self.loaded, self.split, self.seed, self.report = folder, loaded, split, seed, report
        self.now = now
        """The clock in seconds that a part's work is measured by."""
        self._require_same_inputs()

    @property
    def _retrained(self) -> Path:
        """The answers of the retrained model, once it is there: what all other parts are compared with."""
        return self.folder / "parts" / "retrain.npz"

    def before(self) -> MeasuredModel:
        """The untouched model's evaluation, size and activations."""
        return self._once("before", MeasuredModel, lambda: self._measured("before", self.loaded.model))

    def run(self, method: Method, params: Any, *, keep_model: bool = False) -> Part:
        """A method's evaluation, ladder and time, from the untouched model."""
        return self._once(method.name, Part, lambda: self._unlearned(method, params, keep_model))

    def _require_same_inputs(self) -> None:
        """Parts of an earlier attempt count only for the very model and images that they were computed from.

        Raises:
            UnlearnError: The file or folder behind the run's model or data has changed since.
        """
        path = self.folder / "parts" / "inputs.json"
        found = {"model": self.loaded.digest, "split": self.split.digest}
        if not path.is_file():
            write_json(path, found)
        elif json.loads(path.read_text()) != found:
            raise UnlearnError(
                "The model or the images have changed since this run began, so its parts would not belong together; "
                "start a new run."
            )

    def _once(self, name: str, cls: type[M], compute: Callable[[], M]) -> M:
        """What the file of this part says; computed and written first where there is none."""
        path = self.folder / "parts" / f"{name}.json"
        if not path.is_file():
            write_json(path, to_plain(compute()))
        return from_plain(cls, json.loads(path.read_text()), f"parts/{name}.json")

    def _unlearned(self, method: Method, params: Any, keep_model: bool) -> Part:
        ladder: list[Rung] = []

        def observe(name: str, model: Classifier) -> dict[str, Any]:
            forget = (
                None
                if self.split.forget_classes
                else evaluation.predictions(model, self.split.forget).tally()
            )
            tested = evaluation.tabulate(self.split, evaluation.test_predictions(model, self.split), forget)
            ladder.append(rung_of(tested, name, seconds=round(clock.stop(), 3)))
            clock.go()
            return dict(to_plain(ladder[-1]))

        def report(progress: Progress) -> None:
            self.report(replace(progress, metrics={**progress.metrics, "part": method.name}))

        clock = _Clock(self.now)
        model = copy.deepcopy(self.loaded.model)
        task = Task(self.split, self.seed, report, observe, self._fresh, self._mask())
        outcome = method.run(model, params, task)
        seconds = clock.stop()
        sparsity = mask_of_zeros(outcome.model.net).sparsity() if task.mask else None
        measured = self._measured(method.name, outcome.model, outcome if keep_model else None)
        return Part(
            **vars(measured),
            seconds=round(seconds, 3),
            ladder=tuple(ladder),
            plan=outcome.plan,
            facts=dict(outcome.facts),
            params=plain(params),
            sparsity=sparsity,
        )

    def _fresh(self, seed: int) -> Classifier:
        """A new network for retraining, of the very structure that the model has: a sparse one's mask is of that."""
        return fresh_like(self.loaded, seed)

    def _mask(self) -> SparseMask | None:
        mask = mask_in(self.loaded.model.net, self.loaded.card.facts)
        return mask.to(device_of(self.loaded.model)) if mask else None

    def _measured(self, name: str, model: Classifier, kept: Outcome | None = None) -> MeasuredModel:
        split = self.split
        answers = answers_of(model, split, self.report)
        size = Size(**asdict(measure(model, split.test.images[:64])))
        if kept or name == "before":
            keep_inside(self.folder, "after" if kept else "before", model, split, answers, self.report)
        keep_membership(self.folder / f"membership_{'after' if kept else name}.npz", answers)
        result = evaluated(answers, split, self.report)
        if kept:
            size = replace(size, bytes=self._keep_model(kept, result))
        elif name == "before":
            size = replace(size, bytes=len(model_bytes(model, self.loaded.card, self.loaded.plan)))
        if name == "retrain":
            keep_answers(self._retrained, answers)
        near = closeness(answers, self._retrained) if self._retrained.is_file() else None
        return MeasuredModel(evaluation=result, size=size, closeness=near)

    def _keep_model(self, outcome: Outcome, tested: Evaluation) -> int:
        """Writes the model with a card of its own: what it began with, and what was measured of this one."""
        facts = {
            **self.loaded.card.facts,
            **measured_facts(outcome.model.net, tested.test_accuracy, tested.per_class),
            "unlearned_from": self.loaded.digest,
            "forgot": [self.split.classes[k] for k in self.split.forget_classes],
            **to_facts(forgotten_by(self.loaded.card.facts) | forgotten_in(self.split)),
        }
        measured = mask_of_zeros(outcome.model.net).sparsity()
        if "sparsity" in facts:
            facts["sparsity"] = {**facts["sparsity"], "measured": measured}
        elif outcome.facts.get("sparse_by") and measured:
            # A dense model that the method itself made sparse; its zeros saw the retain set alone.
            made = {"method": outcome.facts["sparse_by"], "measured": measured, "over": "convolution weights"}
            facts["sparsity"] = {**made, "asked": None, "strict": False, "forget": None}
        card = replace(self.loaded.card, facts=facts)
        data = model_bytes(outcome.model, card, one_after_the_other(self.loaded.plan, outcome.plan))
        write_bytes(self.folder / "model.safetensors", data)
        if outcome.plan:
            write_json(self.folder / "plan.json", plan_to_plain(outcome.plan))
        return len(data)


class _Clock:
    """Seconds of work, without the time spent on watching it."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.spent, self.now = 0.0, now
        self.go()

    def go(self) -> None:
        """Goes on after a pause."""
        self.since = self.now()

    def stop(self) -> float:
        """Seconds so far; pauses."""
        self.spent += self.now() - self.since
        self.since = self.now()
        return self.spent
