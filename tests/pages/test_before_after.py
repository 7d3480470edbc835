"""Before / after: every number on the page is one of the run's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from unlearn_core.results.evaluation import Evaluation
from unlearn_core.results.loading import result_from
from unlearn_core.store.runs import RunStore
from unlearn_core.workflows import pack

OpenPage = Callable[..., AppTest]
TABS = ("Classes", "Predictions", "Ladder", "Controls", "Size and speed", "Channels")


def texts(app: AppTest) -> str:
    return " ".join(
        e.value for e in [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    )


def test_opens_on_the_newest_run_against_its_original(home: Path, open_page: OpenPage) -> None:
    store = RunStore(home)
    result = store.result(store.list()[0].id)
    app = open_page("before_after")
    assert not app.exception and not app.error
    assert app.selectbox(key="pick a").value == "original"
    assert app.selectbox(key="pick b").value == store.list()[0].id
    metrics = {m.label: m.value for m in app.metric}
    assert metrics["✕ Forgotten, test"] == f"{100 * result['after']['forget_test_accuracy']:.1f} %"
    assert metrics["All others, test"] == f"{100 * result['after']['retain_test_accuracy']:.1f} %"
    assert metrics["Parameters"] == f"{result['size']['after']['parameters']:,}"
    pruned = sum(len(g["channels"]) * len(g["layers"]) for g in result["plan"]["groups"])
    assert f"Pruning {pruned} of 172 channels and fine-tuning took “3”" in texts(app).replace("\\", "")


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_opens_from_the_address(home: Path, open_page: OpenPage, tab: str) -> None:
    app = open_page("before_after", tab=tab)
    assert not app.exception and not app.error
    assert app.dataframe


def test_the_table_of_classes_is_the_runs(home: Path, open_page: OpenPage) -> None:
    store = RunStore(home)
    result = store.result(store.list()[0].id)
    table = open_page("before_after").dataframe[0].value
    assert table["after"].tolist() == pytest.approx([100 * share for share in result["after"]["per_class"]])
    assert table.loc[table["forgotten"], "class"].tolist() == ["3"]


def test_a_cell_opens_its_images(home: Path, open_page: OpenPage) -> None:
    store = RunStore(home)
    confusion = store.result(store.list()[0].id)["after"]["confusion"]
    app = open_page("before_after", tab="Predictions")
    app.session_state["confusion cell"] = ("5-5", "after_share")
    app.run()
    assert not app.exception
    assert f"{confusion[5][5]} test images of “5” are answered “5” with B" in texts(app).replace("\\", "")


def test_what_the_method_says_of_its_result_stands_above_it(
    home: Path, open_page: OpenPage, with_result: Callable[..., str]
) -> None:
    run = with_result(notes=["33% of the training images are forgotten."])
    assert "33% of the training images are forgotten\\." in texts(open_page("before_after", b=run))


def test_controls_are_all_there_with_verdicts(home: Path, open_page: OpenPage) -> None:
    app = open_page("before_after", tab="Controls")
    names = app.dataframe[0].value["Model"].tolist()
    assert names[:4] == ["Original", "TF-IDF pruning", "Masked logit", "Random channels"]
    assert "There is no retrained reference" in texts(app) or "retraining" in texts(app)
    assert any(word in texts(app) for word in ("holds", "speaks against it"))


def test_two_runs_of_different_classes_are_refused_with_both_lists(
    home: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = RunStore(home).result(RunStore(home).list()[0].id)
    others = replace(result_from(stored), after=Evaluation(("cat", "dog"), (0,), ((1, 0), (0, 1))))
    run = pack.PackedRun("run", {"model": "imported:tiny", "data": "digits"})
    about = pack.Pack("", "", "", "", {}, run)
    (home / "pack" / "run").mkdir(parents=True)
    (home / "pack" / "run" / "result.json").write_text("{}")
    monkeypatch.setattr(pack, "folder", lambda: home / "pack")
    monkeypatch.setattr(pack, "read_run", lambda: others)
    monkeypatch.setattr(pack, "read_pack", lambda: about)
    app = open_page("before_after", a="stored")
    assert not app.exception
    assert "cat, dog" in app.error[0].value and "0, 1, 2" in app.error[0].value


def test_a_damaged_run_is_a_sentence_and_the_page_lives(home: Path, open_page: OpenPage) -> None:
    store = RunStore(home)
    run = store.list()[0]
    (store.folder(run.id) / "result.json").write_text("{}")
    app = open_page("before_after", b=run.id)
    assert not app.exception
    assert "damaged" in app.error[0].value


def test_an_empty_store_says_what_to_do(
    empty_home: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "folder", lambda: empty_home / "none")
    app = open_page("before_after")
    assert not app.exception
    assert "no finished run yet" in texts(app)
