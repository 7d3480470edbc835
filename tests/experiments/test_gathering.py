"""Everything that was measured comes together once, whatever it was measured by."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.experiments import gathering
from unlearn_core.experiments.gathering import UNKNOWN_MASK, measured
from unlearn_core.experiments.study import Study, write_study
from unlearn_core.experiments.trial import STORED, Trial
from unlearn_core.results.plain import to_plain
from unlearn_core.running.worker import execute
from unlearn_core.store.runs import RunStore
from unlearn_core.workflows import pack

Make = Callable[..., Trial]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A store beside an empty folder of studies."""
    monkeypatch.setattr(gathering, "STUDIES", tmp_path / "studies")
    return RunStore(tmp_path / "home")


def finished(store: RunStore, token: str, **changes: Any) -> str:
    """A run that ended with the result of the app's run but for the changes; its id."""
    result = {**to_plain(pack.read_run()), **changes}
    record = store.create("unlearn", {"settings": {"model": "imported:gone"}}, token, "cpu")
    assert execute(store, record.id, lambda *asked: result) == 0, store.get(record.id).error
    return record.id


def sources(store: RunStore) -> list[str]:
    return list(dict.fromkeys(t.source for t in measured(store).trials))


def test_runs_come_first_the_newest_before_all_then_studies_then_the_apps_run(
    store: RunStore, trial: Make
) -> None:
    assert sources(store) == [STORED]
    write_study(Study("swept", "", "", "", {}, [trial(source="swept")]), gathering.STUDIES)
    runs = [finished(store, token) for token in ("first", "second")]
    assert sources(store) == [*reversed(runs), "swept", STORED]
    assert list(measured(store).studies) == ["swept"]


def test_what_is_damaged_is_left_out_and_named(store: RunStore) -> None:
    gathering.STUDIES.mkdir()
    (gathering.STUDIES / "broken.json").write_text("{")
    run = finished(store, "one")
    assert run in sources(store)
    (store.folder(run) / "result.json").write_text("{}")
    assert sources(store) == [STORED]
    by_run, by_study = measured(store).damaged
    assert run in by_run and "'broken' is damaged" in by_study


def test_an_app_without_its_pack_still_compares_what_is_there(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise UnlearnError("The pack is missing.")

    run = finished(store, "one")
    monkeypatch.setattr(pack, "read_pack", missing)
    assert sources(store) == [run] and not measured(store).damaged


def test_a_sparse_model_whose_card_is_gone_is_still_known_to_be_sparse(store: RunStore) -> None:
    run = finished(store, "one", sparsity=0.95)
    levels = {(t.sparsity, t.sparsifier) for t in measured(store).trials if t.source == run}
    assert levels == {(0.95, UNKNOWN_MASK)}
