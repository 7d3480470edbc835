"""Orders of runs: each becomes one run, whoever gives it and however often."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.running import jobs
from unlearn_core.running.orders import Order, place, placed
from unlearn_core.store.runs import RunRecord, RunState, RunStore


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A store in which no process starts."""

    def submit(
        store: RunStore, kind: str, request: Mapping[str, Any], token: str, device: str, name: str
    ) -> RunRecord:
        return store.create(kind, request, token, device, name)

    monkeypatch.setattr(jobs, "submit", submit)
    return RunStore(tmp_path)


def order(seed: int, **changes: Any) -> Order:
    request = {"settings": {"model": "m", "seed": seed, "device": "cpu"}, "params": {}}
    return Order(
        **{"kind": "unlearn", "request": request, "device": "cpu", "name": f"Seed {seed}", **changes}
    )


def test_an_order_is_one_run_however_often_it_is_given(store: RunStore) -> None:
    first = place(store, [order(0), order(1)], "nonce")
    assert [run.name for run in first] == ["Seed 0", "Seed 1"]
    assert place(store, [order(0), order(1)], "nonce") == first
    assert placed(store, [order(1), order(0), order(2)], "nonce") == first
    assert len(store.list()) == 2
    [again] = place(store, [order(0)], "another nonce")
    assert again.id not in {run.id for run in first}


@pytest.mark.parametrize(
    "other",
    [
        order(1),
        order(0, kind="sparsify"),
        order(0, device="mps"),
        order(0, base=order(7)),
        order(0, base=order(8)),
    ],
)
def test_what_differs_is_another_run(other: Order) -> None:
    assert other.token("nonce") != order(0).token("nonce") == order(0, name="Renamed").token("nonce")
    assert order(0, base=order(7)).token("nonce") != order(0, base=order(8)).token("nonce")


def test_a_run_begins_with_the_model_of_another(store: RunStore) -> None:
    base = order(0, kind="sparsify")
    rest = [order(seed, request={"settings": {"seed": seed}}, base=base) for seed in (1, 2)]
    sparse, *others = place(store, [base, *rest], "nonce")
    assert [run.request["settings"]["model"] for run in others] == [f"run:{sparse.id}"] * 2
    assert placed(store, [base, *rest], "nonce") == (sparse, *others)


def test_a_set_of_which_some_were_started_is_completed(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = jobs.submit

    def full_after_one(*args: Any) -> RunRecord:
        if store.list():
            raise UnlearnError("There is no room to write.")
        return submit(*args)

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "submit", full_after_one)
        with pytest.raises(UnlearnError, match="no room"):
            place(store, [order(0), order(1)], "nonce")
    assert len(placed(store, [order(0), order(1)], "nonce")) == 1
    runs = place(store, [order(0), order(1)], "nonce")
    assert len(runs) == 2 and len(store.list()) == 2
    assert all(run.state is RunState.QUEUED for run in runs)


def test_a_request_without_a_device_gets_the_one_that_is_there(store: RunStore) -> None:
    [run] = place(store, [Order("score", {"settings": {"model": "m"}})], "nonce")
    assert run.request["settings"]["device"] == run.device != "auto"
    with pytest.raises(UnlearnError, match="isn't available"):
        place(store, [order(0, device="abacus")], "nonce")
