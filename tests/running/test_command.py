"""The command line as people script it: names, JSON, exit status; in real processes."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.intervals import Tally
from unlearn_core.results.evaluation import Evaluation, MembershipAttacks
from unlearn_core.results.plain import to_plain
from unlearn_core.results.result import UnlearnResult
from unlearn_core.running.command.main import main
from unlearn_core.store.runs import RunState, RunStore

VGG = ["--model", "bundled:digits-vgg11", "--data", "digits"]


def lethe(*words, home, status=0):
    """A real process: its standard output and error."""
    environment = {**os.environ, "LETHE_HOME": str(home), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "unlearn_core", *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done


def last_json(done):
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def unlearned(tmp_path_factory):
    """One run from the command line, and the store it lies in."""
    home = tmp_path_factory.mktemp("home")
    words = [
        "unlearn",
        *VGG,
        "--forget",
        "3",
        "--method",
        "tfidf_prune",
        "--epochs",
        "1",
        "--controls",
        "mask_logit",
    ]
    return home, last_json(lethe(*words, "--json", home=home))


def test_unlearn_says_before_pruned_and_after(unlearned):
    _, result = unlearned
    assert result["run"] and result["seconds"] > 0
    for stage in ("before", "pruned", "after"):
        assert 0 <= result[stage]["forget_test_accuracy"] <= 1
        assert 0 <= result[stage]["retain_test_accuracy"] <= 1
    assert result["before"]["forget_test_accuracy"] > 0.9 > 0.1 > result["after"]["forget_test_accuracy"]
    assert result["after"]["retain_test_accuracy"] > 0.95


def test_runs_are_listed_shown_exported_evaluated_and_deleted(unlearned, tmp_path):
    home, result = unlearned
    run = result["run"]
    assert [r["run"] for r in last_json(lethe("runs", "list", "--json", home=home))] == [run]
    shown = last_json(lethe("runs", "show", run, "--json", home=home))
    assert shown["state"] == "succeeded" and shown["result"]["after"] == result["after"]
    lethe("runs", "export", run, "--out", str(tmp_path / "run.zip"), home=home)
    assert (tmp_path / "run.zip").read_bytes()[:2] == b"PK"
    again = last_json(
        lethe("evaluate", "--model", f"run:{run}", "--data", "digits", "--forget", "3", "--json", home=home)
    )
    assert again["test_accuracy"] == result["after"]["test_accuracy"]
    assert again["forget_test_accuracy"] == result["after"]["forget_test_accuracy"]
    assert list(again["per_class"]) == [str(k) for k in range(10)]
    lethe("runs", "delete", run, home=home)
    assert last_json(lethe("runs", "list", "--json", home=home)) == []


def test_score_writes_arrays_of_classes_by_channels(tmp_path):
    lethe("score", *VGG, "--per-class", "20", "--out", str(tmp_path / "s.npz"), home=tmp_path / "home")
    with np.load(tmp_path / "s.npz") as arrays:
        assert arrays["counts"].tolist() == [20] * 10
        assert list(arrays["classes"]) == [str(k) for k in range(10)]
        for layer in arrays["layers"]:
            mean, tf, tfidf = (arrays[f"{layer}/{name}"] for name in ("mean", "tf", "tfidf"))
            assert mean.shape == tf.shape == tfidf.shape and len(mean) == 10
            np.testing.assert_allclose(tf, mean / mean.sum(1, keepdims=True))


def test_maps_draws_a_picture(tmp_path, capsys, monkeypatch):
    out = tmp_path / "maps.png"
    assert main(["maps", *VGG, "--image", "5", "--layer", "features.0", "--out", str(out)]) == 0
    assert out.read_bytes()[:4] == b"\x89PNG"
    assert main(["maps", *VGG, "--image", "5", "--layer", "nowhere", "--out", str(out)]) == 2
    assert "features.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["dance"], "dance"),
        (["unlearn"], "--model"),
        (["evaluate", "--model", "nothing.pt", "--data", "digits"], "nothing.pt"),
        (["evaluate", *VGG, "--forget", "purple"], "purple"),
        (["evaluate", "--model", "bundled:digits-vgg11", "--data", "mnist"], "mnist"),
        (["unlearn", *VGG, "--method", "magic"], "magic"),
        (["unlearn", *VGG, "--scope", "sideways"], "sideways"),
        (["runs", "show", "../../etc/passwd"], "passwd"),
        (["runs", "show", "20200101T000000Z-aaaaaaaaaaaaaaaa"], "20200101T000000Z"),
    ],
)
def test_bad_input_is_one_sentence_and_status_two(words, told, capsys):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err and len(captured.err.strip().splitlines()) == 1


def test_a_bad_setting_in_a_run_is_a_sentence_too(tmp_path):
    done = lethe(
        "unlearn", *VGG, "--forget", "3", "--ratio", "0.001", "--controls", "none", home=tmp_path, status=2
    )
    assert "would prune no channel" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("what", ["models", "methods", "datasets"])
def test_lists(what, capsys):
    assert main([what, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"models": "bundled:digits-vgg11", "methods": "tfidf_prune", "datasets": "digits"}[what] in listed
    assert all(row["about"] for row in listed.values())


def test_several_seeds_are_one_run_each_and_one_list(monkeypatch, capsys, tmp_path):
    asked = []

    def followed(kind, request, device):
        asked.append(request["settings"])
        confusion = ((9, 1), (1, 1))
        tested = Evaluation(
            ("a", "b"), (1,), confusion, forget_train=Tally(7, 8), mia=MembershipAttacks(efficacy=0.75)
        )
        result = to_plain(UnlearnResult(method="scrub", before=tested, after=tested, seconds=1.0))
        record = RunStore(tmp_path).create(kind, request, str(len(asked)), "cpu")
        return replace(record, result=result)

    monkeypatch.setattr("unlearn_core.running.command.start.follow_new", followed)
    words = ["unlearn", *VGG, "--forget", "3", "--method", "scrub", "--seed"]
    assert main([*words, "4,0,2", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert len({r["run"] for r in listed}) == 3
    assert [s["seed"] for s in asked] == [4, 0, 2]
    assert len({s["group"] for s in asked}) == 1 and asked[0]["group"]
    assert main([*words, "1"]) == 0
    first, *shown = capsys.readouterr().out.splitlines()
    assert first.startswith("“b” is not forgotten") and "50.0 %" in first
    assert shown[0].split()[:6] == ["forget", "retain", "UA", "MIA", "RA", "TA"]
    assert " ".join(shown[1].split()) == "before 50.0 % 90.0 % 12.5 % 75.0 % – 90.0 %"
    assert main([*words, "1,x"]) == 2
    assert "Seeds can't be" in capsys.readouterr().err
    assert main([*words, "1,2", "--out", "model.safetensors"]) == 2
    assert "--out takes one model" in capsys.readouterr().err
    assert len(asked) == 4


def test_a_run_that_was_cancelled_is_exit_status_1(monkeypatch, tmp_path, capsys):
    store = RunStore(tmp_path)
    record = store.create("unlearn", {}, "token", "cpu")
    store.finish(record.id, RunState.CANCELLED, "The run was cancelled.")
    monkeypatch.setattr("unlearn_core.running.jobs.submit", lambda *args, **kinds: record)
    monkeypatch.setenv("LETHE_HOME", str(tmp_path))
    assert main(["unlearn", *VGG, "--forget", "3"]) == 1
    assert "cancelled" in capsys.readouterr().err


def test_a_run_waits_in_the_queue_of_the_device_that_auto_stands_for(monkeypatch, tmp_path):
    devices = []

    def submit(store, kind, request, token, device, name):
        devices.append(device)
        raise UnlearnError("enough")

    monkeypatch.setattr("unlearn_core.running.jobs.submit", submit)
    monkeypatch.setenv("LETHE_HOME", str(tmp_path))
    assert main(["unlearn", *VGG, "--forget", "3"]) == 2
    from unlearn_core.models.inference import choose_device

    assert devices == [str(choose_device("auto"))]
    with pytest.raises(UnlearnError, match="is no device"):
        RunStore(tmp_path).create("unlearn", {}, "token", "auto")


def test_a_data_set_is_downloaded_only_where_that_is_asked_for(monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(
        "unlearn_core.data.sources.open_dataset",
        lambda spec, report, *, download: opened.append((spec.name, download)),
    )
    assert main(["datasets", "--json"]) == 0
    assert not opened
    assert main(["datasets", "--download", "cifar10", "--json"]) == 0
    assert opened == [("cifar10", True)] and "cifar10" in json.loads(capsys.readouterr().out.splitlines()[-1])
