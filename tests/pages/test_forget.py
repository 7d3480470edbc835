"""The Forget page: what would happen, one run for however many clicks, and every way a run can end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from unlearn_core.errors import UnlearnError
from unlearn_core.params import build
from unlearn_core.running import jobs
from unlearn_core.store.runs import RunState, RunStore
from unlearn_core.unlearning.registry import METHODS, find_method
from unlearn_core.workflows.requests import UnlearnRequest

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
    monkeypatch.setattr("unlearn_core.running.timing.step_seconds", lambda *args: 0.5)
    monkeypatch.setattr("unlearn_core.running.timing.answer_seconds", lambda *args: 0.001)
    return calls


def start_button(app: AppTest) -> Any:
    return next(b for b in app.button if b.key == "forget start")


def texts(app: AppTest) -> str:
    return " ".join(
        e.value for e in [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    )


def test_with_nothing_picked_the_class_in_focus_is_supposed_and_nothing_can_start(
    empty_home: Path, open_page: OpenPage
) -> None:
    app = open_page("forget", cls="3")
    assert not app.exception and not app.error
    assert start_button(app).disabled
    assert "Nothing is in the basket yet: pick a class" in plain(app)
    assert "If you forgot “3”: silencing" in plain(app)
    [by_class, *_] = (t.value for t in app.dataframe)
    assert by_class.loc[by_class["forgotten"], "class"].tolist() == ["3"]
    app.button(key="forget focus").click().run()
    assert not start_button(app).disabled
    assert "If you forgot" not in plain(app)


def plain(app: AppTest) -> str:
    """All texts without the escapes that keep names from being read as Markdown."""
    return texts(app).replace("\\", "")


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


def test_every_method_can_be_started_with_its_defaults(
    empty_home: Path, open_page: OpenPage, started: list[Any]
) -> None:
    app = open_page("forget", forget=["3"])
    offered = [name for name, method in METHODS.items() if not method.control]
    for name in offered:
        app.selectbox(key="forget method").set_value(name).run()
        assert not app.exception and not app.error, name
        start_button(app).click().run()
    assert [call[1]["settings"]["method"] for call in started] == offered
    for _, request, *_ in started:
        method = find_method(build(UnlearnRequest, request["settings"]).method)
        params = build(method.params, request["params"])
        # Retraining begins with the model's own recipe.
        assert params == build(method.params, {}) or method.name == "retrain"


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
    preset = METHODS["tfidf_prune"].presets[PAPER]
    assert {k: params[k] for k in preset} == dict(preset)


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
    assert store.folders.cancel_file(run.id).exists()


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
    assert store.folders.cancel_file(second.id).exists()


def test_the_dock_is_hidden_when_nothing_runs(empty_home: Path) -> None:
    app = AppTest.from_file(str(APP), default_timeout=180).run()
    assert not any("Running" in e.value for e in app.sidebar.markdown)
    assert "Cancel" not in [b.label for b in app.sidebar.button]


def test_seeds_and_values_become_numbered_runs_of_one_group(
    empty_home: Path, open_page: OpenPage, started: list[Any]
) -> None:
    app = open_page("forget", forget=["3"])
    app.selectbox(key="forget method").set_value("gradient_ascent").run()
    app.text_input(key="forget seeds").set_value("0, 7").run()
    app.multiselect(key="forget vary gradient_ascent").set_value(["lr"]).run()
    app.text_input(key="forget values gradient_ascent lr").set_value("1e-3, 2e-3, 4e-3").run()
    assert not app.exception and not app.error
    planned = next(t.value for t in app.dataframe if "run" in t.value)
    assert planned["run"].tolist() == [1, 2, 3, 4, 5, 6]
    assert "6 runs are queued together: 3 combinations of settings × 2 seeds" in plain(app)
    assert "for all 6 runs" in plain(app)
    assert start_button(app).label == "Start 6 runs"
    start_button(app).click().run()
    assert not app.exception
    requests = [call[1] for call in started]
    asked = [(r["params"]["lr"], r["settings"]["seed"]) for r in requests]
    assert asked == [(lr, seed) for lr in (0.001, 0.002, 0.004) for seed in (0, 7)]
    assert len({r["settings"]["group"] for r in requests}) == 1
    assert {r["settings"]["variants"] for r in requests} == {3}
    assert started[3][4].endswith("Learning rate 0.002 · Seed 7 (4 of 6)")
    assert start_button(app).disabled and start_button(app).label == "Started 6 runs"


def test_a_set_that_was_started_by_half_is_completed_and_never_doubled(
    empty_home: Path, open_page: OpenPage, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = jobs.submit

    def stop_after_one(*args: Any) -> Any:
        if started:
            raise UnlearnError("There is no room to write.")
        return whole(*args)

    monkeypatch.setattr(jobs, "submit", stop_after_one)
    app = open_page("forget", forget=["3"])
    app.text_input(key="forget seeds").set_value("2").run()
    start_button(app).click().run()
    assert "no room" in plain(app)
    monkeypatch.setattr(jobs, "submit", whole)
    assert not start_button(app).disabled
    start_button(app).click().run()
    seeds = [r.request["settings"]["seed"] for r in RunStore(empty_home).list()]
    assert sorted(seeds) == [0, 1]


def test_bad_seeds_are_a_sentence_and_nothing_can_start(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("forget", forget=["3"])
    app.text_input(key="forget seeds").set_value("many").run()
    assert "Seeds can't be 'many'" in app.error[0].value.replace("\\", "")
    assert start_button(app).disabled and not app.exception


def test_a_random_share_is_measured_by_retraining(
    empty_home: Path, open_page: OpenPage, started: list[Any]
) -> None:
    app = open_page("forget", forget=["3"])
    app.segmented_control(key="forget what").set_value("Random share").run()
    assert not app.exception and not app.error
    offered = app.selectbox(key="forget method").options
    assert not any("TF-IDF" in o for o in offered) and any("SCRUB" in o for o in offered)
    # 10 % of 1,438 training images, drawn by the seed from all classes.
    assert "Draw 0 takes 144 of 1,438 training images" in plain(app)
    assert "what retraining gives, not 100 %" in plain(app)
    labels = {c.label for c in app.checkbox}
    assert "Mask the logit" not in labels and "Retrain" in labels
    start_button(app).click().run()
    settings = started[0][1]["settings"]
    assert (settings["forget"], settings["fraction"]) == ("", 0.1)
    assert settings["controls"] == "none" and settings["method"] == "fine_tune"


def test_the_form_says_where_its_settings_come_from(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("forget", forget=["3"])
    assert "Settings: recommended" in plain(app)
    app.selectbox(key="forget method").set_value("scrub").run()
    assert "Settings: published" in plain(app)
    app.number_input(key="forget scrub temperature").set_value(2.0).run()
    assert "Settings: by hand" in plain(app)


def test_retraining_begins_with_the_models_own_recipe(
    empty_home: Path, open_page: OpenPage, started: list[Any]
) -> None:
    app = open_page("forget", forget=["3"])
    app.selectbox(key="forget method").set_value("retrain").run()
    assert not app.warning  # its rate of 0.1 overwrites no pruning
    start_button(app).click().run()
    assert started[0][1]["params"]["epochs"] == 3  # as the small model was trained
    assert started[0][1]["params"]["batch_size"] == 64
