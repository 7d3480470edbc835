"""Following a run at a terminal."""

import re
from pathlib import Path

import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress
from unlearn_core.running import jobs, terminal
from unlearn_core.store.runs import RunState, RunStore


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path)


def waiting(store: RunStore) -> str:
    return store.create("unlearn", {"settings": {}, "params": {}}, "token", "cpu", "A run").id


def test_the_interrupt_key_cancels(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(store: RunStore) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "refresh", pressed)
    run = waiting(store)
    with pytest.raises(terminal.Stopped, match=f"Cancelled run {run}"):
        terminal.follow(store, run)
    assert store.get(run).state is RunState.CANCELLED


def test_a_failed_run_fails_with_its_own_sentence(store: RunStore) -> None:
    run = waiting(store)
    store.begin(run)
    store.finish(run, RunState.FAILED, "The learning rate is too high.")
    with pytest.raises(UnlearnError, match="too high") as failed:
        terminal.follow(store, run)
    assert not isinstance(failed.value, terminal.Stopped)


def test_the_bar_tells_stage_steps_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    terminal._draw_bar(Progress("fine-tuning", 1, 4, {"eta": 12.4}))
    told = capsys.readouterr().err
    assert "fine-tuning" in told and "1/4, 12 s left" in told
    [bar] = re.findall(r"\[([#-]+)\]", told)
    assert bar.count("#") == round(len(bar) / 4)
