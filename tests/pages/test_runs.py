"""The Runs page: kept, found, renamed, noted, taken home, deleted; a damaged one is shown as damaged."""

import io
import json
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.parts.runs.table import list_key
from unlearn_core.results.loading import of_record
from unlearn_core.running import jobs
from unlearn_core.running.watching import step_text
from unlearn_core.store.runs import RunState, RunStore

OpenPage = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "refresh", lambda store: ())


def texts(app: AppTest) -> str:
    return " ".join(
        e.value for e in [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    )


def test_an_empty_store_says_what_to_do(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("runs")
    assert not app.exception
    assert "There is no run yet" in texts(app)


def test_lists_a_finished_run_with_its_numbers(home: Path, open_page: OpenPage) -> None:
    store = RunStore(home)
    result = store.result(store.list()[0].id)
    app = open_page("runs")
    assert not app.exception and not app.error
    row = app.dataframe[0].value.iloc[0]
    assert (row["name"], row["state"], row["forgets"]) == ("Forget three", "finished", "3")
    before, after = (100 * result[k]["forget_test_accuracy"] for k in ("before", "after"))
    assert row["forgotten class"] == f"{before:.1f} → {after:.1f} %"
    assert "1 run: 1 finished" in texts(app).replace("\\", "")


def test_what_the_method_says_of_its_result_is_a_warning(
    home: Path, open_page: OpenPage, with_result: Callable[..., str]
) -> None:
    with_result(notes=["33% of the training images are forgotten."])
    assert [w.value for w in open_page("runs").warning] == ["33% of the training images are forgotten\\."]


def test_shows_the_command_that_repeats_the_run(home: Path, open_page: OpenPage) -> None:
    from unlearn_core.running.command.main import parser_for

    words = shlex.split(open_page("runs").code[0].value)
    assert words[:4] == ["python", "-m", "unlearn_core", "unlearn"]
    asked = vars(parser_for(words[3:]).parse_args(words[3:]))
    request = RunStore(home).list()[0].request
    told = {**request["settings"], **request["params"]}
    assert {k: str(asked[k]) for k in told} == {k: str(v) for k, v in told.items()}


def test_renames_and_annotates(home: Path, open_page: OpenPage) -> None:
    run = RunStore(home).list()[0].id
    app = open_page("runs")
    app.text_input(key=f"name {run}").set_value("<b>mine</b>").run()
    app.text_area(key=f"note {run}").set_value("for the lecture").run()
    assert not app.exception
    kept = RunStore(home).get(run)
    assert (kept.name, kept.note) == ("<b>mine</b>", "for the lecture")
    assert app.subheader[0].value == "\\<b\\>mine\\</b\\>"


def test_search_and_state_filter(home: Path, open_page: OpenPage) -> None:
    store = RunStore(home)
    other = store.create("score", {"settings": {}}, "t", "cpu", "Scores of mine")
    store.finish(other.id, RunState.FAILED, "It broke.")
    app = open_page("runs")
    assert len(app.dataframe[0].value) == 2
    app.text_input(key="runs search").set_value("three").run()
    assert app.dataframe[0].value["name"].tolist() == ["Forget three"]
    app.text_input(key="runs search").set_value("nothing like it").run()
    assert "No run matches" in texts(app) and not app.exception


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED])
def test_a_run_without_success_offers_to_resume(home: Path, open_page: OpenPage, state: RunState) -> None:
    store = RunStore(home)
    run = store.create("unlearn", {"settings": {"forget": "3"}}, "t", "cpu", "Other")
    store.finish(run.id, state, "Why it ended.")
    app = open_page("runs")
    assert not app.exception
    assert "Why it ended" in texts(app)
    assert ("Retry" if state is RunState.FAILED else "Resume") in [b.label for b in app.button]


def test_a_damaged_run_is_shown_as_damaged_and_without_numbers(home: Path, open_page: OpenPage) -> None:
    store = RunStore(home)
    run = store.list()[0]
    weights = store.folder(run.id) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    app = open_page("runs")
    assert not app.exception
    row = app.dataframe[0].value.iloc[0]
    assert (row["state"], row["forgotten class"]) == ("damaged", "")
    assert "Damaged" in app.error[0].value and "model.safetensors" in app.error[0].value.replace("\\", "")


def test_downloads_are_what_the_run_wrote(home: Path, open_page: OpenPage) -> None:
    from pages.parts.runs import card

    store = RunStore(home)
    run = store.get(store.list()[0].id)
    app = open_page("runs")
    labels = [b.label.split(" (")[0] for b in app.get("download_button")]
    assert labels[:5] == ["Weights", "JSON", "CSV", "PNG", "Everything"]
    assert json.loads(card.json_bytes(store.result(run.id)))["kind"] == "unlearn"
    assert card._picture(run, of_record(run))[:8] == b"\x89PNG\r\n\x1a\n"
    names = zipfile.ZipFile(io.BytesIO(store.export(run.id))).namelist()
    assert f"{run.id}/model.safetensors" in names and f"{run.id}/manifest.json" in names


def test_delete_asks_first(home: Path, open_page: OpenPage) -> None:
    run = RunStore(home).list()[0].id
    app = open_page("runs")
    assert RunStore(home).list()
    app.button(key=f"delete {run}").click().run()
    assert not app.exception
    assert RunStore(home).list() == ()
    assert "There is no run yet" in texts(app)


def test_two_ticked_runs_are_compared(home: Path, open_page: OpenPage) -> None:
    store = RunStore(home)
    other = store.create("unlearn", {"settings": {"forget": "3"}}, "t", "cpu", "Other")
    store.finish(other.id, RunState.FAILED, "It broke.")
    app = open_page("runs")
    app.session_state[list_key(store.list())] = {"selection": {"rows": [0, 1], "columns": []}}
    app.run()
    assert not app.exception
    assert "Only finished unlearning runs" in texts(app)


def test_a_stage_without_steps_counts_none() -> None:
    told = {"stage": "starting Flower", "done": 0, "total": 1, "metrics": {}}
    assert step_text(told) == "Starting Flower"
    assert step_text({**told, "total": 3, "rate": 0.5, "eta": 6}) == (
        "Starting Flower · 0 of 3 · 0.5 steps/s · 6.0 s left in this stage"
    )
