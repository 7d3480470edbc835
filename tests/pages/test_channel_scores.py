"""The page of channel scores: every number on it is one of the scores, and what is missing can be had."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from unlearn_core.channels.activations import ActivationStats, load_stats
from unlearn_core.channels.pruning import PruningPlan
from unlearn_core.channels.scoring import channel_scores, worked
from unlearn_core.checkpoints.catalog import ASSETS
from unlearn_core.checkpoints.model_files import open_model
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.data.split import ForgetSpec, split_dataset
from unlearn_core.running import jobs
from unlearn_core.running.kinds.registry import run_workflow
from unlearn_core.running.worker import execute
from unlearn_core.store.runs import RunState, RunStore
from unlearn_core.unlearning import preview
from unlearn_core.unlearning.methods.tfidf_prune import TfidfPruneParams

OpenPage = Callable[..., AppTest]
BUNDLED = "bundled:digits-resnet20"
LAST = "layer3.2.conv2"


@pytest.fixture
def stats() -> ActivationStats:
    return load_stats(ASSETS / "pack" / "digits-resnet20.stats.npz")


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Calls of `submit`; each makes the row, but no process."""
    calls: list[tuple[Any, ...]] = []

    def submit(store: RunStore, kind: str, request: Any, token: str, device: str, name: str) -> Any:
        calls.append((kind, request, token, device))
        return store.create(kind, request, token, device, name)

    monkeypatch.setattr(jobs, "submit", submit)
    monkeypatch.setattr(jobs, "refresh", lambda store: ())
    return calls


def texts(app: AppTest) -> str:
    kinds = [app.markdown, app.caption, app.info, app.warning, app.error, app.subheader]
    return " ".join(e.value for kind in kinds for e in kind).replace("\\", "")


def test_finding_and_formula_show_the_scores(
    empty_home: Path, open_page: OpenPage, stats: ActivationStats
) -> None:
    app = open_page("channel_scores", model=BUNDLED, cls="4")
    assert not app.exception and not app.error
    scores = channel_scores(stats).by_layer[LAST][4]
    best = int(scores.argmax())
    expected = worked(stats, LAST, 4, best)
    assert f"channel {best} speaks most for “4”" in texts(app)
    assert f"Why channel {best} scores {scores.max():.4f} for “4”" in texts(app)
    formulas = " ".join(latex.value for latex in app.latex)
    for number in (
        f"{expected.mean:.4g}",
        f"{expected.layer_sum:.4g}",
        f"{expected.tf:.4f}",
        f"{expected.idf:.4f}",
    ):
        assert number in formulas


def test_layer_and_channel_come_from_the_link(
    empty_home: Path, open_page: OpenPage, stats: ActivationStats
) -> None:
    app = open_page("channel_scores", model=BUNDLED, cls="1", layer="layer1.0.conv1", channel="7")
    expected = worked(stats, "layer1.0.conv1", 1, 7)
    assert f"Why channel 7 scores {expected.score:.4f} for “1”" in texts(app)
    assert f"Rank **{expected.rank} of 16**" in texts(app)
    assert app.segmented_control(key="scores_stage").value == "layer1"


def test_ratio_moves_the_cut(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("channel_scores", model=BUNDLED, cls="4")
    assert "Would prune **12 of 64** channels" in texts(app)
    app.slider(key="scores_ratio").set_value(0.5).run()
    assert "Would prune **32 of 64** channels" in texts(app)
    app.slider(key="scores_ratio").set_value(0.0).run()
    assert "would prune no channel" in texts(app)


def crossed(app: AppTest) -> set[int]:
    table = app.dataframe[-1].value
    return set(table["channel"][table["state"] == "✕ would go"])


def channels_of(stats: ActivationStats) -> int:
    return sum(sums.shape[1] for sums in stats.sums.values())


def plan_for(cls: str, **settings: Any) -> PruningPlan:
    """What a run on the bundled model would carry out."""
    data = open_dataset(parse_dataset("digits"))
    model, split = open_model(BUNDLED, data).model, split_dataset(data, ForgetSpec((cls,)))
    params = TfidfPruneParams(**settings)
    return preview.planned(model, split, params, preview.scoring_stats(model, split, params))


def test_crosses_are_the_plan_that_forget_shows_and_a_run_carries_out(
    empty_home: Path, open_page: OpenPage, stats: ActivationStats
) -> None:
    plan, channels = plan_for("4"), channels_of(stats)
    app = open_page("channel_scores", model=BUNDLED, cls="4")
    assert crossed(app) == set(plan.channels[LAST])
    assert f"{plan.total} of {channels} go, in {len(plan.groups)} of {len(stats.layers)} layers" in texts(app)
    app.switch_page("pages/forget.py").run()
    assert f"If you forgot “4”: silencing {plan.total} of {channels} channels" in texts(app)


def test_where_forget_cuts_elsewhere_the_page_says_so(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("channel_scores", model=BUNDLED, cls="4", layer="layer1.0.conv1")
    assert "Would prune **0 of 16** channels" in texts(app) and not crossed(app)
    assert "this layer would lose 3: Forget cuts in the last stage only." in texts(app)


def test_settings_of_the_form_are_those_of_the_plan_on_either_page(
    empty_home: Path, open_page: OpenPage, stats: ActivationStats
) -> None:
    app = open_page("channel_scores", model=BUNDLED, cls="4", forget=["7"])
    app.slider(key="scores_ratio").set_value(0.4).run()
    app.switch_page("pages/forget.py").run()
    assert app.slider(key="forget tfidf_prune ratio").value == 0.4
    app.selectbox(key="forget tfidf_prune scope").set_value("global").run()
    app.selectbox(key="forget tfidf_prune where").set_value("all").run()
    app.switch_page("pages/channel_scores.py").run()
    assert not app.exception
    plan = plan_for("7", ratio=0.4, scope="global", where="all")
    assert app.slider(key="scores_ratio").value == 0.4
    assert f"{plan.total} of {channels_of(stats)} go" in texts(app)
    assert crossed(app) == set(plan.channels.get(LAST, ()))
    assert "Forget ranks all layers together" in texts(app)


def test_table_ranks_the_channels_with_their_images(
    empty_home: Path, open_page: OpenPage, stats: ActivationStats
) -> None:
    table = open_page("channel_scores", model=BUNDLED, cls="4").dataframe[-1].value
    scores = channel_scores(stats).by_layer[LAST][4]
    assert table["channel"].tolist() == np.argsort(-scores, kind="stable").tolist()
    np.testing.assert_allclose(table["score"], np.sort(scores)[::-1])
    assert table["images"].str.startswith("data:image/png;base64,").all()
    assert (table["state"] == "✕ would go").sum() == 12


def test_every_metric_draws(empty_home: Path, open_page: OpenPage) -> None:
    app = open_page("channel_scores", model=BUNDLED, cls="4")
    for metric in ("tf", "idf", "mean", "tf_idf"):
        app.segmented_control(key="scores_metric").set_value(metric).run()
        assert not app.exception and not app.error


def test_a_model_without_scores_is_scored_once_on_request(
    empty_home: Path, open_page: OpenPage, submitted: list[tuple[Any, ...]]
) -> None:
    app = open_page("channel_scores")
    assert "have not been scored yet on digits" in texts(app)
    app.button(key="scores_start").click().run()
    assert not app.exception
    (kind, request, _, device) = submitted[0]
    assert (kind, device) == ("score", request["settings"]["device"])
    assert request["settings"]["model"] == "imported:tiny" and request["settings"]["tap"] == "bn_relu"
    # The run waits now: its progress stands where the button was.
    assert not [b for b in app.button if b.key == "scores_start"]
    assert len(RunStore(empty_home).list("score")) == 1


def test_how_the_last_attempt_ended_is_told(
    empty_home: Path, open_page: OpenPage, submitted: list[tuple[Any, ...]]
) -> None:
    store = RunStore(empty_home)
    settings = {"model": "imported:tiny", "data": "digits", "tap": "bn_relu", "per_class": 50}
    record = store.create("score", {"settings": settings}, "one")
    store.finish(record.id, RunState.FAILED, "The disk is full: free some space.")
    app = open_page("channel_scores")
    assert "failed: The disk is full: free some space." in texts(app)
    assert app.button(key="scores_start")


def test_a_finished_score_run_is_shown_for_its_tap_only(empty_home: Path, open_page: OpenPage) -> None:
    store = RunStore(empty_home)
    settings = {
        "model": "imported:tiny",
        "data": "digits",
        "tap": "bn_relu",
        "per_class": 10,
        "device": "cpu",
    }
    record = store.create("score", {"settings": settings}, "one")
    assert execute(store, record.id, run_workflow) == 0, store.get(record.id).error
    app = open_page("channel_scores")
    assert not app.exception and "speaks most for" in texts(app)
    app.radio(key="scores_tap").set_value("conv_relu").run()
    assert (
        not app.exception
        and "have not been scored yet on digits, read ReLU of the raw convolution" in texts(app)
    )
