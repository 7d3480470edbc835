"""Flower as real processes over loopback: the same model as in one process; a client that is killed is survived."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from unlearn_core.checkpoints.model_files import open_model
from unlearn_core.errors import UnlearnError
from unlearn_core.federated.engine import run_engine
from unlearn_core.federated.flower import deployment, processes
from unlearn_core.federated.flower.connections import require_private
from unlearn_core.federated.flower.processes import GuardedProcesses
from unlearn_core.federated.flower.server_app import ERROR, PROGRESS
from unlearn_core.federated.outcome import OUTCOME
from unlearn_core.progress import silent
from unlearn_core.running import jobs
from unlearn_core.store.locks import holder
from unlearn_core.store.runs import RunState, RunStore

pytestmark = pytest.mark.usefixtures("flower")

CLIENTS = 4


def flower_processes():
    listed = subprocess.run(
        ["ps", "-Aww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return {
        int(r[0]): r[2] for r in rows if not r[1].startswith("Z") and ("flower-" in r[2] or "flwr" in r[2])
    }


@pytest.fixture
def one_thread(monkeypatch):
    """The same arithmetic here and in Flower's processes, which moreover share few cores."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_superlink_and_four_supernodes_of_which_one_is_killed(job_in, tmp_path):
    """Statistics, plan and a round of training through real processes: the same model, bit for bit."""
    before = set(flower_processes())
    settings = {"clients": CLIENTS, "partition": "dirichlet:0.5", "rounds": 1, "deadline": 120.0}
    local, real = (job_in(tmp_path / name, **settings) for name in ("local", "real"))
    run_engine("local", local, CLIENTS, 0, silent)
    killed = []

    def kill_one(progress):
        # The round is done; who is killed now is missing from the evaluation that follows.
        if progress.metrics.get("rung") == "round 1" and not killed:
            (victim,) = (
                pid
                for pid, args in flower_processes().items()
                if "partition-id=2" in args and pid not in before
            )
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

    run_engine("flower", real, CLIENTS, 0, kill_one)
    ours, theirs = (open_model(folder / "model.safetensors") for folder in (real, local))
    assert killed and ours.plan == theirs.plan and ours.digest == theirs.digest
    told = json.loads((real / OUTCOME).read_text())
    assert [e["client"] for e in told["events"]] == ["2"] and told["events"][0]["event"] == "dropped"
    assert [len(e["bytes_up"]) for e in told["exchanges"]][:3] == [4, 4, 4]
    assert set(flower_processes()) <= before


def test_a_run_that_fails_says_why_and_leaves_nothing(job_in, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = set(flower_processes())
    folder = job_in(tmp_path / "real", clients=3, deadline=3.0, quorum=1.0)
    with pytest.raises(UnlearnError, match=r"Too few clients \(connect\): 1 of 3 took part, 3 are needed"):
        run_engine("flower", folder, 1, 0, silent)
    assert set(flower_processes()) <= before


def test_a_retry_finds_nothing_of_the_attempt_before(tmp_path, monkeypatch):
    def begins(prefix):
        raise UnlearnError("Begun.")

    monkeypatch.setattr(deployment.tempfile, "TemporaryDirectory", begins)
    files = [tmp_path / name for name in (OUTCOME, PROGRESS, ERROR)]
    for file in files:
        file.write_text("Too few clients.")
    with pytest.raises(UnlearnError, match="Begun"):
        deployment.run_deployed(tmp_path, 1, silent)
    assert not any(file.exists() for file in files)


def living_processes():
    """Parent of each living process."""
    listed = subprocess.run(
        ["ps", "-Aww", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in listed.stdout.splitlines()]
    return {int(pid): int(parent) for pid, parent, stat in rows if not stat.startswith("Z")}


def descendants(root):
    """All processes that this one started, and they, whatever session they are in."""
    living, found = living_processes(), {root}
    while more := {pid for pid, parent in living.items() if parent in found} - found:
        found |= more
    return found - {root}


def wait_for(what, seconds):
    end = time.monotonic() + seconds
    while not (came := what()) and time.monotonic() < end:
        time.sleep(0.2)
    return came


@pytest.mark.parametrize("end", ["cancelled", "killed"])
def test_a_run_that_is_stopped_or_killed_takes_everything_with_it(end, tmp_path, monkeypatch):
    """As the page and the command line start it: through jobs, in a process of its own."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    store = RunStore(tmp_path)
    settings = {"action": "unlearn", "data": "digits", "model": "bundled:digits-vgg11", "forget": "3"}
    settings |= {"clients": "2", "engine": "flower", "device": "cpu"}
    run = jobs.submit(store, "federated", {"settings": settings, "params": {}}, "token").id
    wait_for(lambda: (store.folder(run) / "supernode-1.log").exists() or store.get(run).state.final, 300)
    worker = holder(store.folders.lock_file(run))
    time.sleep(2.0)  # Flower's own helpers start, and the guard looks once a second
    started = descendants(worker)
    if len(started) < 4:
        jobs.cancel(store, run)
        pytest.fail(f"Flower isn't up: {store.get(run)}")
    began = time.monotonic()
    if end == "cancelled":
        jobs.cancel(store, run)
    else:
        os.kill(worker, signal.SIGKILL)
    assert wait_for(lambda: jobs.refresh(store) or store.get(run).state.final, 10)
    state = store.get(run).state
    assert state is (RunState.CANCELLED if end == "cancelled" else RunState.INTERRUPTED)
    assert end == "killed" or time.monotonic() - began < 5
    assert wait_for(lambda: not started & set(living_processes()), 20), started & set(living_processes())


def test_only_connections_that_nobody_can_listen_to(tmp_path):
    config = """[superlink]
default = "near"
[superlink.near]
address = "127.0.0.1:8000"
insecure = true
[superlink.six]
address = "[::1]:8000"
insecure = true
[superlink.safe]
address = "lethe.example:8000"
root-certificates = "/certificates/ca.crt"
[superlink.open]
address = "lethe.example:8000"
insecure = true
"""
    with pytest.raises(UnlearnError, match=r"no connection 'near'.*are: none"):
        require_private("near", tmp_path)
    (tmp_path / "config.toml").write_text(config)
    for name in ("near", "six", "safe"):
        require_private(name, tmp_path)
    with pytest.raises(UnlearnError, match=r"goes to lethe\.example without encryption"):
        require_private("open", tmp_path)
    with pytest.raises(UnlearnError, match=r"no connection 'far'.*are: near, six, safe, open"):
        require_private("far", tmp_path)


def test_where_the_guard_has_died_its_work_is_done_and_the_run_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "GRACE", 10.0)
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(120)"
    with (
        pytest.raises(UnlearnError, match=r"has ended itself \(status -9\)"),
        GuardedProcesses(tmp_path, os.environ) as guarded,
    ):
        guarded.start("supernode-0", [sys.executable, "-c", stubborn])
        guarded.guard.kill()
        guarded.guard.wait()
        began = time.monotonic()
        guarded.start("supernode-1", [sys.executable, "-c", stubborn])
    assert time.monotonic() - began < 5
    assert [process.returncode for process in guarded.started.values()] == [-signal.SIGKILL] * 2
    assert not {process.pid for process in guarded.started.values()} & set(living_processes())


def test_where_the_guard_hangs_it_is_ended_too(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "GRACE", 1.0)
    with GuardedProcesses(tmp_path, os.environ) as guarded:
        guarded.start("superlink", [sys.executable, "-c", "import time; time.sleep(120)"])
        guarded.guard.send_signal(signal.SIGSTOP)
    assert guarded.guard.returncode == guarded.started["superlink"].returncode == -signal.SIGKILL


def test_a_superlink_is_for_the_engine_that_has_one(tmp_path):
    with pytest.raises(UnlearnError, match="choose flower"):
        run_engine("local", tmp_path, 2, 0, silent, "class")
