"""Estimates: from past runs where there are like ones, else from what is measured once; told with their source."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from unlearn_core.data.sets import Dataset
from unlearn_core.models.classifier import Classifier
from unlearn_core.models.specs import ModelCard
from unlearn_core.running import estimates, timing
from unlearn_core.running.bench import Bench, Estimate
from unlearn_core.running.kinds.kind import Kind
from unlearn_core.running.kinds.registry import KINDS
from unlearn_core.running.orders import Order
from unlearn_core.store.runs import RunState, RunStore

SETTINGS = {"model": "m", "data": "d", "method": "fine_tune", "controls": "none", "forget": "red", "seed": 0}


@pytest.fixture
def bench(
    tmp_path: Path,
    trained: Classifier,
    colours: Dataset,
    colour_card: ModelCard,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    """A machine on which a step takes as many seconds as it has images, and nothing else takes time."""
    monkeypatch.setattr(
        timing, "step_seconds", lambda model, images, recipe, device: float(recipe.batch_size)
    )
    monkeypatch.setattr(timing, "answer_seconds", lambda *args: 0.0)
    loaded: Any = SimpleNamespace(model=trained, card=colour_card, digest="m", plan=None)
    return Bench(RunStore(tmp_path), "cpu", lambda: (loaded, colours), {})


def order(**params: Any) -> Order:
    return Order("unlearn", {"settings": SETTINGS, "params": params}, "cpu")


def finished(store: RunStore, request: Mapping[str, Any], seconds: float, device: str = "cpu") -> None:
    """A finished run that took so long in its only attempt."""
    run = store.create("unlearn", request, f"token {seconds}", device)
    store.count_attempt(run.id, 0)
    store.begin(run.id)
    store.finish(run.id, RunState.SUCCEEDED)
    began = store.get(run.id).started
    assert began is not None
    store._table.change(run.id, frozenset(RunState), finished=began + seconds)


def test_work_is_timed_by_measured_steps(bench: Bench) -> None:
    one, two = estimates.estimated([order(epochs=1), order(epochs=2)], bench)
    assert two.seconds - one.seconds == pytest.approx(80)  # eighty images are kept, and each takes a second
    assert not one.by_past and "one training step of 128 images measured on cpu: 1.3e+02 s" in one.source


def test_nothing_is_measured_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.step(16, "float32")
    monkeypatch.setattr(timing, "step_seconds", _never)
    again = Bench(bench.store, "cpu", lambda: bench.inputs, bench._measured)
    assert again.step(16, "float32") == first == 16.0


def test_a_run_of_as_much_work_tells_how_long_on_the_same_device(bench: Bench) -> None:
    finished(bench.store, order(epochs=1).request, 33.0, "mps")
    finished(bench.store, {**order(epochs=3).request}, 99.0)
    assert not estimates.estimated([order(epochs=1)], bench)[0].by_past
    finished(bench.store, order(epochs=1, lr=0.5).request, 44.0)
    [known] = estimates.estimated([order(epochs=1)], bench)
    assert known.by_past and known.seconds == pytest.approx(44.0)
    assert estimates.sentence([order(epochs=1)], bench) == (
        "About 44 s: as long as the last run of this model and method with as much work."
    )


def toy(estimate: Callable[[Any, Bench], Estimate | None]) -> Kind:
    return Kind("count", "Counting", "Count.", dict, dict, lambda result, wrote: "", estimate=estimate)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([1.0], "About 1.0 s: by toy 1."),
        ([1.0, 60.0], "About 61 s for all 2 runs: by toy 1."),
        ([-60.0, 1.0], "About 61 s for all 2 runs: by toy 1."),  # what had to be measured is told
        ([1.0, 0.0], estimates.UNTIMED),
    ],
)
def test_a_sentence_says_how_long_and_how_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: list[float], expected: str
) -> None:
    def estimate(request: Any, bench: Bench) -> Estimate | None:
        time = request["settings"]["time"]
        return Estimate(abs(time), f": by toy {abs(time):g}.", by_past=time < 0) if time else None

    monkeypatch.setitem(KINDS, "count", toy(estimate))  # type: ignore[arg-type]
    bench = Bench(RunStore(tmp_path), "cpu", _never, {})
    orders = [Order("count", {"settings": {"time": time}}, "cpu") for time in seconds]
    assert estimates.sentence(orders, bench) == expected
    bench.store.create("score", {}, "token", "cpu")
    assert estimates.sentence(orders, bench) == estimates.BUSY


def test_a_kind_that_nobody_times_is_not_estimated(tmp_path: Path) -> None:
    bench = Bench(RunStore(tmp_path), "cpu", _never, {})
    assert estimates.sentence([Order("score", {"settings": {}}, "cpu")], bench) == estimates.UNTIMED


def _never(*args: Any) -> Any:
    raise AssertionError("nothing has to be measured")
