"""Audit: every number on the page follows from the model's answers, and every state has its sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from unlearn_core.attacks.answers import load_answers
from unlearn_core.store.runs import RunStore
from unlearn_core.workflows import pack

OpenPage = Callable[..., AppTest]


def texts(app: AppTest) -> str:
    found = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error]
    return " ".join(e.value for e in found).replace("\\", "")


def margins(home: Path, model: str) -> dict[str, np.ndarray]:
    store = RunStore(home)
    path = store.artifact(store.list()[0].id, f"membership_{model}.npz")
    return {name: part.margin for name, part in load_answers(path).items()}


def pairs(found: dict[str, np.ndarray]) -> float:
    members, others = found["forget"][:, None], found["test_forget"][None]
    return float(((members > others) + 0.5 * (members == others)).mean())


def metrics(app: AppTest) -> dict[str, str]:
    return {m.label: m.value for m in app.metric}


def test_opens_on_the_newest_run_with_its_finding(home: Path, open_page: OpenPage) -> None:
    app = open_page("audit")
    assert not app.exception and not app.error
    assert app.selectbox(key="pick audited").value == RunStore(home).list()[0].id
    told = f"a training image of “3” and an unseen one tells which is which in {100 * pairs(margins(home, 'after')):.0f} %"
    assert told in texts(app)
    assert f"Before it was {100 * pairs(margins(home, 'before')):.0f}" in texts(app)


def test_the_threshold_moves_both_errors_as_counted(home: Path, open_page: OpenPage) -> None:
    app = open_page("audit")
    found = margins(home, "after")
    offered = app.dataframe[0].value["threshold"].tolist()
    for place in (0, len(offered) // 2, len(offered) - 1):
        app.select_slider(key="audit threshold confidence").set_value(offered[place]).run()
        assert not app.exception
        at = offered[place]
        assert metrics(app)["✕ Missed"] == f"{100 * (found['forget'] < at).mean():.1f} %"
        assert metrics(app)["False alarms"] == f"{100 * (found['test_forget'] >= at).mean():.1f} %"
        gained = 100 * ((found["forget"] >= at).mean() - (found["test_forget"] >= at).mean())
        assert metrics(app)["Advantage, points"] == f"{gained:+.1f}".replace("-", "−")
    assert "".join(app.query_params["threshold"]).startswith("confidence ")


def test_the_strongest_threshold_is_the_best_of_all(home: Path, open_page: OpenPage) -> None:
    app = open_page("audit")
    app.button(key="audit strongest").click().run()
    found = margins(home, "after")
    best = max(
        (found["forget"] >= t).mean() - (found["test_forget"] >= t).mean()
        for t in np.concatenate([found["forget"], found["test_forget"]])
    )
    assert metrics(app)["Advantage, points"] == f"{100 * best:+.1f}"


def test_other_models_other_groups_and_other_scores(home: Path, open_page: OpenPage) -> None:
    app = open_page("audit")
    app.segmented_control(key="attacked").set_value("before").run()
    assert metrics(app)["Tells which is which"] == f"{100 * pairs(margins(home, 'before')):.0f} %"
    app.segmented_control(key="told_apart").set_value("retain").run()
    assert "Missed" in metrics(app) and "✕ Missed" not in metrics(app)
    for score in ("entropy", "loss"):
        app.segmented_control(key="score").set_value(score).run()
        assert not app.exception
        assert app.select_slider(key=f"audit threshold {score}").options
    app.segmented_control(key="attacked").set_value("mask_logit").run()
    assert not app.exception


def test_the_images_on_each_side_are_all_counted(home: Path, open_page: OpenPage) -> None:
    app = open_page("audit")
    at = app.session_state["audit wanted"]["confidence"]
    forget = margins(home, "after")["forget"]
    below, beyond = (forget < at).sum(), (forget >= at).sum()
    assert f"Forget set: {below} of {len(forget)}, the attack errs" in texts(app)
    assert f"Forget set: {beyond} of {len(forget)}, the attack is right" in texts(app)


def test_a_link_restores_the_threshold(home: Path, open_page: OpenPage) -> None:
    app = open_page("audit", threshold="confidence 1.25")
    step = app.select_slider(key="audit threshold confidence").value
    assert app.session_state["audit wanted"]["confidence"] == 1.25
    assert abs(step - 1.25) < 0.2
    for nonsense in ("confidence nan", "confidence", "loss x", "\x00"):
        assert not open_page("audit", threshold=nonsense).exception


def test_all_models_stand_beside_each_other(home: Path, open_page: OpenPage) -> None:
    app = open_page("audit", audit="All models")
    assert not app.exception and not app.error
    table = app.dataframe[0].value
    assert table["name"].tolist() == ["Before", "After", "Masked logit", "Random channels"]
    assert table["right"].tolist()[:2] == pytest.approx(
        [100 * pairs(margins(home, m)) for m in ("before", "after")]
    )
    assert table.loc[table["name"] == "Masked logit", "right"].item() == 50
    assert "compared with guessing" in texts(app)


def test_published_attacks_are_the_runs(home: Path, open_page: OpenPage) -> None:
    store = RunStore(home)
    result = store.result(store.list()[0].id)
    app = open_page("audit", audit="Published attacks")
    table = app.dataframe[0].value.set_index("Model")
    assert table.loc["After", "MIA efficacy, %"] == pytest.approx(100 * result["after"]["mia"]["efficacy"])
    assert table.loc["Before", "Loss attack, %"] == pytest.approx(
        100 * result["before"]["mia"]["loss_attack"]
    )
    assert "nobody measured for this run" in texts(app)


def test_a_run_without_answers_says_what_to_do(home: Path, open_page: OpenPage) -> None:
    store = RunStore(home)
    run = store.list()[0]
    manifest = store.folder(run.id) / "manifest.json"
    facts = json.loads(manifest.read_text())
    facts["artifacts"] = [a for a in facts["artifacts"] if not a["path"].startswith("membership_")]
    manifest.write_text(json.dumps(facts))
    app = open_page("audit", b=run.id)
    assert not app.exception and not app.error
    assert "made before answers were kept" in texts(app)


def test_a_damaged_run_is_a_sentence(home: Path, open_page: OpenPage) -> None:
    store = RunStore(home)
    run = store.list()[0]
    (store.folder(run.id) / "membership_after.npz").write_bytes(b"nothing")
    app = open_page("audit", b=run.id)
    assert not app.exception
    assert app.error and "damaged" in texts(app)


def test_other_images_than_those_of_the_run_are_not_shown(
    home: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = RunStore.result

    def changed(self: RunStore, run_id: str) -> dict[str, object]:
        result = stored(self, run_id)
        return {**result, "inputs": {**result["inputs"], "data_digest": "00"}}

    monkeypatch.setattr(RunStore, "result", changed)
    app = open_page("audit")
    assert not app.exception
    assert "the data set has changed since this run" in texts(app)
    assert metrics(app)


def test_an_empty_store_says_what_to_do(
    empty_home: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "folder", lambda: empty_home / "none")
    app = open_page("audit")
    assert not app.exception
    assert "nothing to attack" in texts(app)
