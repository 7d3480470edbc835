"""Compare: the table is of the trials that there are, and every state has its sentence."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.parts.compare import words
from unlearn_core.errors import UnlearnError
from unlearn_core.experiments import gathering
from unlearn_core.experiments.grouping import scenarios
from unlearn_core.experiments.study import Study, write_study
from unlearn_core.experiments.table import table
from unlearn_core.experiments.trial import Trial, trials_of
from unlearn_core.store.runs import RunStore
from unlearn_core.workflows import pack

OpenPage = Callable[..., AppTest]


def texts(app: AppTest) -> str:
    shown = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error]
    return " ".join(e.value for e in shown).replace("\\", "")


@pytest.fixture
def trials(home: Path) -> list[Trial]:
    """The trials of the made run, as a study with a retrained model of two seeds beside them."""
    store = RunStore(home)
    record = store.list()[0]
    measured = trials_of("hand", store.result(record.id), record.request)
    after = next(t for t in measured if t.part == "after")
    base = replace(after, chosen="published", seconds=10.0, ua=1.0, mia=1.0, ra=1.0, ta=0.9)
    retrained = [replace(base, method="retrain", params={}, seed=s, ta=ta) for s, ta in ((0, 0.9), (1, 0.92))]
    made = replace(base, method="fine_tune", params={"epochs": 5}, seconds=4.0, ua=0.8)
    return [*retrained, made, *(t for t in measured if t.part == "mask_logit")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """In the place of the stored studies."""
    return tmp_path / "studies"


@pytest.fixture
def study(trials: list[Trial], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """The only stored study."""
    made = Study("hand", "Made by hand.", "python -m benchmarks.study", "2026-01-01", {"cores": 2}, trials)
    monkeypatch.setattr(gathering, "STUDIES", folder)
    write_study(made, folder)
    return made


@pytest.fixture
def no_study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "STUDIES", folder)


def methods_in(app: AppTest) -> list[str]:
    return [name.lstrip("★◇ ") for name in app.dataframe[0].value["Method"]]


def test_the_table_is_of_the_trials_with_retraining_on_top(
    home: Path, study: Study, open_page: OpenPage
) -> None:
    app = open_page("compare")
    assert not app.exception and not app.error
    shown = app.dataframe[0].value
    assert shown["Method"][0] == "★ Retraining"
    assert "◇ Masked logit, study hand" in set(shown["Method"])
    row = shown[shown["Method"] == "Fine-tuning"].iloc[0]
    assert (row["UA, %"], row["TA, %"], row["RTE, s"]) == pytest.approx((80.0, 90.0, 4.0))
    assert row["Avg. gap"] == pytest.approx(100 * (0.2 + 0 + 0 + 0) / 4)
    assert row["RTE, % of retraining"] == pytest.approx(40.0)


def test_the_page_opens_with_what_the_table_shows(home: Path, study: Study, open_page: OpenPage) -> None:
    told = texts(open_page("compare"))
    assert "is closest to retraining" in told
    assert "Retraining itself differs by 0.50 points from seed to seed." in told
    assert "7 rows" in told and "python -m benchmarks.study" not in told


def test_the_command_of_a_study_is_given(home: Path, study: Study, open_page: OpenPage) -> None:
    app = open_page("compare")
    assert "python -m benchmarks.study" in [c.value for c in app.code]


def test_own_runs_stand_beside_the_study(home: Path, study: Study, open_page: OpenPage) -> None:
    app = open_page("compare")
    shown = app.dataframe[0].value
    assert set(shown["Measured"]) == {"here", "stored: hand"}
    assert "TF-IDF pruning" in methods_in(app)


def test_filters_keep_what_others_are_measured_by(home: Path, study: Study, open_page: OpenPage) -> None:
    app = open_page("compare")
    app.text_input(key="compare find").set_value("fine").run()
    assert methods_in(app) == ["Retraining", "Fine-tuning"]
    app.text_input(key="compare find").set_value("").run()
    app.toggle(key="compare controls").set_value(False).run()
    assert not app.exception
    assert not any(name.startswith("◇") for name in app.dataframe[0].value["Method"])


def test_sorting_goes_from_best_to_worst(home: Path, study: Study, open_page: OpenPage) -> None:
    app = open_page("compare")
    app.selectbox(key="compare sort").set_value("RTE, s").run()
    seconds = [s for s in app.dataframe[0].value["RTE, s"][1:] if s == s]
    assert seconds == sorted(seconds)
    app.selectbox(key="compare sort").set_value("Closeness to retraining").run()
    gaps = [g for g in app.dataframe[0].value["Avg. gap"][1:] if g == g]
    assert gaps == sorted(gaps)


def test_all_measures_and_intervals(home: Path, study: Study, open_page: OpenPage) -> None:
    app = open_page("compare")
    app.toggle(key="compare wide").set_value(True).run()
    app.toggle(key="compare intervals").set_value(True).run()
    assert not app.exception
    columns = set(app.dataframe[0].value)
    assert {"ToW, %", "ToW-MIA, %", "JS, forget set", "MIA-privacy, %", "RTE, epochs of FT"} <= columns
    assert "before: making it sparse, s" in columns


def test_rows_in_the_address_are_those_in_the_charts(
    home: Path, study: Study, trials: list[Trial], open_page: OpenPage
) -> None:
    (scenario,) = scenarios(trials)
    keys = [r.key for r in table(scenario.trials) if r.method in {"retrain", "fine_tune"}]
    app = open_page("compare", scenario=scenario.key, rows=keys)
    assert not app.exception
    charted = next(d.value for d in app.dataframe if "method" in d.value)
    assert list(charted["method"]) == ["Retraining", "Fine-tuning"]


def test_an_unknown_address_shows_the_first_table(home: Path, study: Study, open_page: OpenPage) -> None:
    app = open_page("compare", scenario="nowhere", rows="nothing-1234")
    assert not app.exception and not app.error
    assert app.dataframe[0].value["Method"][0] == "★ Retraining"


def test_published_figures_stand_beside_ours(home: Path, study: Study, open_page: OpenPage) -> None:
    beside = next(d.value for d in open_page("compare").dataframe if "Source" in d.value)
    assert list(beside["Source"]) == ["published, Jia et al., NeurIPS 2023", "ours, 1 seed"]
    assert list(beside["UA"]) == ["22.5 (−77.5)", "80.0 (−20.0) ✓"]


def test_without_retraining_the_page_says_what_to_do(home: Path, no_study: None, open_page: OpenPage) -> None:
    app = open_page("compare")
    assert not app.exception
    assert "One method was measured, but no retrained model" in texts(app)
    assert "Run any method with “Retrain” among its controls" in texts(app)


def test_another_models_numbers_are_said_to_be_another_models(
    home: Path, study: Study, open_page: OpenPage
) -> None:
    app = open_page("compare", model="bundled:digits-vgg11")
    assert "Nothing has been measured on the model in the sidebar yet" in texts(app)


def test_nothing_at_all_has_a_next_step(
    empty_home: Path, no_study: None, monkeypatch: pytest.MonkeyPatch, open_page: OpenPage
) -> None:
    def missing() -> None:
        raise UnlearnError("The pack is missing.")

    monkeypatch.setattr(pack, "read_pack", missing)
    app = open_page("compare")
    assert not app.exception
    assert "Nothing has been measured yet" in texts(app)


def test_runs_at_work_are_mentioned(
    home: Path, study: Study, monkeypatch: pytest.MonkeyPatch, open_page: OpenPage
) -> None:
    monkeypatch.setattr(words, "waiting", lambda scenario: 2)
    assert "2 runs are still at work; what comes of it stands here when they have finished." in texts(
        open_page("compare")
    )


def test_a_damaged_run_is_left_out_and_named(home: Path, study: Study, open_page: OpenPage) -> None:
    store = RunStore(home)
    run_id = store.list()[0].id
    (store.folder(run_id) / "result.json").write_text("{}")
    app = open_page("compare")
    assert not app.exception and not app.error
    assert [e.label for e in app.expander if "left out" in e.label] == ["One run is left out"]
    assert run_id in texts(app)
    assert set(app.dataframe[0].value["Measured"]) == {"stored: hand"}


def test_two_own_results_open_in_before_after(trials: list[Trial], home: Path) -> None:
    """A control has no run of its own, nor has what a study measured."""
    run_id = RunStore(home).list()[0].id
    own = table([replace(t, source=run_id) for t in trials if t.part == "after"])
    assert {words.run_of(row) for row in own} == {run_id}
    rows = table(trials)
    assert {words.run_of(row) for row in rows} == {""}


def test_no_two_rows_are_called_the_same(trials: list[Trial]) -> None:
    more = [replace(t, source="20260101T000000Z-abcdefghijklmnop") for t in trials]
    other = [replace(t, params={"epochs": 9}, chosen="by hand") for t in more if t.method == "fine_tune"]
    sparse = [replace(t, sparsity=0.95, sparsifier="omp") for t in more]
    strict = [replace(t, sparsifier="omp, strict") for t in sparse]
    names = list(words.names_of(table([*trials, *more, *other, *sparse, *strict])).values())
    assert len(set(names)) == len(names)
    assert {"Fine-tuning, 95 % OMP", "Fine-tuning, 95 % OMP, strict"} <= set(names)


def test_our_line_beside_a_published_one_names_our_model(
    home: Path, study: Study, trials: list[Trial], folder: Path, open_page: OpenPage
) -> None:
    sparse = [replace(t, sparsity=0.9504, sparsifier="imp") for t in trials if t.part == "after"]
    write_study(replace(study, trials=sparse), folder)
    beside = next(d.value for d in open_page("compare").dataframe if "Source" in d.value)
    assert list(beside["Model"]) == ["95 % sparse", "95 % IMP"]
