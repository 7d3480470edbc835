"""The store of runs: nothing is lost, nothing half-written is shown, names are only data."""

import io
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.store import files
from unlearn_core.store.files import write_bytes, write_json
from unlearn_core.store.locks import lock
from unlearn_core.store.manifest import seal
from unlearn_core.store.queue import ahead, position
from unlearn_core.store.runs import RunRecord, RunState, RunStore

NO_RUN = "20261120T101500Z-aaaaaaaaaaaaaaaa"


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path)


def made(store: RunStore, token: str, device: str = "cpu", kind: str = "train") -> RunRecord:
    return store.create(kind, {"seed": 1, "classes": ["cat"]}, token, device)


def succeeded(store: RunStore, token: str) -> RunRecord:
    """A run with a result, as its worker would leave it."""
    run = made(store, token)
    store.begin(run.id)
    write_bytes(store.folder(run.id) / "model.safetensors", os.urandom(1000))
    write_json(store.folder(run.id) / "result.json", {"accuracy": 0.75})
    seal(store.folder(run.id), {"run": run.id})
    store.finish(run.id, RunState.SUCCEEDED)
    return store.get(run.id)


def one_of_each(store: RunStore) -> dict[str, RunRecord]:
    """A run in every state, with the person's words on it."""
    runs = {"succeeded": succeeded(store, "t-succeeded")}
    for state in ("failed", "cancelled", "interrupted"):
        run = made(store, f"t-{state}")
        store.begin(run.id)
        store.finish(run.id, RunState(state), f"It {state}.")
        runs[state] = run
    runs["running"] = made(store, "t-running")
    store.begin(runs["running"].id)
    runs["queued"] = made(store, "t-queued")
    for state, run in runs.items():
        store.rename(run.id, f"name of {state}")
        store.annotate(run.id, "a note\nof two lines")
    return {state: store.get(run.id) for state, run in runs.items()}


def test_a_new_run_waits_and_keeps_what_was_asked(store: RunStore) -> None:
    run = store.create("unlearn", {"forget": ["cat"], "ratio": 0.2}, "token", "cuda", "first")
    assert re.fullmatch(r"\d{8}T\d{6}Z-[a-z2-7]{16}", run.id)
    assert (run.state, run.kind, run.name, run.attempt, run.result) == (
        RunState.QUEUED,
        "unlearn",
        "first",
        0,
        None,
    )
    assert run.request == {"forget": ["cat"], "ratio": 0.2}
    assert run.device == "cuda:0"
    assert store.get(run.id) == run
    kept = json.loads((store.folder(run.id) / "request.json").read_text())
    assert (kept["id"], kept["token"], kept["request"]) == (run.id, "token", run.request)


def test_one_token_is_one_run_from_any_number_of_threads(tmp_path: Path) -> None:
    found: list[str] = []

    def press() -> None:
        found.append(RunStore(tmp_path).create("train", {}, "token").id)

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1
    assert len(RunStore(tmp_path).list()) == 1
    assert [p.name for p in (tmp_path / "runs").iterdir()] == [found[0]]


def test_the_second_use_of_a_token_changes_nothing(store: RunStore) -> None:
    first = store.create("train", {"seed": 1}, "token", "cpu", "one")
    assert store.create("score", {"seed": 2}, "token", "mps", "two") == first


def test_newest_come_first_and_can_be_chosen_by_kind(store: RunStore) -> None:
    ids = [made(store, f"t{i}", kind=kind).id for i, kind in enumerate(["train", "score", "train"])]
    assert [r.id for r in store.list()] == ids[::-1]
    assert [r.id for r in store.list(kind="train")] == [ids[2], ids[0]]
    assert [r.id for r in store.list(limit=1)] == [ids[2]]
    assert store.list(kind="audit") == ()


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "../../etc", "a\x00b", "'; DROP TABLE runs; --", "Größe 猫 🐈", "=1+1", ""],
)
def test_names_and_notes_are_data(tmp_path: Path, name: str) -> None:
    store = RunStore(tmp_path)
    run = store.create("train", {"text": name}, "token", name=name)
    store.annotate(run.id, name)
    for found in (store.get(run.id), RunStore(tmp_path).list()[0]):
        assert (found.name, found.note, found.request["text"]) == (name, name, name)
    (tmp_path / "runs.sqlite").unlink()
    assert RunStore(tmp_path).get(run.id) == store.get(run.id)
    assert [p.name for p in (tmp_path / "runs").iterdir()] == [run.id]


def test_names_that_cannot_be_kept_are_kept_as_far_as_they_can(store: RunStore) -> None:
    run = made(store, "token")
    store.rename(run.id, "half \ud800" + "x" * 10_000)
    assert store.get(run.id).name == "half ?" + "x" * 194


@pytest.mark.parametrize(
    "run_id",
    [
        "../x",
        "..",
        "",
        "/etc",
        "20261120T101500Z-AAAAAAAAAAAAAAAA",
        NO_RUN + "\n",
        NO_RUN + "/../..",
        "a" * 999,
    ],
)
def test_what_is_no_run_id_never_becomes_a_path(store: RunStore, run_id: str) -> None:
    for call in (
        store.folder,
        store.get,
        store.delete,
        store.export,
        store.request_cancel,
        store.folders.log,
    ):
        with pytest.raises(UnlearnError, match="is no run id"):
            call(run_id)


def test_an_unknown_run_is_named(store: RunStore) -> None:
    for call in (store.get, store.delete, store.result, store.export, store.request_cancel):
        with pytest.raises(UnlearnError, match=NO_RUN):
            call(NO_RUN)
    assert list((store.root / "runs").iterdir()) == []


@pytest.mark.parametrize("device", ["", "../cpu", "cuda:", "cuda:0000", "CPU", "cpu\n"])
def test_a_device_is_never_a_path(store: RunStore, device: str) -> None:
    with pytest.raises(UnlearnError, match="is no device"):
        made(store, "token", device)


def test_places_in_the_queue_are_counted_by_device(store: RunStore) -> None:
    first, second, other, third = (
        made(store, f"t{i}", d) for i, d in enumerate(["cpu", "cpu", "mps", "cpu"])
    )
    assert [position(store.unfinished(), r.id) for r in (first, second, other, third)] == [1, 2, 1, 3]
    store.begin(first.id)
    assert [position(store.unfinished(), r.id) for r in (first, second, other, third)] == [0, 1, 1, 2]
    assert [r.id for r in ahead(store.unfinished(), third.id)] == [first.id, second.id]
    store.finish(first.id, RunState.FAILED, "no")
    store.finish(second.id, RunState.CANCELLED)
    assert [position(store.unfinished(), r.id) for r in (first, second, third)] == [0, 0, 1]


def test_the_first_verdict_stands(store: RunStore) -> None:
    run = made(store, "token")
    assert store.finish(run.id, RunState.CANCELLED, "stopped")
    assert not store.finish(run.id, RunState.SUCCEEDED)
    store.begin(run.id)
    found = store.get(run.id)
    assert (found.state, found.error, found.started) == (RunState.CANCELLED, "stopped", None)
    assert found.finished is not None


def test_a_run_that_did_not_succeed_keeps_no_manifest(store: RunStore) -> None:
    run = made(store, "token")
    write_bytes(store.folder(run.id) / "partial.bin", b"x")
    seal(store.folder(run.id), {})
    store.finish(run.id, RunState.CANCELLED)
    assert not (store.folder(run.id) / "manifest.json").exists()
    with pytest.raises(UnlearnError, match="is cancelled"):
        store.artifact(run.id, "partial.bin")
    with pytest.raises(UnlearnError, match="is cancelled"):
        store.result(run.id)
    assert store.files(run.id) == {}


def test_results_come_only_from_verified_files(store: RunStore) -> None:
    run = succeeded(store, "token")
    assert run.result == store.result(run.id) == {"accuracy": 0.75}
    assert store.files(run.id).keys() == {
        "model.safetensors",
        "record.json",
        "request.json",
        "result.json",
    } - {"record.json"}
    assert store.artifact(run.id, "model.safetensors").stat().st_size == 1000
    # Names may change after the seal.
    store.rename(run.id, "renamed")
    assert store.result(run.id) == {"accuracy": 0.75}
    write_json(store.folder(run.id) / "result.json", {"accuracy": 0.76})
    found = store.get(run.id)
    assert found.result is None
    assert found.damage == ("result.json is not the file that the run wrote.",)
    with pytest.raises(UnlearnError, match=r"damaged: result\.json"):
        store.result(run.id)


def test_delete_removes_all_of_one_run_and_refuses_a_live_one(store: RunStore) -> None:
    run, other = succeeded(store, "one"), succeeded(store, "two")
    with (
        lock(store.folders.lock_file(run.id)),
        pytest.raises(UnlearnError, match=f"{run.id} is still at work"),
    ):
        store.delete(run.id)
    assert store.get(run.id) == run
    store.delete(run.id)
    assert [r.id for r in store.list()] == [other.id]
    assert [p.name for p in (store.root / "runs").iterdir()] == [other.id]
    assert list((store.root / "deleted").iterdir()) == []
    store.recover()
    assert [r.id for r in store.list()] == [other.id]


def test_a_run_without_a_folder_can_be_deleted(store: RunStore) -> None:
    run = succeeded(store, "one")
    shutil.rmtree(store.folder(run.id))
    assert store.get(run.id).damage
    store.delete(run.id)
    assert store.list() == ()


def test_export_holds_every_file_and_how_the_run_ended(store: RunStore) -> None:
    run = succeeded(store, "token")
    store.folders.lock_file(run.id).touch()
    (store.folder(run.id) / "x.tmp-0123abcd").touch()
    with zipfile.ZipFile(io.BytesIO(store.export(run.id))) as archive:
        names = {name.removeprefix(f"{run.id}/") for name in archive.namelist()}
        assert names == {"manifest.json", "model.safetensors", "record.json", "request.json", "result.json"}
        assert json.loads(archive.read(f"{run.id}/record.json"))["state"] == "succeeded"
        weights = (store.folder(run.id) / "model.safetensors").read_bytes()
        assert archive.read(f"{run.id}/model.safetensors") == weights
    with pytest.raises(UnlearnError, match="has not finished"):
        store.export(made(store, "waits").id)


def test_the_end_of_the_log_can_be_read(store: RunStore) -> None:
    run = made(store, "token")
    assert store.folders.log(run.id) == ""
    (store.folder(run.id) / "log.txt").write_bytes("äb".encode() + b"\xff")
    assert store.folders.log(run.id) == "äb\ufffd"
    assert store.folders.log(run.id, last=2) == "b\ufffd"


def test_another_store_object_and_another_process_see_the_same(template: Path, tmp_path: Path) -> None:
    _, before = copied(template, tmp_path)
    assert {s: RunStore(tmp_path).get(r.id) for s, r in before.items()} == before
    script = "from unlearn_core.store.runs import RunStore; print(*[r.id for r in RunStore().list()])"
    printed = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "LETHE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert printed.stdout.split() == [r.id for r in RunStore(tmp_path).list()]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run in every state, to be copied: writing one takes a second."""
    root = tmp_path_factory.mktemp("template")
    one_of_each(RunStore(root))
    return root


def copied(template: Path, root: Path) -> tuple[RunStore, dict[str, RunRecord]]:
    shutil.copytree(template, root, dirs_exist_ok=True)
    store = RunStore(root)
    return store, {r.state.value: store.get(r.id) for r in store.list()}


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


def zero_a_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(4096))


def overwrite(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)


def drop_the_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE runs")


def spoil_a_request(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE runs SET request = '{' WHERE seq = 2")


def spoil_a_state(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE runs SET state = 'won' WHERE seq = 2")


DAMAGES = [Path.unlink, empty, cut, zero_a_page, overwrite, drop_the_table, spoil_a_request, spoil_a_state]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("reopened", [True, False])
def test_a_damaged_index_is_made_anew_with_nothing_lost(
    template: Path, tmp_path: Path, damage: Callable[[Path], None], reopened: bool
) -> None:
    store, before = copied(template, tmp_path)
    order = [r.id for r in store.list()]
    damage(tmp_path / "runs.sqlite")
    if reopened:
        store = RunStore(tmp_path)
    assert [r.id for r in store.list()] == order
    assert {state: store.get(run.id) for state, run in before.items()} == before
    assert made(store, "t-failed").id == before["failed"].id
    newest = made(store, "later")
    assert store.list()[0] == newest
    if damage is not Path.unlink:
        assert any("runs.sqlite" in p.name for p in (tmp_path / "quarantine").iterdir())


def test_random_damages_lose_no_run(template: Path, tmp_path: Path) -> None:
    store, _ = copied(template, tmp_path)
    ids = {r.id for r in store.list()}
    dice = random.Random(7)
    path = tmp_path / "runs.sqlite"
    for _ in range(40):
        content = bytearray(path.read_bytes())
        start = dice.randrange(len(content))
        length = dice.choice([1, 16, 512, 4096])
        content[start : start + length] = dice.randbytes(length)
        path.write_bytes(
            bytes(content[: dice.choice([len(content), len(content), dice.randrange(len(content))])])
        )
        assert {r.id for r in RunStore(tmp_path).list()} == ids


def test_a_log_left_beside_a_lost_index_is_not_played_onto_the_new_one(
    template: Path, tmp_path: Path
) -> None:
    store, before = copied(template, tmp_path)
    with closing(sqlite3.connect(tmp_path / "runs.sqlite")) as db, db:
        db.execute("UPDATE runs SET name = 'from the log'")
        db.commit()
        log = (tmp_path / "runs.sqlite-wal").read_bytes()
    (tmp_path / "runs.sqlite").unlink()
    (tmp_path / "runs.sqlite-wal").write_bytes(log)
    assert {s: RunStore(tmp_path).get(r.id) for s, r in before.items()} == before


def test_threads_that_find_the_damage_together_mend_it_once(template: Path, tmp_path: Path) -> None:
    store, before = copied(template, tmp_path)
    overwrite(tmp_path / "runs.sqlite")
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(store.list()))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [len(before)] * 6
    assert sum(p.name.endswith("runs.sqlite") for p in (tmp_path / "quarantine").iterdir()) == 1


def test_a_row_that_the_index_lost_comes_back_from_its_folder(template: Path, tmp_path: Path) -> None:
    store, before = copied(template, tmp_path)
    with closing(sqlite3.connect(store.root / "runs.sqlite")) as db, db:
        db.execute("DELETE FROM runs WHERE state IN ('queued', 'failed')")
    # Another run has come to use the token meanwhile.
    again = made(store, "t-queued")
    store.recover()
    assert store.get(before["failed"].id) == before["failed"]
    assert store.get(before["queued"].id).state is RunState.QUEUED
    assert store.get(again.id).id != before["queued"].id
    assert len(store.list()) == 7


SPOILT = [
    ("request.json", b"{"),
    ("request.json", b'{"id": 1}'),
    ("request.json", None),
    ("record.json", b"\x00"),
    ("record.json", b'{"state": "won"}'),
    ("record.json", None),
]


@pytest.mark.parametrize(("name", "content"), SPOILT)
def test_one_damaged_folder_hides_no_other(tmp_path: Path, name: str, content: bytes | None) -> None:
    store = RunStore(tmp_path)
    runs = [succeeded(store, f"t{i}") for i in range(3)]
    path = store.folder(runs[1].id) / name
    path.unlink() if content is None else path.write_bytes(content)
    (tmp_path / "runs.sqlite").unlink()
    store = RunStore(tmp_path)
    found = {r.id: store.get(r.id) for r in store.list()}
    assert found.keys() == {r.id for r in runs}
    assert [found[r.id] for r in runs[::2]] == runs[::2]
    damaged = found[runs[1].id]
    if name == "request.json":
        assert (damaged.kind, damaged.state) == ("damaged", RunState.FAILED)
        assert "request.json" in damaged.error
    else:
        # The manifest still proves the result; only name and times are gone.
        assert (damaged.state, damaged.result) == (RunState.SUCCEEDED, {"accuracy": 0.75})
    store.delete(damaged.id)


@pytest.mark.parametrize(
    ("field", "value"),
    [("created", "NaN"), ("seq", "1e400"), ("seq", str(10**30)), ("kind", '"../x"'), ("token", '"\\ud800"')],
)
def test_hostile_values_in_a_request_file_damage_that_run_alone(
    tmp_path: Path, field: str, value: str
) -> None:
    store = RunStore(tmp_path)
    run, other = made(store, "one"), made(store, "two")
    path = store.folder(run.id) / "request.json"
    path.write_text(
        re.sub(rf'"{field}": [^\n]*?(,?)\n', rf'"{field}": __\1\n', path.read_text()).replace("__", value)
    )
    (tmp_path / "runs.sqlite").unlink()
    store = RunStore(tmp_path)
    assert store.get(run.id).kind == "damaged"
    assert store.get(other.id) == other


def test_a_succeeded_run_whose_files_changed_is_no_success_after_a_rebuild(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    run = succeeded(store, "token")
    (store.folder(run.id) / "model.safetensors").write_bytes(b"other")
    (tmp_path / "runs.sqlite").unlink()
    found = RunStore(tmp_path).get(run.id)
    assert found.state is RunState.FAILED
    assert "model.safetensors" in found.error


def test_a_newer_index_is_left_alone(tmp_path: Path) -> None:
    RunStore(tmp_path)
    with closing(sqlite3.connect(tmp_path / "runs.sqlite")) as db, db:
        db.execute("PRAGMA user_version = 2")
    before = (tmp_path / "runs.sqlite").read_bytes()
    with pytest.raises(UnlearnError, match="newer version"):
        RunStore(tmp_path)
    assert (tmp_path / "runs.sqlite").read_bytes() == before


def test_a_home_that_cannot_be_is_a_sentence_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnlearnError, match=re.escape(str(tmp_path / "file"))):
        RunStore(tmp_path / "file")
    with pytest.raises(UnlearnError, match="/proc/lethe"):
        RunStore(Path("/proc/lethe"))


def test_a_run_that_could_not_be_written_was_never_asked_for(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(UnlearnError, match="no room to write"):
        made(store, "token")
    monkeypatch.undo()
    assert store.list() == ()
    store.recover()
    assert store.list() == ()
    assert made(store, "token").state is RunState.QUEUED


def test_a_change_that_could_not_be_written_did_not_happen(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(store, "token")
    with monkeypatch.context() as patched:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr(files.os, "replace", full)
        with pytest.raises(UnlearnError, match=r"no room to write .*record\.json"):
            store.finish(run.id, RunState.FAILED, "x")
    assert store.get(run.id) == run
