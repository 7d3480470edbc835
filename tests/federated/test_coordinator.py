"""A whole run at the server, over clients without transport: model, plan, statistics and record come out."""

import json

import numpy as np
import pytest

from unlearn_core.channels.activations import collect, load_stats
from unlearn_core.channels.pruning import plan_from_plain
from unlearn_core.checkpoints.model_files import open_model
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.federated import coordinator
from unlearn_core.federated.client_stats import REPORTED
from unlearn_core.federated.coordinator import conduct
from unlearn_core.federated.finished_round import FinishedRound, load_round, save_round
from unlearn_core.federated.job import Job, read_job, write_job
from unlearn_core.federated.outcome import OUTCOME
from unlearn_core.federated.request import PARAMS, FederatedRequest
from unlearn_core.federated.server import Server
from unlearn_core.params import build, plain
from unlearn_core.progress import RunCancelled, silent
from unlearn_core.results.evaluation import predictions
from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams
from unlearn_core.unlearning.task import Task
from unlearn_core.unlearning.tfidf_prune import run

RECIPE = {"lr": 0.02, "batch_size": 20, "augment": "none", "precision": "float32"}
PRUNE = {**RECIPE, "where": "all", "ratio": 0.3}


@pytest.fixture
def conducted(tmp_path, monkeypatch, colours, colour_card, trained, sites_of, direct):
    """Runs a job on the colours in a folder; what came of it."""
    monkeypatch.setattr(coordinator, "open_dataset", lambda spec, report: colours)

    def make(action="unlearn", clients=4, report=silent, folder=tmp_path, params=None, privacy=None, **asked):
        request = build(FederatedRequest, {"action": action, "clients": clients, "device": "cpu", **asked})
        recipe = params or (PRUNE if action == "unlearn" else RECIPE)
        kept = {"k": 1, "epsilon": 0.0, "delta": 1e-5, "clip": 0.5, **(privacy or {})}
        forget = () if action == "train" else (1,)
        job = Job(request, build(PARAMS[action], recipe), kept, forget)
        write_job(folder, job, trained, colour_card)
        assert read_job(folder) == job
        conduct(folder, direct(sites_of(colours, clients, request.partition)), report)
        return json.loads((folder / OUTCOME).read_text())

    return make


def test_unlearning_prunes_and_forgets(conducted, tmp_path, colours, trained):
    told = conducted(rounds=2)
    assert [r["rung"] for r in told["ladder"]] == ["pruned", "round 1", "round 2"]
    assert told["ladder"][-1]["forget_test_accuracy"] < 0.1 < 0.9 < told["ladder"][-1]["retain_test_accuracy"]
    assert [e["kind"] for e in told["exchanges"]] == ["register", "stats", "train", "train", "evaluate"]
    assert [m["images"] for m in told["members"]] == [30] * 4 and not told["events"]
    seconds, sent = zip(*((r["seconds"], r["bytes"]) for r in told["ladder"]), strict=True)
    assert list(seconds) == sorted(seconds) and sorted(set(sent)) == list(sent)
    opened = open_model(tmp_path / "model.safetensors")
    assert opened.plan == plan_from_plain(json.loads((tmp_path / "plan.json").read_text()))
    assert opened.card.facts["forgot"] == ["green"]
    split = split_dataset(colours, ForgetSpec(("green",)))
    right = [predictions(opened.model, s).tally() for s in (split.forget, split.retain)]
    assert told["tallies"] == [[t.correct, t.total] for t in right]


def test_without_the_last_count_the_model_is_there(conducted, tmp_path, monkeypatch):
    monkeypatch.setattr(Server, "tallies", lambda self, ask: None)
    assert conducted(rounds=0)["tallies"] is None
    (tmp_path / "model.safetensors").unlink()
    monkeypatch.setattr(Server, "tallies", lambda self, ask: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        conducted(rounds=0)
    assert open_model(tmp_path / "model.safetensors").plan


def test_statistics_are_kept_whole_and_by_client(conducted, tmp_path, colours, trained):
    conducted(rounds=0, partition="shards:1")
    whole, kept = collect(trained, colours.train, colours.classes), load_stats(tmp_path / REPORTED)
    assert np.array_equal(kept.counts, whole.counts)
    with np.load(tmp_path / "client_stats.npz") as each:
        assert each["counts"].shape == (4, 3) and each["clients"].tolist() == [0, 1, 2, 3]
        for layer in whole.layers:
            np.testing.assert_allclose(
                each[f"sums/{layer}"].sum(axis=0), whole.sums[layer], rtol=1e-6, atol=1e-6
            )


@pytest.mark.parametrize("combine", ["joint", "sequential"])
def test_one_client_is_the_centralised_method(combine, conducted, tmp_path, colours, colour_card, trained):
    """The same plan, the same pruned net, and after one round the same weights: the whole method, not its parts."""
    params = {**PRUNE, "combine": combine}
    conducted(clients=1, rounds=1, params=params)
    split = split_dataset(colours, ForgetSpec(("green",)))
    central = build(TfidfPruneParams, {**params, "epochs": 1, "images_per_class": 0})
    outcome = run(trained, central, Task(split, 0, silent, lambda name, model: {}, lambda seed: trained))
    opened = open_model(tmp_path / "model.safetensors")
    assert opened.plan.groups == outcome.plan.groups
    ours, theirs = (m.net.state_dict() for m in (opened.model, outcome.model))
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_silenced_channels_stay_silent_through_all_rounds(conducted, tmp_path):
    conducted(rounds=2, params={**PRUNE, "cut": False})
    opened = open_model(tmp_path / "model.safetensors")
    modules = dict(opened.model.net.named_modules())
    for layer, channels in opened.plan.channels.items():
        assert not modules[layer].weight[list(channels)].any()


def test_training_and_retraining(conducted, tmp_path):
    for action, images in (("train", 120), ("retrain", 80)):
        told = conducted(action, rounds=2, local_epochs=2)
        assert [r["rung"] for r in told["ladder"]] == ["round 1", "round 2"]
        assert told["plan"] is None
        assert sum(m["train_images"] for m in told["members"]) == images
        assert open_model(tmp_path / "model.safetensors").card.facts["federated"]["action"] == action


def test_repeats_bit_for_bit(conducted, tmp_path):
    digests = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        conducted(folder=tmp_path / name, rounds=1, partition="dirichlet:0.5", participation=0.5)
        digests.add(open_model(tmp_path / name / "model.safetensors").digest)
    assert len(digests) == 1


@pytest.mark.parametrize("action", ["unlearn", "retrain"])
def test_a_run_whose_server_died_goes_on_after_the_last_finished_round(
    action, conducted, tmp_path, monkeypatch
):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    told = conducted(action, folder=whole, rounds=3)
    trained = Server.train
    monkeypatch.setattr(
        Server, "train", lambda self, ask: 1 / 0 if ask.config["round"] == 3 else trained(self, ask)
    )
    with pytest.raises(ZeroDivisionError):
        conducted(action, folder=cut, rounds=3)
    asked = []

    def train(self, ask):
        asked.append(ask.config["round"])
        return trained(self, ask)

    monkeypatch.setattr(Server, "train", train)
    resumed = conducted(action, folder=cut, rounds=3)
    assert asked == [3]
    one, two = (open_model(folder / "model.safetensors") for folder in (whole, cut))
    assert one.digest == two.digest and one.plan == two.plan
    for now, before in zip(resumed["ladder"], told["ladder"], strict=True):
        assert now["rung"] == before["rung"] and now["per_class"] == before["per_class"]
    kinds = [e["kind"] for e in resumed["exchanges"]]
    assert kinds.count("train") == 3 and kinds.count("register") == 2
    assert kinds.count("stats") == (action == "unlearn")
    numbers = [e["exchange"] for e in resumed["exchanges"]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert sorted(p.name for p in cut.iterdir()) == sorted(p.name for p in whole.iterdir())


def test_a_round_of_another_model_is_not_gone_on_from(conducted, tmp_path):
    save_round(tmp_path, FinishedRound("another", 2, {}, {}))
    assert load_round(tmp_path, "another").number == 2
    assert [r["rung"] for r in conducted(rounds=1)["ladder"]] == ["pruned", "round 1"]


def test_several_classes_one_after_the_other_ask_again(
    conducted, tmp_path, colours, colour_card, trained, monkeypatch
):
    plans = []
    original = coordinator.plan_by

    def both(stats, model, example, params, targets, seed):
        plans.append(original(stats, model, example, params, (1, 2), seed))
        return plans[-1]

    monkeypatch.setattr(coordinator, "plan_by", both)
    told = conducted(rounds=0, params={**PRUNE, "combine": "sequential", "ratio": 0.2})
    assert [e["kind"] for e in told["exchanges"]].count("stats") == 2
    assert plans[0].reason["classes"] == ["green", "blue"]


def test_noise_changes_the_plan_and_breaks_nothing(conducted, tmp_path):
    exact = conducted(rounds=0)["plan"]
    noisy = conducted(rounds=0, privacy={"epsilon": 1.0})
    assert noisy["plan"]["groups"] != exact["groups"]
    assert not noisy["events"]


def test_reports_rounds_and_clients_and_can_be_cancelled(conducted):
    seen = []
    conducted(rounds=1, report=seen.append)
    rounds = [p for p in seen if p.stage == "federated rounds"]
    assert [p.metrics["rung"] for p in rounds] == ["pruned", "round 1"]
    clients = [p.metrics for p in seen if p.stage == "training at the clients"]
    assert sorted(m["client"] for m in clients) == ["0", "1", "2", "3"]
    assert all(m["loss"] > 0 and m["bytes_up"] > 0 and m["keep"] for m in clients)

    def stop(progress):
        if progress.stage == "training at the clients":
            raise RunCancelled

    with pytest.raises(RunCancelled):
        conducted(rounds=1, report=stop)


def test_settings_travel_whole(conducted, tmp_path):
    conducted(rounds=0)
    job = read_job(tmp_path)
    assert plain(job.params)["ratio"] == 0.3 and job.request.rounds == 0
