"""Runs in processes of their own: killed, cancelled, queued, resumed, and never half done."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.progress import Progress, Report
from unlearn_core.running import jobs
from unlearn_core.running.jobs import cancel, refresh, resume, submit
from unlearn_core.running.worker import HANDED_LOCK, execute
from unlearn_core.store.locks import holder, is_locked, lock
from unlearn_core.store.queue import position
from unlearn_core.store.runs import RunRecord, RunState, RunStore, events

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))
BLOCK = 50_000


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunStore]:
    # On a busy machine the workers would stand back behind whatever else it does, for minutes.
    monkeypatch.setattr(jobs, "NICENESS", 0)
    store = RunStore(tmp_path)
    yield store
    for run in store.unfinished():
        kill(store, run.id)


def start(store: RunStore, kind: str, token: str = "token", device: str = "cpu", **request: Any) -> RunRecord:
    return submit(store, kind, request, token, device, command=FAKE)


def until(condition: Callable[[], bool], seconds: float = 20.0) -> float:
    """Seconds until the condition holds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it never came to be"
        time.sleep(0.01)
    return time.monotonic() - began


def finished(store: RunStore, run_id: str) -> RunRecord:
    until(lambda: store.get(run_id).state.final and not is_locked(store.folders.lock_file(run_id)))
    return store.get(run_id)


def at_work(store: RunStore, run_id: str) -> None:
    until(lambda: (store.get(run_id).progress or {}).get("stage") is not None)


def kill(store: RunStore, run_id: str) -> None:
    """Kills the process of a run, if it has one, as the kernel's out-of-memory killer would."""
    pid = holder(store.folders.lock_file(run_id))
    if pid is not None and is_locked(store.folders.lock_file(run_id)):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not is_locked(store.folders.lock_file(run_id)))


def test_a_run_succeeds_in_its_own_process_with_a_sealed_result(store: RunStore) -> None:
    run = start(store, "count", steps=5)
    assert run.attempt == 1
    done = finished(store, run.id)
    assert (done.state, done.error, done.damage) == (RunState.SUCCEEDED, "", ())
    assert done.result == {"steps": 5, "started_at": 0}
    assert done.created <= (done.started or 0) <= (done.finished or 0)
    assert done.progress is not None
    assert (done.progress["stage"], done.progress["done"], done.progress["total"]) == ("counting", 5, 5)
    assert [e["metrics"]["epoch"] for e in events(store.folder(run.id))] == [0, 1, 2, 3, 4]
    assert store.artifact(run.id, "block-0.bin").read_bytes() == bytes([4]) * BLOCK
    facts = json.loads((store.folder(run.id) / "manifest.json").read_text())
    assert (facts["run"], facts["kind"], facts["request"], facts["state"]) == (
        run.id,
        "count",
        {"steps": 5},
        "succeeded",
    )
    assert facts["versions"]["python"] == sys.version.split()[0]
    assert {"lethe", "platform", "torch", "numpy"} <= facts["versions"].keys()
    assert facts["seconds"] > 0


def test_one_token_from_many_threads_is_one_run_and_one_process(store: RunStore) -> None:
    found: list[RunRecord] = []
    press = [
        threading.Thread(target=lambda: found.append(start(RunStore(store.root), "count", steps=2)))
        for _ in range(8)
    ]
    for thread in press:
        thread.start()
    for thread in press:
        thread.join()
    assert len(found) == 8 and len({run.id for run in found}) == 1
    done = finished(store, found[0].id)
    assert (done.state, done.attempt, done.crashes) == (RunState.SUCCEEDED, 1, 0)
    assert start(store, "count", steps=2).state is RunState.SUCCEEDED
    assert len(store.list()) == 1


def no_half_file(store: RunStore, run_id: str) -> None:
    """Whatever is under a final name must be whole, at any moment."""
    folder = store.folder(run_id)
    for path in folder.glob("block-*.bin"):
        content = path.read_bytes() if path.suffix == ".bin" else b""
        assert content == content[:1] * BLOCK
    for path in folder.glob("*.json"):
        json.loads(path.read_text())
    found = store.get(run_id)
    assert (found.result is not None) == (found.state is RunState.SUCCEEDED)


def reached(store: RunStore, run_id: str, step: int) -> bool:
    state = store.folder(run_id) / "state.json"
    return state.exists() and json.loads(state.read_text())["step"] >= step


def test_a_worker_killed_at_any_moment_is_interrupted_and_resumes(store: RunStore) -> None:
    dice = random.Random(11)
    seen, went_on, interrupted = 0, 0, 0
    for number in range(6):
        run = start(store, "count", f"token {number}", steps=24, pause=0.02)
        for at_step in dice.sample([0, dice.randrange(1, 20)], 2):
            # One of two kills somewhere in the start of the process, the other somewhere in the work.
            while at_step and not reached(store, run.id, at_step):
                no_half_file(store, run.id)
                seen += 1
            time.sleep(dice.uniform(0.0, 0.05 if at_step else 0.3))
            kill(store, run.id)
            no_half_file(store, run.id)
            before = store.get(run.id).state
            refresh(store, command=FAKE)
            found = store.get(run.id)
            if before is RunState.RUNNING:
                # One that was still waiting goes back to waiting by itself.
                assert (found.state, "Resume it" in found.error) == (RunState.INTERRUPTED, True)
                assert not list(store.folder(run.id).glob("*.tmp-*"))
                interrupted += 1
                resume(store, run.id, command=FAKE)
        done = finished(store, run.id)
        assert done.state is RunState.SUCCEEDED, store.folders.log(run.id)
        assert done.result is not None and done.result["steps"] == 24
        went_on += done.result["started_at"] > 0
        blocks = [(store.artifact(run.id, f"block-{i}.bin").read_bytes()) for i in range(4)]
        assert blocks == [bytes([20 + i]) * BLOCK for i in range(4)]
    assert seen > 0 and interrupted > 0 and went_on > 0


def test_an_app_that_looks_every_second_sees_a_kill_within_ten(store: RunStore) -> None:
    run = start(store, "deaf")
    at_work(store, run.id)
    pid = holder(store.folders.lock_file(run.id))
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    def looked() -> bool:
        refresh(RunStore(store.root), command=FAKE)
        return store.get(run.id).state is RunState.INTERRUPTED

    assert until(looked) < 10


def test_a_run_that_always_dies_is_not_tried_for_ever(store: RunStore) -> None:
    run = start(store, "deaf")
    for crash in range(1, 4):
        at_work(store, run.id)
        until(lambda: store.get(run.id).state is RunState.RUNNING)
        kill(store, run.id)
        assert refresh(store, command=FAKE) == (run.id,)
        assert (store.get(run.id).crashes, store.get(run.id).attempt) == (crash, crash)
        if crash < 3:
            resume(store, run.id, command=FAKE)
    with pytest.raises(UnlearnError, match="died 3 times"):
        resume(store, run.id, command=FAKE)
    assert store.get(run.id).state is RunState.INTERRUPTED


def test_a_process_that_cannot_even_start_is_a_failure_in_the_end(store: RunStore) -> None:
    dies = (sys.executable, "-c", "import sys; sys.exit('no such module')")
    run = submit(store, "count", {}, "token", command=dies)

    def given_up() -> bool:
        refresh(store, command=dies)
        return store.get(run.id).state.final

    until(given_up)
    assert store.get(run.id).state is RunState.FAILED
    assert store.get(run.id).attempt == 3
    assert "no such module" in store.folders.log(run.id)


def test_a_command_that_is_not_there_is_a_sentence(store: RunStore) -> None:
    run = submit(store, "count", {}, "token", command=["/no/such/python"])
    assert run.state is RunState.FAILED
    assert "/no/such/python can't be started" in run.error


def test_a_run_whose_app_died_before_starting_it_is_picked_up(store: RunStore) -> None:
    run = store.create("count", {"steps": 2}, "token")
    # Not even the folder was made.
    for path in store.folder(run.id).iterdir():
        path.unlink()
    store.folder(run.id).rmdir()
    assert refresh(RunStore(store.root), command=FAKE) == (run.id,)
    done = finished(store, run.id)
    assert (done.state, done.attempt, done.crashes) == (RunState.SUCCEEDED, 1, 0)
    assert (store.folder(run.id) / "request.json").exists()
    assert refresh(store, command=FAKE) == ()


def test_the_pid_of_a_living_stranger_proves_nothing(store: RunStore) -> None:
    run = store.create("count", {}, "token")
    store.begin(run.id)
    store.folders.lock_file(run.id).write_text(str(os.getpid()))
    store.folders.cancel_file(run.id).touch()
    os.utime(store.folders.cancel_file(run.id), (1, 1))
    assert refresh(store, command=FAKE) == (run.id,)
    assert store.get(run.id).state is RunState.CANCELLED


def test_a_sealed_run_whose_worker_died_before_saying_so_has_succeeded(store: RunStore) -> None:
    run = start(store, "count", steps=2)
    finished(store, run.id)
    (store.folder(run.id) / "record.json").unlink()
    store._table.change(run.id, state=RunState.RUNNING)
    assert refresh(store, command=FAKE) == (run.id,)
    assert store.get(run.id).state is RunState.SUCCEEDED
    store._table.change(run.id, state=RunState.RUNNING)
    (store.folder(run.id) / "block-0.bin").write_bytes(b"changed")
    refresh(store, command=FAKE)
    assert store.get(run.id).state is RunState.INTERRUPTED


def test_jobs_on_a_device_run_one_at_a_time_in_order_and_devices_at_once(store: RunStore) -> None:
    runs = [
        start(store, "timed", f"t{i}", device) for i, device in enumerate(["cpu", "cpu", "cpu", "cuda:0"])
    ]
    assert [position(store.unfinished(), r.id) for r in runs[1:3]] in ([1, 2], [2, 3])
    spans = []
    for run in runs:
        result = finished(store, run.id).result
        assert result is not None
        assert result["torch"] is False
        spans.append((result["began"], result["ended"]))
    on_cpu = spans[:3]
    assert on_cpu == sorted(on_cpu)
    assert all(first[1] <= second[0] for first, second in zip(on_cpu, on_cpu[1:], strict=False))
    # The other device did not wait for the three.
    assert spans[3][0] < on_cpu[2][0]


def test_an_older_run_that_is_resumed_waits_for_the_younger_at_work(store: RunStore) -> None:
    older = store.create("timed", {}, "older")
    store.finish(older.id, RunState.CANCELLED)
    younger = start(store, "timed", "younger", steps=12)
    at_work(store, younger.id)
    resume(store, older.id, command=FAKE)
    assert position(store.unfinished(), older.id) == 1
    first, second = finished(store, younger.id).result, finished(store, older.id).result
    assert first is not None and second is not None
    assert first["ended"] <= second["began"]


def test_a_dead_run_ahead_in_the_queue_blocks_nobody(store: RunStore) -> None:
    dead = store.create("count", {}, "dead")
    run = start(store, "count", "alive", steps=1)
    assert finished(store, run.id).state is RunState.SUCCEEDED
    assert store.get(dead.id).state is RunState.QUEUED


def test_cancel_in_the_queue(store: RunStore) -> None:
    first = start(store, "deaf", "first")
    at_work(store, first.id)
    second = start(store, "count", "second")
    third = start(store, "count", "third", steps=1)
    assert position(store.unfinished(), second.id) == 1
    cancel(store, second.id)
    assert until(lambda: store.get(second.id).state.final) < 2
    assert store.get(second.id).state is RunState.CANCELLED
    assert store.get(second.id).started is None
    assert position(store.unfinished(), third.id) == 1
    assert store.get(first.id).state is RunState.RUNNING
    cancel(store, first.id)
    assert finished(store, third.id).state is RunState.SUCCEEDED


def test_cancel_at_work_leaves_partial_files_that_are_no_result(store: RunStore) -> None:
    run = start(store, "count", steps=100_000, pause=0.01)
    until((store.folder(run.id) / "block-3.bin").exists)
    cancel(store, run.id)
    assert until(lambda: store.get(run.id).state.final) < 2
    done = finished(store, run.id)
    assert (done.state, done.result) == (RunState.CANCELLED, None)
    assert "no result" in done.error
    assert (store.folder(run.id) / "block-3.bin").exists()
    with pytest.raises(UnlearnError, match="is cancelled"):
        store.artifact(run.id, "block-3.bin")
    # A second cancel changes nothing, and what was cancelled can go on.
    assert cancel(store, run.id) == done
    resume(store, run.id, command=FAKE)
    until(lambda: store.get(run.id).state is RunState.RUNNING)
    assert store.get(run.id).attempt == 2


def test_cancel_where_the_work_never_reports(store: RunStore) -> None:
    run = start(store, "deaf")
    at_work(store, run.id)
    pid = holder(store.folders.lock_file(run.id))
    assert pid is not None
    # Only the flag: whoever set it may be gone.
    store.request_cancel(run.id)
    assert until(lambda: store.get(run.id).state.final) < 2
    assert finished(store, run.id).state is RunState.CANCELLED
    until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize("app", ["the one that cancels", "another that looks"])
def test_cancel_where_not_even_the_watcher_can_act(store: RunStore, app: str) -> None:
    run = start(store, "deaf")
    at_work(store, run.id)
    pid = holder(store.folders.lock_file(run.id))
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    if app == "the one that cancels":
        cancel(store, run.id)
    else:
        store.request_cancel(run.id)

    def looked() -> bool:
        if app == "another that looks":
            refresh(store, command=FAKE)
        return store.get(run.id).state.final

    assert until(looked) < 2
    assert store.get(run.id).state is RunState.CANCELLED


def test_cancel_after_the_end_changes_nothing(store: RunStore) -> None:
    run = start(store, "count", steps=1)
    done = finished(store, run.id)
    assert cancel(store, run.id) == done
    assert not store.folders.cancel_file(run.id).exists()


FAILURES = [
    ("mendable", "The class 'cat' is unknown; choose among: dog."),
    ("memory", "more memory than cpu has"),
    ("torch memory", "smaller batch size"),
    ("fault", "unexpected fault (ZeroDivisionError). The log has the details."),
]


@pytest.mark.parametrize(("error", "sentence"), FAILURES)
def test_a_failure_is_a_sentence_and_its_details_are_in_the_log(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, error: str, sentence: str
) -> None:
    from tests.running.fake_worker import run_workflow  # the same work, in this process

    run = store.create("fail", {"error": error}, "token")
    assert execute(store, run.id, run_workflow) == 1
    done = store.get(run.id)
    assert (done.state, done.result) == (RunState.FAILED, None)
    assert sentence in done.error and "secret" not in done.error
    assert "Traceback" in store.folders.log(run.id)
    assert (store.folder(run.id) / "partial.bin").exists()
    assert store.files(run.id) == {}


def test_a_full_disk_is_a_sentence_and_leaves_no_half_file(store: RunStore) -> None:
    run = start(store, "full")
    done = finished(store, run.id)
    assert done.state is RunState.FAILED
    assert f"no room to write {store.folder(run.id) / 'model.safetensors'}" in done.error
    assert {p.name for p in store.folder(run.id).glob("*.bin")} == {"small.bin"}
    assert not list(store.folder(run.id).glob("model*"))


def test_cancel_is_heard_within_a_tenth_of_a_second_of_work(store: RunStore) -> None:
    run = store.create("count", {}, "token")
    heard: list[float] = []

    def work(kind: str, request: dict[str, Any], folder: Path, report: Report) -> dict[str, Any]:
        store.request_cancel(run.id)
        began = time.monotonic()
        try:
            for step in range(10_000_000):
                report(Progress("working", step, 10_000_000))
        finally:
            heard.append(time.monotonic() - began)
        return {}

    assert execute(store, run.id, work) == 1
    assert store.get(run.id).state is RunState.CANCELLED
    assert heard[0] < 0.5


def test_a_run_has_one_worker(store: RunStore) -> None:
    run = store.create("count", {}, "token")

    def never(kind: str, request: dict[str, Any], folder: Path, report: Report) -> dict[str, Any]:
        raise AssertionError("a second worker worked")

    with (
        lock(store.folders.lock_file(run.id)),
        pytest.raises(UnlearnError, match=f"Another process is at work on run {run.id}"),
    ):
        execute(store, run.id, never)
    store.finish(run.id, RunState.CANCELLED)
    with pytest.raises(UnlearnError, match="is cancelled; resume it"):
        execute(store, run.id, never)


def test_two_resumes_at_once_start_one_worker(store: RunStore) -> None:
    run = store.create("count", {"steps": 20, "pause": 0.05}, "token")
    store.finish(run.id, RunState.CANCELLED)

    def resume_or_be_told():
        with contextlib.suppress(UnlearnError):  # who comes after its end is told that it has succeeded
            resume(RunStore(store.root), run.id, command=FAKE)

    threads = [threading.Thread(target=resume_or_be_told) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = finished(store, run.id)
    assert (done.state, done.attempt) == (RunState.SUCCEEDED, 1)


def test_only_a_run_that_did_not_succeed_is_resumed(store: RunStore) -> None:
    run = start(store, "count", steps=1)
    finished(store, run.id)
    with pytest.raises(UnlearnError, match="is succeeded; there is nothing to resume"):
        resume(store, run.id, command=FAKE)


def test_a_worker_outlives_the_app_and_is_seen_by_the_next(store: RunStore) -> None:
    script = (
        "import sys; from unlearn_core.store.runs import RunStore; from unlearn_core.running.jobs import submit\n"
        "print(submit(RunStore(), 'timed', {'steps': 10}, 'token', command=sys.argv[1:]).id)"
    )
    app = subprocess.run(
        [sys.executable, "-c", script, *FAKE],
        env={**os.environ, "LETHE_HOME": str(store.root)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    run_id = app.stdout.strip()
    assert not store.get(run_id).state.final
    assert refresh(store, command=FAKE) == ()
    assert finished(store, run_id).state is RunState.SUCCEEDED


def test_the_index_may_be_lost_while_a_run_works(store: RunStore) -> None:
    run = start(store, "timed", steps=15)
    at_work(store, run.id)
    (store.root / "runs.sqlite").write_bytes(b"not a database")
    assert store.get(run.id).state is RunState.RUNNING
    assert refresh(store, command=FAKE) == ()
    assert finished(store, run.id).state is RunState.SUCCEEDED


def test_a_verdict_that_the_index_lost_is_taken_from_the_folder(store: RunStore) -> None:
    run = store.create("fail", {}, "token")
    store.finish(run.id, RunState.FAILED, "The real reason.")
    saved = (store.folder(run.id) / "record.json").read_bytes()
    store._table.change(run.id, state=RunState.QUEUED, error="")
    (store.folder(run.id) / "record.json").write_bytes(saved)
    assert refresh(store, command=FAKE) == (run.id,)
    found = store.get(run.id)
    assert (found.state, found.error) == (RunState.FAILED, "The real reason.")


def test_looking_after_many_finished_runs_is_cheap(store: RunStore) -> None:
    for number in range(15):
        run = store.create("count", {"number": number}, f"t{number}")
        store.finish(run.id, RunState.CANCELLED)
    began = time.process_time()
    for _ in range(10):
        refresh(store, command=FAKE)
    assert (time.process_time() - began) / 10 < 0.05


def test_the_process_is_told_what_it_needs(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setattr(jobs, "NICENESS", 3)
    # The priority is set just after the start.
    script = (
        "import os, sys, time; time.sleep(0.3); print(*sorted(os.environ.items()), os.getcwd(), "
        "os.getpriority(os.PRIO_PROCESS, 0), os.getsid(0) == os.getpid())"
    )
    run = submit(store, "count", {}, "token", command=(sys.executable, "-c", script))
    until(lambda: store.folders.log(run.id).endswith("True\n"))
    printed = store.folders.log(run.id)
    parent = Path(jobs.__file__).parents[2]
    for name, value in {
        "LETHE_HOME": str(store.root),
        "PYTHONHASHSEED": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "PYTHONPATH": f"{parent}{os.pathsep}/elsewhere",
    }.items():
        assert str((name, value)) in printed
    assert HANDED_LOCK in printed
    niceness = min(os.getpriority(os.PRIO_PROCESS, 0) + 3, 19)
    assert printed.rsplit(")", 1)[1].split() == [str(parent), str(niceness), "True"]


def test_job_control_imports_no_torch() -> None:
    script = "import sys, unlearn_core.running.jobs; print(sorted({'torch', 'numpy', 'streamlit'} & set(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(jobs.__file__).parents[2],
    )
    assert printed.stdout == "[]\n"
