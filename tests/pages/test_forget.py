"""The Forget page: what would happen, one run for however many clicks, and every way a run can end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from unlearn_core import jobs
from unlearn_core.advice import PRESETS
from unlearn_core.errors import UnlearnError
from unlearn_core.runs import RunState, RunStore

OpenPage = Callable[..., AppTest]
APP = Path(__file__).resolve().parents[2] / "app.py"
PAPER = "Paper as released (global threshold)"


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Calls of `submit`; each makes the row, but no process."""
    calls: list[tuple[Any, ...]] = []

    def submit(store: RunStore, kind: str, request: Any, token: str, device: str, name: str) -> Any:
        calls.append((kind, request, token, device, name))
        return store.create(kind, request, token, device, name)

    monkeypatch.setattr(jobs, "submit", submit)
    monkeypatch.setattr(jobs, "refresh", lambda store: ())
    # How fast this machine is, is not what is tested here.
    monkeypatch.setattr("unlearn_core.preview.step_seconds", lambda *args: 0.5)
    return calls


def start_button(app: AppTest) -> Any:
    return next(b for b in app.button if b.label in {"Start", "Started"})


def texts(app: AppTest) -> str:
    return " ".join(
        e.value for e in [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    )


def test_nothing_can_start_before_a_class_is_picked(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("forget")
    assert not app.exception and not app.error
    assert start_button(app).disabled
    assert "Pick a class" in texts(app)


def test_shows_the_plan_and_the_masked_accuracy_before_anything_runs(
    empty_home: Path, open_page: OpenPage, started: list[Any]
) -> None:
    app = open_page("forget", forget=["3"])
    assert not app.exception and not app.error
    assert "Silencing" in texts(app) and "“3”" in texts(app)
    by_class, by_layer = (t.value for t in app.dataframe[:2])
    assert by_class["class"].tolist() == [str(k) for k in range(10)]
    assert by_class.loc[by_class["forgotten"], "class"].tolist() == ["3"]
    # 20 % of 16 channels in each convolution of the last stage.
    assert by_layer["pruned"].unique().tolist() == [3] and len(by_layer) == 6
    assert set(by_layer["how"]) == {"cut out", "silenced"}
    assert "silenced, not cut out" in texts(app)
    assert "from one training step" in texts(app)
    assert not started


def test_start_submits_the_form_once(empty_home: Path, open_page: OpenPage, started: list[Any]) -> None:
    app = open_page("forget", forget=["3"])
    start_button(app).click().run()
    assert not app.exception
    [(kind, request, _, device, name)] = started
    assert kind == "unlearn" and device == "cpu" and "3" in name
    assert request["settings"]["forget"] == "3"
    assert request["settings"]["controls"] == "mask_logit,random_prune,fine_tune"
    assert request["params"]["ratio"] == 0.2
    assert start_button(app).disabled and start_button(app).label == "Started"


def test_a_form_has_one_token_until_it_changes(
    empty_home: Path, open_page: OpenPage, started: list[Any]
) -> None:
    app = open_page("forget", forget=["3"])
    first = start_button(app).click()
    first.run()
    app.slider(key="forget tfidf_prune ratio").set_value(0.3).run()
    start_button(app).click().run()
    tokens = [call[2] for call in started]
    assert len(set(tokens)) == 2
    app.slider(key="forget tfidf_prune ratio").set_value(0.2).run()
    assert start_button(app).disabled
    assert len(RunStore(empty_home).list()) == 2


def test_the_same_form_can_run_again_when_its_run_has_ended(
    empty_home: Path, open_page: OpenPage, started: list[Any]
) -> None:
    app = open_page("forget", forget=["3"])
    start_button(app).click().run()
    store = RunStore(empty_home)
    store.finish(store.list()[0].id, RunState.CANCELLED, "stopped")
    app.run()
    start_button(app).click().run()
    assert len({call[2] for call in started}) == 2


def test_the_papers_setting_is_one_click_and_warned_of(
    empty_home: Path, open_page: OpenPage, started: list[Any]
) -> None:
    app = open_page("forget", forget=["3"])
    app.pills(key="forget preset tfidf_prune").set_value(PAPER).run()
    assert "released setting" in " ".join(w.value for w in app.warning)
    start_button(app).click().run()
    params = started[0][1]["params"]
    assert {k: params[k] for k in PRESETS[PAPER]} == dict(PRESETS[PAPER])


def test_a_ratio_that_prunes_nothing_is_said(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("forget", forget=["3"])
    app.slider(key="forget tfidf_prune ratio").set_value(0.01).run()
    assert "would prune no channel" in app.error[0].value
    assert not app.exception


def test_a_refused_start_is_a_sentence(
    empty_home: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise UnlearnError("There is no room to write.")

    monkeypatch.setattr(jobs, "submit", refuse)
    app = open_page("forget", forget=["3"])
    start_button(app).click().run()
    assert not app.exception
    assert "no room" in " ".join(e.value for e in app.error)


@pytest.mark.parametrize(
    ("state", "sentence", "button"),
    [
        (RunState.FAILED, "The loss is no longer finite", "Retry"),
        (RunState.CANCELLED, "The run was cancelled", "Resume"),
        (RunState.INTERRUPTED, "The process ended", "Resume"),
    ],
)
def test_every_end_has_its_sentence_and_next_step(
    empty_home: Path, open_page: OpenPage, state: RunState, sentence: str, button: str
) -> None:
    store = RunStore(empty_home)
    run = store.create(
        "unlearn", {"settings": {"forget": "3", "method": "tfidf_prune"}}, "t", "cpu", "A *bold* run"
    )
    store.finish(run.id, state, sentence)
    app = open_page("forget")
    assert not app.exception
    assert sentence in texts(app)
    assert "A \\*bold\\* run" in texts(app)
    assert button in [b.label for b in app.button]


def test_a_run_at_work_shows_stage_rate_curves_and_cancel(empty_home: Path, open_page: OpenPage) -> None:
    store = RunStore(empty_home)
    run = store.create("unlearn", {"settings": {"forget": "3", "method": "tfidf_prune"}}, "t", "cpu", "Busy")
    store.begin(run.id)
    metrics = {
        "part": "tfidf_prune",
        "rung": "epoch 1",
        "forget_test_accuracy": 0.25,
        "retain_test_accuracy": 0.9,
    }
    metrics |= {"test_accuracy": 0.8, "per_class": [0.9] * 10, "loss": 0.5, "epoch": 1}
    progress = {
        "stage": "fine-tuning",
        "done": 12,
        "total": 33,
        "seconds": 6.0,
        "rate": 2.0,
        "eta": 10.5,
        "time": 1.0,
    }
    folder = store.folder(run.id)
    (folder / "progress.json").write_text(json.dumps({**progress, "metrics": metrics}))
    (folder / "events.jsonl").write_text(json.dumps({**progress, "attempt": 0, "metrics": metrics}) + "\n")
    app = open_page("forget", forget=["3"])
    assert not app.exception
    shown = " ".join([texts(app), *(p.text for p in app.get("progress") if hasattr(p, "text"))])
    assert "12 of 33" in shown and "2 steps/s" in shown
    assert "Live numbers" in shown
    [cancel, *_] = [b for b in app.button if b.label == "Cancel"]
    cancel.click().run()
    assert store.cancel_file(run.id).exists()


def test_the_dock_shows_every_run_and_its_place_on_any_page(empty_home: Path) -> None:
    store = RunStore(empty_home)
    first, second = (
        store.create("unlearn", {"settings": {"forget": "3"}}, t, "cpu", f"Run {t}") for t in ("one", "two")
    )
    store.begin(first.id)
    app = AppTest.from_file(str(APP), default_timeout=180).run()
    assert not app.exception
    shown = " ".join(e.value for e in [*app.sidebar.markdown, *app.sidebar.caption]).replace("\\", "")
    assert "Run one" in shown and "Run two" in shown
    assert "Waiting for cpu: place 1 in the queue" in shown
    app.button(key=f"dock cancel {second.id}").click().run()
    assert store.cancel_file(second.id).exists()


def test_the_dock_is_hidden_when_nothing_runs(empty_home: Path) -> None:
    app = AppTest.from_file(str(APP), default_timeout=180).run()
    assert not any("Running" in e.value for e in app.sidebar.markdown)
    assert "Cancel" not in [b.label for b in app.sidebar.button]
