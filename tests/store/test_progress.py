"""Live progress: few writes, true rates, and a history that survives a torn line."""

import json
from pathlib import Path
from typing import Any

import pytest

from unlearn_core.progress import Progress
from unlearn_core.store import progress
from unlearn_core.store.progress import ProgressLog, events, read_progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_nothing_is_there_before_the_first_report(tmp_path: Path) -> None:
    ProgressLog(tmp_path, 1)
    assert read_progress(tmp_path) is None
    assert events(tmp_path) == []


def test_rate_and_time_left_are_of_the_stage(tmp_path: Path, clock: list[float]) -> None:
    log = ProgressLog(tmp_path, 1)
    log(Progress("reading", 0, 10))
    clock[0] += 100
    log(Progress("tuning", 20, 100))
    at_first = read_progress(tmp_path)
    assert at_first is not None
    assert (at_first["rate"], at_first["eta"], at_first["seconds"]) == (None, None, 0.0)
    clock[0] += 5
    log(Progress("tuning", 30, 100, {"loss": 0.5}))
    later = read_progress(tmp_path)
    assert later is not None
    assert (later["stage"], later["done"], later["total"]) == ("tuning", 30, 100)
    # 10 steps in 5 seconds, 70 to go.
    assert (later["seconds"], later["rate"], later["eta"]) == (5.0, 2.0, 35.0)


def test_at_most_four_writes_a_second_but_always_a_new_stage_and_the_last_step(
    tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, int]] = []

    def note(path: Path, value: dict[str, Any], durable: bool) -> None:
        written.append((value["stage"], value["done"]))

    monkeypatch.setattr(progress, "write_json", note)
    log = ProgressLog(tmp_path, 1)
    for step in range(1, 1001):
        clock[0] += 0.001
        log(Progress("a", step, 1000))
    assert len(written) <= 2 + 4
    assert written[0] == ("a", 1) and written[-1] == ("a", 1000)
    log(Progress("a", 1000, 1000))
    assert written.count(("a", 1000)) == 1
    log(Progress("b", 0, 5))
    assert written[-1] == ("b", 0)


def test_metrics_stay_within_their_stage(tmp_path: Path, clock: list[float]) -> None:
    log = ProgressLog(tmp_path, 1)
    for stage, metrics in (("a", {"accuracy": 0.5}), ("a", {"loss": float("nan")}), ("b", {"x": 1})):
        clock[0] += 1
        log(Progress(stage, 1, 9, metrics))
        shown = read_progress(tmp_path)
        assert shown is not None
        expected = {"accuracy": {"accuracy": 0.5}, "loss": {"accuracy": 0.5, "loss": None}, "x": {"x": 1}}
        assert shown["metrics"] == expected[next(iter(metrics))]


def test_history_has_what_curves_need_and_no_more(tmp_path: Path) -> None:
    log = ProgressLog(tmp_path, 2)
    for epoch in range(3):
        for step in range(50):
            log(Progress("tuning", epoch * 50 + step, 150, {"epoch": epoch, "loss": 1.0}))
        log(Progress("tuning", epoch * 50 + 50, 150, {"epoch": epoch, "loss": 0.5, "accuracy": 0.1 * epoch}))
    log(Progress("tuning", 150, 150, {"keep": True, "x": 1}))
    log(Progress("tuning", 150, 150, {"keep": True, "x": 2}))
    found = events(tmp_path)
    assert [e["metrics"]["accuracy"] for e in found if "accuracy" in e["metrics"]] == [0.0, 0.1, 0.2]
    assert [e["metrics"]["x"] for e in found if "x" in e["metrics"]] == [1, 2]
    assert len(found) == 2 * 3 + 2
    assert {e["attempt"] for e in found} == {2}


def test_a_line_torn_at_any_byte_is_no_event_and_spoils_none(tmp_path: Path) -> None:
    log = ProgressLog(tmp_path, 1)
    for stage in ("a", "b", "c"):
        log(Progress(stage, 0, 1))
    whole = (tmp_path / "events.jsonl").read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(last, len(whole)):
        (tmp_path / "events.jsonl").write_bytes(whole[:cut])
        read = [e["stage"] for e in events(tmp_path)]
        # All but the line's end is a whole event too.
        assert read == (["a", "b", "c"] if cut == len(whole) - 1 else ["a", "b"])
        ProgressLog(tmp_path, 2)(Progress("d", 0, 1))
        assert [e["stage"] for e in events(tmp_path)] == ["a", "b", "d"]


def test_lines_that_are_no_events_are_left_out(tmp_path: Path) -> None:
    lines = [b'{"stage": "a"}', b"", b"[1]", b"\xff\xfe", b"null", json.dumps({"stage": "b"}).encode()]
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    assert events(tmp_path) == [{"stage": "a"}, {"stage": "b"}]


def test_unreadable_progress_is_none(tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_bytes(b'{"stage": "tu')
    assert read_progress(tmp_path) is None
