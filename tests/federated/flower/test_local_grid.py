"""Flower's own apps over the grid in this process; and the one private name of Flower that it takes."""

import json
import threading

import numpy as np
import pytest
import torch

from unlearn_core.checkpoints.model_files import open_model
from unlearn_core.errors import UnlearnError
from unlearn_core.federated.coordinator import conduct
from unlearn_core.federated.engine import run_engine
from unlearn_core.federated.job import read_job
from unlearn_core.federated.outcome import OUTCOME
from unlearn_core.progress import RunCancelled, silent

pytestmark = pytest.mark.usefixtures("flower")


def told(folder):
    return json.loads((folder / OUTCOME).read_text())


def test_flower_changes_nothing(job_in, tmp_path, digits, sites_of, direct):
    """Over Flower's messages the same model comes out, bit for bit, as without any transport."""
    folder, plain = job_in(tmp_path / "a", rounds=1), job_in(tmp_path / "b", rounds=1)
    run_engine("local", folder, 4, 0, silent)
    conduct(plain, direct(sites_of(digits, 4)), silent)
    ours, theirs = (open_model(f / "model.safetensors") for f in (folder, plain))
    assert ours.digest == theirs.digest
    assert ours.plan == theirs.plan
    one, two = told(folder), told(plain)
    assert one["tallies"] == two["tallies"]
    for key in ("client", "images", "train_images"):
        assert [m[key] for m in one["members"]] == [m[key] for m in two["members"]]
    for way in ("bytes_up", "bytes_down"):
        assert [e[way] for e in one["exchanges"]] == [e[way] for e in two["exchanges"]]


def test_drop_out_is_noted_and_survived(job_in, tmp_path):
    folder = job_in(tmp_path, clients=8, rounds=2, dropout=0.3, quorum=0.25)
    run_engine("local", folder, 8, 0, silent)
    events = told(folder)["events"]
    assert events and {e["event"] for e in events} == {"dropped"}
    assert all("dropped out" in e["reason"] for e in events)


def test_all_dropping_out_ends_with_a_sentence(job_in, tmp_path):
    with pytest.raises(UnlearnError, match=r"Too few clients \(stats\): 0 of 4"):
        run_engine("local", job_in(tmp_path, dropout=1.0), 4, 0, silent)


def test_plan_of_uneven_clients_is_that_of_the_whole(job_in, tmp_path, digits):
    from unlearn_core.channels.activations import collect
    from unlearn_core.federated.client import example_for
    from unlearn_core.unlearning.tfidf_prune import plan_by

    folder = job_in(tmp_path, partition="dirichlet:0.1")
    run_engine("local", folder, 4, 0, silent)
    model = open_model(folder / "start.safetensors").model
    whole = collect(model, digits.train, digits.classes)
    params = read_job(folder).params
    plan = plan_by(lambda _: whole, model, example_for(model, digits.test.images), params, (3,), 0)
    assert open_model(folder / "model.safetensors").plan.groups == plan.groups


def test_a_sites_own_folder_takes_the_runs_labels(digits, tmp_path):
    from unlearn_core.federated.flower.sites import relabelled

    few = digits.train.select(digits.train.labels >= 8)
    from dataclasses import replace

    own = replace(digits, classes=("9", "8"), train=replace(few, labels=9 - few.labels))
    assert torch.equal(relabelled(own, digits.classes).labels, few.labels)
    with pytest.raises(UnlearnError, match="no class 'cat'"):
        relabelled(replace(own, classes=("9", "cat")), digits.classes)


def test_arrays_travel_with_type_and_shape():
    from unlearn_core.federated.flower.wire import arrays_of, record_of

    sent = {
        "counter": np.array(7, dtype=np.int64),
        "sums": np.arange(6, dtype=np.float64).reshape(2, 3) / 3,
        "turned": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "none": np.empty((0, 3), dtype=np.float32),
    }
    got = arrays_of(record_of({**sent, "foreign": sent["sums"].astype(">f8")}))
    assert got["foreign"].dtype == np.float64 and np.array_equal(got.pop("foreign"), sent["sums"])
    assert not any(values.flags.writeable for values in got.values())
    for name, values in sent.items():
        assert got[name].dtype == values.dtype and got[name].shape == values.shape
        assert np.array_equal(got[name], values)


def test_the_private_name_is_what_it_was():
    """Flower takes a message's sender from here; a version that moves it fails in this test before it fails a person."""
    from flwr.app import Message, RecordDict
    from flwr.supercore.task_identity import TaskIdentity

    from unlearn_core.federated.flower.local_grid import _identity

    before = TaskIdentity._node_id
    with _identity(17):
        assert Message(RecordDict(), 3, "query.stats").metadata.src_node_id == 17
    assert TaskIdentity._node_id is before


def test_answers_in_files_are_read_as_they_come(tmp_path):
    from unlearn_core.federated.flower.server_app import FileReport, read_reports
    from unlearn_core.progress import Progress

    path = tmp_path / "told.jsonl"
    assert read_reports(path, 0) == ([], 0)
    tell = FileReport(path)
    tell(Progress("a", 1, 2, {"x": 1.5}))
    first, position = read_reports(path, 0)
    assert first == [Progress("a", 1, 2, {"x": 1.5})]
    with path.open("a") as file:
        file.write('["torn", 1')
    assert read_reports(path, position) == ([], position)


def reply_of(content):
    from flwr.app import Message, RecordDict

    from unlearn_core.federated.flower.local_grid import _identity

    with _identity(0):
        asked = Message(RecordDict(), 3, "query.stats")
    with _identity(3):
        return Message(content, reply_to=asked)


def sent(config="{}", array=None):
    """An answer's content: its JSON, and one array's type, shape, format and bytes."""
    from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

    arrays = {} if array is None else {"x": Array(*array)}
    return RecordDict({"arrays": ArrayRecord(arrays), "config": ConfigRecord({"json": config})})


ONE = np.ones(1, dtype=np.float32).tobytes()

MALFORMED = {
    "list": ("[]", None),
    "nested": ('{"images": [1]}', None),
    "deep": ("[" * 100_000, None),
    "no bytes": ("{}", ("<f4", (1,), "bytes", b"")),
    "torn": ("{}", ("<f4", (2,), "bytes", ONE + b"a")),
    "too many": ("{}", ("<f4", (1,), "bytes", ONE + ONE)),
    "no type": ("{}", ("nonsense", (1,), "bytes", ONE)),
    "objects": ("{}", ("|O", (1,), "bytes", ONE + ONE)),
    "text": ("{}", ("<U1", (1,), "bytes", ONE)),
    "another format": ("{}", ("<f4", (1,), "numpy.ndarray", ONE)),
    "fields": ("{}", ("<f4,<f4", (), "bytes", ONE + ONE)),
    "evaluated": ("{}", ("(1,)<f4", (1,), "bytes", ONE)),
    "long": ("{}", (",".join(["<f4"] * 100_000), (1,), "bytes", ONE)),
    "big-endian": ("{}", (">f4", (1,), "bytes", ONE)),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_reply_is_a_rejected_answer(name):
    from unlearn_core.federated.flower.replies import answer_of
    from unlearn_core.federated.validate import genuine

    told = answer_of(reply_of(sent(*MALFORMED[name])), 3)
    taken, [rejection] = genuine([told], [3], 1)
    assert not taken and not told.error and "can't be read" in rejection.reason


def test_a_blank_error_has_a_reason():
    from flwr.app import Error

    from unlearn_core.federated.flower.replies import answer_of

    assert answer_of(reply_of(Error(code=0, reason=" \n")), 3).error == "It failed without a reason."


def test_clients_that_take_turns_are_never_late(job_in, tmp_path, monkeypatch):
    """On a slow machine the answers come later, and must be the same: one after the other, in this thread."""
    from unlearn_core.federated.flower.local_grid import LocalGrid

    turns, answered = [], LocalGrid._answered

    def watched(self, message):
        turns.append((message.metadata.dst_node_id, threading.current_thread()))
        return answered(self, message)

    monkeypatch.setattr(LocalGrid, "_answered", watched)
    folder = job_in(tmp_path, deadline=0.1)
    run_engine("local", folder, 4, 0, silent)
    assert told(folder)["events"] == []
    assert all(len(e["bytes_up"]) == 4 for e in told(folder)["exchanges"])
    assert [node for node, _ in turns] == [1, 2, 3, 4] * len(told(folder)["exchanges"])
    assert {thread for _, thread in turns} == {threading.current_thread()}


def test_a_client_in_this_process_that_is_cancelled_ends_the_run(job_in, tmp_path, monkeypatch):
    from unlearn_core.federated.flower import client_app

    def cancelled(ask, site):
        raise RunCancelled

    monkeypatch.setattr(client_app, "answer", cancelled)
    with pytest.raises(RunCancelled):
        run_engine("local", job_in(tmp_path), 4, 0, silent)


def test_own_folder_and_foreign_texts_stay_at_the_client(tmp_path):
    from flwr.app import Context, RecordDict

    from unlearn_core.federated.flower.discretion import discreet

    def failing(error):
        def work(message, context):
            raise error

        context = Context(1, 1, {"data": "folder:/srv/hospital a"}, RecordDict(), {})
        with pytest.raises(UnlearnError) as told:
            discreet(work)(reply_of(RecordDict()), context)
        return str(told.value)

    said = failing(
        UnlearnError("/srv/hospital a/train/miller.png can't be read; see '/home/ann/log', 1/2 of it.")
    )
    assert said == "… can't be read; see '…', 1/2 of it."
    assert failing(OSError("/srv/hospital a: no such file")) == "It failed (OSError); its own log says more."
    assert "package torchvision, which" in failing(ModuleNotFoundError("/srv/x", name="torchvision"))


def test_other_machines_hear_only_the_name_of_the_servers_data_and_choose_their_device(job_in, tmp_path):
    from flwr.app import Context, RecordDict
    from flwr.clientapp import ClientApp

    from unlearn_core.federated.flower.local_grid import LocalGrid, _identity
    from unlearn_core.federated.flower.transport import transport_over
    from unlearn_core.federated.messages import Question

    class Heard(LocalGrid):
        def push_messages(self, messages):
            sites.extend(json.loads(str(m.content["config"]["site"])) for m in messages)
            return [""]

    (tmp_path / "set").mkdir()
    for link, expected in (("", (f"folder:{tmp_path / 'set'}", "cpu")), ("hospital", ("folder", "auto"))):
        sites = []
        folder = job_in(tmp_path / f"run{link}", data=f"folder:{tmp_path / 'set'}", superlink=link)
        with _identity(0):
            transport = transport_over(Heard(ClientApp(), {}), folder, Context(1, 0, {}, RecordDict(), {}))
            transport.ask([1], Question("register", {}, {"exchange": 1}), 1.0, lambda answer: None)
        assert [(site["data"], site["device"]) for site in sites] == [expected]
        assert (str(tmp_path) in json.dumps(sites)) == (not link)


def test_a_clients_own_floor_stands(digits):
    from flwr.app import Context, RecordDict

    from unlearn_core.federated.flower.sites import site_of

    config = {"partition-id": 0, "num-partitions": 1, "least-k": 40}
    site = {
        "data": "digits",
        "classes": digits.classes,
        "partition": "iid",
        "clients": 1,
        "seed": 0,
        "device": "cpu",
    }
    assert site_of(Context(1, 1, config, RecordDict(), {}), site, 1).least_k == 40
