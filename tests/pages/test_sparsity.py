"""The Sparsity page: what stands there with and without studies, what it queues, and making a model sparse."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from unlearn_core.experiments import gathering
from unlearn_core.experiments.proposition import CURVE, Point
from unlearn_core.experiments.study import Study, write_study
from unlearn_core.experiments.trial import Trial
from unlearn_core.running import jobs
from unlearn_core.store.runs import RunState, RunStore

OpenPage = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Calls of `submit`; each makes the row, but no process."""
    calls: list[tuple[Any, ...]] = []

    def submit(store: RunStore, kind: str, request: Any, token: str, device: str, name: str) -> Any:
        calls.append((kind, request, device))
        return store.create(kind, request, token, device, name)

    monkeypatch.setattr(jobs, "submit", submit)
    monkeypatch.setattr(jobs, "refresh", lambda store: ())
    # How fast this machine is, is not what is tested here.
    monkeypatch.setattr("unlearn_core.running.timing.step_seconds", lambda *args: 0.5)
    monkeypatch.setattr("unlearn_core.running.timing.gradient_seconds", lambda *args: (0.01, 0.001))
    return calls


@pytest.fixture(autouse=True)
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the stored studies."""
    folder = tmp_path / "studies"
    folder.mkdir()
    monkeypatch.setattr(gathering, "STUDIES", folder)
    return folder


def trial(method: str, sparsity: float, seed: int, off: float, base: str, **changes: Any) -> Trial:
    share = 0.5 + 0.01 * seed + off
    made = Trial(
        source="swept", part="after", method=method, params={}, chosen="published", model="tiny", base=base,
        arch="cifar_resnet20_a", data="digits", data_digest="images", classes=("3",), fraction=0.0, digest="f", seed=seed,
        sparsity=sparsity, sparsifier="omp" if sparsity else "", seconds=2.0, preparing=None, ua=share, mia=share,
        ra=share, ta=share, forget_test=None, per_class=(), per_class_total=(), names=(), mia_privacy=None,
        loss_attack=None, js=None, agreement=None, facts={},
    )  # fmt: skip
    return replace(made, **changes)


def store_study(folder: Path, base: str, sparsities: tuple[float, ...] = (0.0, 0.5, 0.95)) -> None:
    """Fine-tuning 10 points from retraining, less the sparser; l1-sparse under two courses; the bound."""
    trials = []
    for seed in (0, 1):
        for sparsity in sparsities:
            trials.append(trial("retrain", sparsity, seed, 0.0, base))
            trials.append(trial("fine_tune", sparsity, seed, 0.1 - 0.08 * sparsity, base))
        for course, off in (("decreasing", 0.03), ("constant", 0.06)):
            params = {"penalty": course, "gamma": 5e-4}
            trials.append(trial("l1_sparse", 0.0, seed, off, base, params=params, facts={"sparsity": 0.4}))
    points = [
        Point(s, 0, 0.1, 10, 2 - s, 5 - s, 8 - 6 * s, 1 - s / 2, 1 - s / 3, 1.0, 0.9) for s in (0.0, 0.9)
    ]
    curves = {CURVE: {"points": [p.__dict__ for p in points]}}
    write_study(Study("swept", "A sweep.", "python", "2026-01-01", {}, trials, curves), folder)


def base_of(home: Path) -> str:
    from pages.parts.models import card_of

    return str(card_of("imported:tiny")["facts"]["weights_digest"])


def texts(app: AppTest) -> str:
    return " ".join(
        e.value for e in [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    ).replace("\\", "")


def view(app: AppTest, name: str) -> AppTest:
    return app.segmented_control(key="sparsity view").set_value(name).run()


def button(app: AppTest, words: str) -> Any:
    return next(b for b in app.button if words in b.label)


def test_says_what_to_do_where_nothing_was_measured(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("sparsity")
    assert not app.exception and not app.error
    assert "Nothing has been measured on a sparse model yet" in texts(app)
    assert "forget basket" in texts(app)


def test_the_first_sentence_is_checkable_and_the_table_holds_its_numbers(
    empty_home: Path, open_page: OpenPage, studies: Path
) -> None:
    store_study(studies, base_of(empty_home))
    app = open_page("sparsity", forget=["3"])
    assert not app.exception and not app.error
    assert "At 95 % sparsity the gap of fine-tuning to retraining falls from 10.0 to 2.4 points" in texts(app)
    assert "2 sparsities beside the dense model" in texts(app)
    shown = [d.value for d in app.dataframe if "avg. gap" in d.value.columns]
    assert "10.0 → 2.4" in set(shown[0]["avg. gap"])


def test_the_slider_scrubs_through_what_is_stored(
    empty_home: Path, open_page: OpenPage, studies: Path
) -> None:
    store_study(studies, base_of(empty_home))
    app = open_page("sparsity", forget=["3"])
    slider = app.select_slider[0]
    assert slider.options == ["50 %", "95 %"] and slider.value == 0.95
    app = slider.set_value(0.5).run()
    assert "At 50 % sparsity, beside the dense model" in " ".join(h.value for h in app.subheader)
    shown = [d.value for d in app.dataframe if "avg. gap" in d.value.columns]
    assert "10.0 → 6.0" in set(shown[0]["avg. gap"])


def test_a_damaged_study_is_said_and_the_page_stays(
    empty_home: Path, open_page: OpenPage, studies: Path
) -> None:
    (studies / "broken.json").write_text("{")
    app = open_page("sparsity")
    assert not app.exception
    assert "'broken' is damaged" in texts(app)


def test_the_courses_of_the_penalty_and_the_bound(
    empty_home: Path, open_page: OpenPage, studies: Path
) -> None:
    store_study(studies, base_of(empty_home))
    app = view(open_page("sparsity", forget=["3"]), "l1-sparse")
    assert not app.exception and not app.error
    assert "Closest to retraining: l1-sparse, decreasing at γ = 0.0005, 3.0 points away" in texts(app)
    assert "fine-tuning's 10.0" in texts(app) and "Not measured here: increasing" in texts(app)
    app = view(app, "Gradient ascent and its bound")
    assert not app.exception
    assert "From dense to 90 % sparsity the bound goes to 0.33 times" in texts(app)


def test_queues_what_is_missing_once_each_on_a_sparse_model_of_its_own(
    empty_home: Path, open_page: OpenPage, studies: Path, started: list[Any]
) -> None:
    store_study(studies, base_of(empty_home), (0.0, 0.95))
    app = open_page("sparsity", forget=["3"])
    app.multiselect(key=next(m.key for m in app.multiselect if m.label == "Sparsities")).set_value(
        [0.0, 0.5, 0.95]
    )
    named = next(m for m in app.multiselect if m.label.startswith("Methods, with"))
    app = named.set_value(["fine_tune", "fisher"]).run()
    # Fisher is missing at each sparsity, all three at 50 %. The study's sparse models are not here: both are made anew.
    assert (
        "7 runs would be queued: 5 of unlearning, after 2 that make the model sparse (omp, 50 %, 95 %)."
        in texts(app)
    )
    app = button(app, "Queue").click().run()
    made = [c for c in started if c[0] == "sparsify"]
    runs = [(c[1]["settings"]["model"], c[1]["settings"]["method"]) for c in started if c[0] == "unlearn"]
    store = RunStore(empty_home)
    ids = {f"run:{r.id}": r.request["params"]["sparsity"] for r in store.list("sparsify")}
    assert sorted(ids.values()) == sorted(c[1]["params"]["sparsity"] for c in made)
    assert {(ids.get(model, 0.0), method) for model, method in runs} == {
        (0.0, "fisher"),
        (0.5, "retrain"),
        (0.5, "fine_tune"),
        (0.5, "fisher"),
        (0.95, "fisher"),
    }
    assert "waiting in the queue" in texts(app)
    assert not [b for b in app.button if b.label.startswith("Queue")]


def test_strict_needs_to_know_what_is_to_be_forgotten(
    empty_home: Path, open_page: OpenPage, started: list[Any]
) -> None:
    app = view(open_page("sparsity"), "Make a model sparse")
    assert not app.exception and not app.error
    app = app.toggle(key="sparsify strict").set_value(True).run()
    assert button(app, "Make it sparse").disabled
    assert "Put the classes to forget into the basket" in texts(app)
    app = view(open_page("sparsity", forget=["3"]), "Make a model sparse")
    app = app.toggle(key="sparsify strict").set_value(True).run()
    app = button(app, "Make it sparse").click().run()
    (kind, request, _) = started[0]
    assert kind == "sparsify" and len(started) == 1
    assert request["settings"]["strict"] and request["settings"]["forget"] == "3"
    # What isn't changed on the form follows from the model's own recipe, as on the command line.
    assert request["params"] == {"sparsity": 0.95}
    assert not [b for b in app.button if b.label == "Make it sparse" and not b.disabled]


def test_masks_that_see_no_image_are_strict_as_they_are(empty_home: Path, open_page: OpenPage) -> None:
    app = view(open_page("sparsity"), "Make a model sparse")
    app = app.selectbox(key="sparsify by").set_value("synflow").run()
    assert app.toggle(key="sparsify strict").disabled
    assert "it can't remember any" in texts(app)


def test_a_finished_run_shows_layers_accuracy_overlap_and_the_way_on(
    empty_home: Path, open_page: OpenPage
) -> None:
    from unlearn_core.running.kinds.registry import run_workflow
    from unlearn_core.running.worker import execute

    store = RunStore(empty_home)
    asked = {
        "model": "imported:tiny",
        "data": "digits",
        "sparsifier": "random",
        "strict": True,
        "forget": "3",
        "device": "cpu",
    }
    params = {"sparsity": 0.6, "epochs": 1, "augment": "none", "batch_size": 128}
    record = store.create("sparsify", {"settings": asked, "params": params}, "made", "cpu", "Sixty")
    assert execute(store, record.id, run_workflow) == 0, store.get(record.id).error
    result = store.result(record.id)
    app = view(open_page("sparsity", forget=["3"]), "Make a model sparse")
    assert not app.exception and not app.error
    after = 100 * result["after"]["test_accuracy"]
    assert "60.00 % of the convolutions' weights are gone" in texts(app) and f"{after:.1f} %" in texts(app)
    assert {m.label: m.value for m in app.metric}["Overlap of the two masks"] == "100.0 %"
    assert "two masks drawn at random would share" in texts(app)
    card = open_page("runs")
    assert not card.exception
    assert "60.00 % of the convolutions' weights are gone" in texts(card)


def test_a_failed_run_is_a_sentence_with_a_next_step(empty_home: Path, open_page: OpenPage) -> None:
    store = RunStore(empty_home)
    asked = {"model": "imported:tiny", "data": "digits", "sparsifier": "omp"}
    record = store.create("sparsify", {"settings": asked, "params": {}}, "t", "cpu", "Broken")
    store.begin(record.id)
    store.finish(
        record.id, RunState.FAILED, "The loss has grown to 1e+05 in epoch 2; lower the learning rate."
    )
    app = view(open_page("sparsity"), "Make a model sparse")
    assert not app.exception
    assert "lower the learning rate" in texts(app) and button(app, "Retry")
