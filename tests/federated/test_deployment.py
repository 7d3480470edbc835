"""Flower as real processes over loopback: the same model as in one process; a client that is killed is survived."""

import json
import os
import signal
import subprocess

import pytest

from unlearn_core.checkpoints import fresh_model, open_model
from unlearn_core.data import open_dataset, parse_dataset
from unlearn_core.errors import UnlearnError
from unlearn_core.federated import OUTCOME, PARAMS, FederatedRequest, Job, run_engine, write_job
from unlearn_core.models import ModelCard, ModelSpec, Normalization
from unlearn_core.params import build
from unlearn_core.progress import silent

pytestmark = pytest.mark.usefixtures("flower")

CLIENTS = 4
HALF = Normalization("custom", (0.5,) * 3, (0.5,) * 3)


def job_in(folder, **asked):
    digits = open_dataset(parse_dataset("digits"))
    card = ModelCard(
        "tiny", ModelSpec("cifar_resnet20_b", 10, width=0.125), digits.classes, HALF, 32, "digits", {}
    )
    settings = {"clients": CLIENTS, "rounds": 0, "device": "cpu", "partition": "dirichlet:0.5", **asked}
    params = build(PARAMS["unlearn"], {"where": "all", "ratio": 0.3, "precision": "float32"})
    privacy = {"k": 1, "epsilon": 0.0, "delta": 1e-5, "clip": 0.5}
    folder.mkdir()
    write_job(
        folder, Job(build(FederatedRequest, settings), params, privacy, (3,)), fresh_model(card, 0), card
    )
    return folder


def flower_processes():
    listed = subprocess.run(
        ["ps", "-Aww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return {
        int(r[0]): r[2] for r in rows if not r[1].startswith("Z") and ("flower-" in r[2] or "flwr" in r[2])
    }


def test_superlink_and_four_supernodes_of_which_one_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = set(flower_processes())
    local, real = job_in(tmp_path / "local"), job_in(tmp_path / "real", deadline=45.0)
    run_engine("local", local, CLIENTS, 0, silent)
    killed = []

    def kill_one(progress):
        # The statistics are in; who is killed now is missing from the evaluation that follows.
        if progress.stage == "federated rounds" and not killed:
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
    assert [len(e["bytes_up"]) for e in told["exchanges"]][:2] == [4, 4]
    assert set(flower_processes()) <= before


def test_a_run_that_fails_says_why_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = set(flower_processes())
    folder = job_in(tmp_path / "real", clients=3, deadline=3.0, quorum=1.0)
    with pytest.raises(UnlearnError, match=r"Too few clients \(connect\): 1 of 3 took part, 3 are needed"):
        run_engine("flower", folder, 1, 0, silent)
    assert set(flower_processes()) <= before
