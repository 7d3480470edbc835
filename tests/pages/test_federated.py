"""The Federated page: the partition before any run, one run for however many clicks, and a finished run in every view."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from unlearn_core.errors import UnlearnError
from unlearn_core.federated.partition import draw, holdings, parse_partition
from unlearn_core.progress import Progress
from unlearn_core.running import jobs
from unlearn_core.store.progress import ProgressLog
from unlearn_core.store.runs import RunState, RunStore

OpenPage = Callable[..., AppTest]
ASKED = {
    "data": "digits",
    "model": "imported:tiny",
    "forget": "3",
    "clients": 3,
    "partition": "dirichlet:0.5",
}
ASKED |= {"device": "cpu", "seed": 0, "rounds": 1, "k": 1}


@pytest.fixture(scope="module")
def federated_home(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with the tiny model, federated unlearning with a client that drops out, and its retraining."""
    if find_spec("flwr") is None:
        sentence = "Flower isn't installed: pip install -r requirements-federated.txt"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    from unlearn_core.running.kinds.registry import run_workflow
    from unlearn_core.running.worker import execute

    root = tmp_path_factory.mktemp("federated") / "home"
    shutil.copytree(made_home / "models", root / "models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LETHE_HOME", str(root))
        store = RunStore(root)
        for action in ("retrain", "unlearn"):
            settings = {**ASKED, "action": action, "quorum": 0.1}
            record = store.create(
                "federated", {"settings": settings, "params": {}}, action, "cpu", f"My *{action}*"
            )
            assert execute(store, record.id, run_workflow) == 0, store.get(record.id).error
        yield root


@pytest.fixture
def finished(federated_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A copy of that home, as LETHE_HOME."""
    root = tmp_path / "home"
    shutil.copytree(federated_home, root)
    monkeypatch.setenv("LETHE_HOME", str(root))
    return RunStore(root)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Calls of `submit`; each makes the row, but no process."""
    calls: list[tuple[Any, ...]] = []

    def submit(store: RunStore, kind: str, request: Any, token: str, device: str, name: str) -> Any:
        calls.append((kind, request, token, device, name))
        return store.create(kind, request, token, device, name)

    monkeypatch.setattr(jobs, "submit", submit)
    monkeypatch.setattr(jobs, "refresh", lambda store: ())
    return calls


def start_button(app: AppTest) -> Any:
    return next(b for b in app.button if b.label in {"Start", "Started", "Run it now"})


def texts(app: AppTest) -> str:
    kinds = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    return " ".join(e.value for e in kinds).replace("\\", "")


def test_before_any_run_it_shows_who_holds_what(
    empty_home: Path, open_page: OpenPage, started: list[Any]
) -> None:
    app = open_page("federated", forget=["3"])
    assert not app.exception and not app.error
    from sklearn.datasets import load_digits  # the labels, counted without our own code

    table = next(t.value for t in app.dataframe if "all" in t.value.columns)
    assert table["all"].sum() == 1438 and len(table) == 10
    assert int(np.bincount(load_digits().target)[3]) > table["3"].sum() > 0
    carriers = int((table["3"] > 0).sum())
    assert f"{carriers} of 10 clients carry “3”, client {table['3'].idxmax()} most" in texts(app)
    assert not started


def test_the_picture_is_the_partition_that_a_run_deals(empty_home: Path, open_page: OpenPage) -> None:
    from unlearn_core.data.sources import open_dataset, parse_dataset

    app = open_page("federated", forget=["3"])
    app.selectbox(key="federated partition").set_value("shards").run()
    app.number_input(key="federated clients").set_value(4).run()
    labels = open_dataset(parse_dataset("digits")).train.labels.numpy()
    expected = holdings(labels, draw(labels, 4, parse_partition("shards:2"), seed=0), 10)
    table = next(t.value for t in app.dataframe if "all" in t.value.columns)
    assert (table[[str(k) for k in range(10)]].to_numpy() == expected).all()


def test_what_cannot_be_dealt_is_a_sentence(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("federated", forget=["3"])
    app.number_input(key="federated clients").set_value(5000).run()
    assert not app.exception
    assert "can't be dealt" in texts(app)


def test_start_submits_the_form_once(empty_home: Path, open_page: OpenPage, started: list[Any]) -> None:
    app = open_page("federated", forget=["3"])
    start_button(app).click().run()
    assert not app.exception
    [(kind, request, _, device, name)] = started
    assert kind == "federated" and device == "cpu" and "3" in name
    settings = request["settings"]
    assert (settings["action"], settings["forget"], settings["clients"]) == ("unlearn", "3", 10)
    assert (settings["partition"], settings["rounds"], settings["engine"]) == ("dirichlet:0.5", 5, "local")
    assert request["params"]["ratio"] == 0.3 and "epochs" not in request["params"]
    assert start_button(app).disabled and start_button(app).label == "Started"
    from unlearn_core.federated.request import PARAMS, FederatedRequest
    from unlearn_core.params import build

    assert build(FederatedRequest, settings) and build(PARAMS["unlearn"], request["params"])


def test_a_run_at_work_shows_the_course_of_whole_classes(
    finished: RunStore, open_page: OpenPage, started: list[Any]
) -> None:
    app = open_page("federated", forget=["3"])
    start_button(app).click().run()
    [record] = finished.unfinished()
    # The share of clients that train in a round, not of the images to forget.
    assert record.request["settings"]["participation"] == 1.0
    rung = {
        "rung": "round 1",
        "retain_test_accuracy": 0.9,
        "forget_test_accuracy": 0.0,
        "per_class": [0.5] * 10,
    }
    ProgressLog(finished.folder(record.id), record.attempt)(Progress("federated round", 1, 5, rung))
    app.run()
    assert not app.exception
    [table] = [t.value for t in app.dataframe if "test accuracy" in t.value.columns]
    assert table["class"].tolist() == ["0", "1", "2", "✕ 3", *"456789"]
    assert "The aim is not 0" not in texts(app)


@pytest.mark.parametrize("action", ["retrain", "train"])
def test_every_action_has_its_form(
    empty_home: Path, open_page: OpenPage, started: list[Any], action: str
) -> None:
    app = open_page("federated", forget=["3"])
    app.session_state["federated action"] = action
    app.run()
    start_button(app).click().run()
    [(_, request, *_)] = started
    assert request["settings"]["action"] == action
    assert request["settings"]["forget"] == ("" if action == "train" else "3")
    assert request["settings"]["rounds"] == {"retrain": 15, "train": 5}[action]
    assert "ratio" not in request["params"] and "k" not in request["settings"]
    assert not [w for w in app.number_input if w.label == "Floor k"]
    shown = "Freeze batch-norm statistics" in [w.label for w in [*app.checkbox, *app.toggle]]
    assert shown == (action == "train") and ("freeze_bn" in request["params"]) == shown


def test_what_plays_no_part_is_not_offered(empty_home: Path, open_page: OpenPage, started: list[Any]) -> None:
    app = open_page("federated", forget=["3"])
    start_button(app).click().run()
    [(_, request, *_)] = started
    assert "images_per_class" in request["params"] and "tune_images" not in request["params"]


def test_nothing_can_start_before_a_class_is_picked(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("federated")
    assert not app.exception and start_button(app).disabled


def test_without_flower_it_says_what_to_install(
    empty_home: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "flwr" else real(name, *a)
    )
    app = open_page("federated", forget=["3"])
    assert not app.exception and start_button(app).disabled
    assert "pip install -r requirements-federated.txt" in texts(app)


def test_a_refused_start_is_a_sentence(
    empty_home: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise UnlearnError("There is no room to write.")

    monkeypatch.setattr(jobs, "submit", refuse)
    app = open_page("federated", forget=["3"])
    start_button(app).click().run()
    assert not app.exception and "no room" in texts(app)


def test_a_failed_run_has_its_sentence_and_next_step(empty_home: Path, open_page: OpenPage) -> None:
    store = RunStore(empty_home)
    run = store.create("federated", {"settings": {**ASKED, "action": "unlearn"}}, "t", "cpu", "Bad")
    store.finish(run.id, RunState.FAILED, "Too few clients (stats): 1 of 3 took part, 2 are needed.")
    app = open_page("federated", forget=["3"])
    assert not app.exception
    assert "Too few clients" in texts(app) and "Retry" in [b.label for b in app.button]


def test_a_run_at_work_shows_protocol_rounds_and_cancel(
    empty_home: Path, open_page: OpenPage, started: list[Any]
) -> None:
    store = RunStore(empty_home)
    run = store.create("federated", {"settings": {**ASKED, "action": "unlearn"}}, "t", "cpu", "Busy")
    store.begin(run.id)
    told = {"round": 1, "client": "2", "answered": True, "bytes_up": 99, "bytes_down": 90, "loss": 0.5}
    progress = {
        "stage": "training at the clients",
        "done": 1,
        "total": 3,
        "seconds": 1.0,
        "rate": 1.0,
        "eta": 2.0,
    }
    folder, attempt = store.folder(run.id), store.get(run.id).attempt
    line = {"time": 1.0, "attempt": attempt, **progress, "metrics": told}
    (folder / "progress.json").write_text(json.dumps({**progress, "metrics": told, "time": 1.0}))
    (folder / "events.jsonl").write_text(json.dumps(line) + "\n")
    app = open_page("federated", forget=["3"])
    assert not app.exception
    told_by_charts = " ".join(
        json.loads(c.proto.spec).get("description", "") for c in app.get("vega_lite_chart")
    )
    assert "round 1 of 1: 1 of 3 answered, working" in told_by_charts
    assert "Training by round and client: 1 trained, 2 not asked." in told_by_charts
    [cancel, *_] = [b for b in app.button if b.label == "Cancel"]
    cancel.click().run()
    assert store.folders.cancel_file(run.id).exists()


@pytest.mark.parametrize("view", ["Protocol", "Race", "Clients’ scores", "Averaging", "Privacy", "Events"])
def test_without_a_run_every_view_says_what_to_do(empty_home: Path, open_page: OpenPage, view: str) -> None:
    app = open_page("federated", view=view)
    assert not app.exception
    assert "No federated run has finished yet" in texts(app) and "press Start" in texts(app)


def test_the_protocol_of_a_finished_run(finished: RunStore, open_page: OpenPage) -> None:
    app = open_page("federated", view="Protocol")
    assert not app.exception and not app.error
    record = finished.list("federated")[0]
    told = finished.result(record.id)["federation"]
    assert "3 clients, dirichlet:0.5" in texts(app) and "no image" in texts(app)
    values = {m.label: m.value for m in app.metric}
    sent = (told["bytes_down"] + told["bytes_up"]) / 1e3
    assert values["Sent in all"] == f"{sent:.0f} KB"
    cells = next(t.value for t in app.dataframe if "bytes_up" in t.value.columns)
    assert len(cells) == 3 and cells["bytes_up"].sum() == sum(
        sum(e["bytes_up"].values()) for e in told["exchanges"] if e["kind"] == "train"
    )
    assert cells["loss"].notna().all()


def test_the_race_stands_on_one_axis(finished: RunStore, open_page: OpenPage) -> None:
    app = open_page("federated", view="Race")
    assert not app.exception and not app.error
    rows = next(t.value for t in app.dataframe if "run" in t.value.columns)
    assert set(rows["run"]) == {"Unlearning", "Retraining"}
    assert {"rounds", "seconds", "megabytes"} <= set(rows.columns)
    assert "there" in texts(app) or "retraining" in texts(app)
    for unit in ("seconds", "megabytes"):
        app.session_state["federated unit"] = unit
        app.run()
        assert not app.exception


def test_a_class_that_comes_back_is_said(
    finished: RunStore, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "came back" not in texts(open_page("federated", view="Race"))
    get = RunStore.get

    def returned(self: RunStore, run_id: str) -> Any:
        record = get(self, run_id)
        assert record.result
        ladder = [
            {**r, "forget_test_accuracy": 0.9 * (r["rung"] != "pruned")} for r in record.result["ladder"]
        ]
        return replace(record, result={**record.result, "ladder": ladder})

    monkeypatch.setattr(RunStore, "get", returned)
    shown = texts(open_page("federated", view="Race"))
    assert "came back: from 0.0 % at “pruned” to 89" in shown and "larger ratio" in shown


@pytest.mark.parametrize("name", ["local_epochs", "participation", "aggregator", "engine"])
def test_runs_of_other_federations_do_not_race(
    finished: RunStore, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from pages.parts.federated.runs import counterpart

    other = {"local_epochs": 2, "participation": 0.5, "aggregator": "trimmed_mean", "engine": "flower"}
    default = {"local_epochs": 1, "participation": 1.0, "aggregator": "fedavg", "engine": "local"}
    ours, theirs = (
        next(r for r in finished.list("federated") if a in r.name) for a in ("*unlearn*", "*retrain*")
    )
    asked = theirs.request["settings"]
    for values, found in ((default, True), (other, False)):
        run = replace(theirs, request={"settings": {**asked, name: values[name]}, "params": {}})
        assert (counterpart(ours, [run]) is run) == found


def test_a_reference_takes_over_what_both_share(
    finished: RunStore, open_page: OpenPage, started: list[Any]
) -> None:
    ours = next(r for r in finished.list("federated") if "*unlearn*" in r.name)
    params = {"batch_size": 16, "augment": "none", "lr": 0.02, "ratio": 0.3}
    request = {"settings": {**ours.request["settings"], "seed": 7}, "params": params}
    record = finished.create("federated", request, "other", "cpu", "Other")
    shutil.copytree(finished.folder(ours.id), finished.folder(record.id), dirs_exist_ok=True)
    finished.begin(record.id)
    finished.finish(record.id, RunState.SUCCEEDED)
    app = open_page("federated", b=record.id, view="Race")
    start_button(app).click().run()
    [(_, request, *_)] = started
    assert request["params"] == {"batch_size": 16, "augment": "none"}


def test_a_missing_reference_is_one_click(
    finished: RunStore, open_page: OpenPage, started: list[Any]
) -> None:
    retrained = next(r for r in finished.list("federated") if "retrain" in r.name)
    finished.delete(retrained.id)
    app = open_page("federated", view="Race")
    assert "nothing to compare with" in texts(app)
    start_button(app).click().run()
    [(_, request, *_)] = started
    same = {k: request["settings"][k] for k in ("data", "model", "forget", "clients", "partition", "seed")}
    assert same == {k: ASKED[k] for k in same}
    assert (request["settings"]["action"], request["settings"]["rounds"]) == ("retrain", 15)


def test_random_channels_are_one_click_and_join_the_race(
    finished: RunStore, open_page: OpenPage, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pages.parts.federated.runs import control, counterpart
    from unlearn_core.running.kinds.registry import run_workflow
    from unlearn_core.running.worker import execute

    ours, retrained = (
        next(r for r in finished.list("federated") if a in r.name) for a in ("*unlearn*", "*retrain*")
    )
    app = open_page("federated", view="Race")
    assert "Would any channels have done" in texts(app)
    next(b for b in app.button if b.label == "Same with random channels").click().run()
    [(_, request, *_)] = started
    used = finished.result(ours.id)["params"]
    assert request["settings"] == ours.request["settings"]
    assert request["params"] == {**used, "direction": "random"} != used
    drawn = finished.list("federated")[0]
    assert execute(finished, drawn.id, run_workflow) == 0, finished.get(drawn.id).error
    assert finished.result(drawn.id)["method"] == "random_prune"

    everything = list(finished.list("federated"))
    assert everything[0].id == drawn.id
    found = counterpart(retrained, everything)
    assert found is not None and found.id == ours.id
    for chosen in ({}, {"b": retrained.id}):
        app = open_page("federated", view="Race", **chosen)
        assert not app.exception and not app.error
        rows = next(t.value for t in app.dataframe if "run" in t.value.columns)
        assert set(rows["run"]) == {"Unlearning", "Retraining", "Random channels"}
        assert "Random channels at the same ratio" in texts(app)
        assert app.selectbox(key="pick federated").value == chosen.get("b", ours.id)
    app = open_page("federated", view="Race", b=drawn.id)
    assert (
        not app.exception
        and "drew its channels at random" in texts(app)
        and "at random and fine-tuning took" in texts(app)
    )
    for view in ("Averaging", "Privacy"):
        app = open_page("federated", view=view, b=drawn.id)
        assert not app.exception and "statistics play no part" in texts(app)
        assert "Agreement of the plan" not in {m.label for m in app.metric}
    app = open_page("compare")
    assert not app.exception and not app.error

    result = finished.result(ours.id)
    same = {"clients": "3", "seed": "0"}  # as the command line stores them
    as_text = replace(ours, request={**ours.request, "settings": {**ours.request["settings"], **same}})
    assert control(as_text, everything) is not None
    for changed in (
        {"params": {**used, "ratio": 0.5}},
        {"federation": {**result["federation"], "settings": {}}},
    ):
        monkeypatch.setattr(
            "pages.parts.federated.runs.result_of",
            lambda r, c=changed: {**finished.result(r.id), **(c if r.id == ours.id else {})},
        )
        assert control(ours, everything) is None


def test_clients_scores_stand_beside_those_of_all(finished: RunStore, open_page: OpenPage) -> None:
    app = open_page("federated", view="Clients’ scores")
    assert not app.exception and not app.error
    record = finished.list("federated")[0]
    rows = next(t.value for t in app.dataframe if "class" in t.value.columns)["class"].tolist()
    counts = [r[3] for r in finished.result(record.id)["federation"]["holdings"]]
    assert rows == [f"all clients · {sum(counts)}", f"plain average · {sum(counts)}"] + [
        f"client {i} · {n}" for i, n in enumerate(counts)
    ]
    assert "they disagree on" in texts(app) or "reported no image" in texts(app)
    app.selectbox(key=f"federated beside {record.id}").set_value(3).run()
    assert not app.exception and "Client 1" in texts(app)


def test_averaging_and_privacy_show_what_was_measured(finished: RunStore, open_page: OpenPage) -> None:
    told = finished.result(finished.list("federated")[0].id)["federation"]["agreement"]
    app = open_page("federated", view="Averaging")
    assert not app.exception
    assert f"shares {100 * told['plain']:.0f} % of the {told['channels']} channels" in texts(app)
    app = open_page("federated", view="Privacy")
    assert not app.exception
    values = {m.label: m.value for m in app.metric}
    assert values["Agreement of the plan"] == "100 %"  # nothing was hidden, counts weigh: the law
    assert values["Floor k"] == "1 image" and values["Epsilon"] == "none"


def test_retraining_claims_no_statistics(finished: RunStore, open_page: OpenPage) -> None:
    retrained = next(r for r in finished.list("federated") if "retrain" in r.name)
    app = open_page("federated", b=retrained.id, view="Privacy")
    assert not app.exception and not app.metric
    assert "Only unlearning reports statistics" in texts(app)


def test_the_privacy_tab_says_all_that_leaves_a_client(finished: RunStore, open_page: OpenPage) -> None:
    app = open_page("federated", view="Privacy")
    for part in ("how many images it holds", "count of the classes to forget", "classifies rightly"):
        assert part in texts(app)


def test_a_rehearsals_model_opens_in_audit(finished: RunStore, open_page: OpenPage) -> None:
    record = next(r for r in finished.list("federated") if "retrain" not in r.name)
    app = open_page("federated", view="Privacy")
    assert not app.exception and "nothing to see of this model in Audit" not in texts(app)
    app = open_page("audit", b=record.id)
    assert not app.exception and not app.error
    assert "a training image of “3” and an unseen one" in texts(app)
    assert "a federation's server has none of them" in texts(app)


def test_of_clients_with_images_of_their_own_there_is_nothing_to_attack(
    finished: RunStore, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = next(r for r in finished.list("federated") if "retrain" not in r.name)
    settings = {**record.request["settings"], "superlink": "hospital"}
    deployed = replace(finished.get(record.id), request={**record.request, "settings": settings})
    monkeypatch.setattr(RunStore, "list", lambda self, *a, **k: (deployed,))
    monkeypatch.setattr(RunStore, "get", lambda self, run_id: deployed)
    monkeypatch.setattr(RunStore, "files", lambda self, run_id: {})
    app = open_page("federated", view="Privacy")
    assert not app.exception and "nothing to see of this model in Audit" in texts(app)
    app = open_page("audit", b=record.id)
    assert not app.exception and "stay at the clients" in texts(app)


def test_events_and_notes_are_listed(finished: RunStore, open_page: OpenPage) -> None:
    app = open_page("federated", view="Events")
    assert not app.exception
    assert "Every client answered every question" in texts(app)


def test_the_model_opens_in_before_and_after_and_in_runs(finished: RunStore, open_page: OpenPage) -> None:
    for record in finished.list("federated"):
        app = open_page("before_after", b=record.id)
        assert not app.exception and not app.error
        result = finished.result(record.id)
        # For retraining too, "before" is the model that was to forget, not the new one's random start.
        assert result["before"]["retain_test_accuracy"] > 0.5
        app = open_page("runs")
        assert not app.exception
        assert "My *unlearn*" in " ".join(app.dataframe[0].value["name"])
        assert any("federated " in c.value and "--clients 3" in c.value for c in app.code)


def test_a_link_restores_the_run(finished: RunStore, open_page: OpenPage) -> None:
    retrained = next(r for r in finished.list("federated") if "retrain" in r.name)
    app = open_page("federated", b=retrained.id, view="Protocol")
    assert app.selectbox(key="pick federated").value == retrained.id
