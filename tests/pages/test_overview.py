"""The first page: a true sentence and figures, without torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from unlearn_core.workflows import pack

APP = Path(__file__).resolve().parents[2] / "app.py"

RENDERED = """
import json, sys, time
from streamlit.testing.v1 import AppTest
at = AppTest.from_file(sys.argv[1], default_timeout=120).run()
heavy = {name.split(".")[0] for name in sys.modules} & {"torch", "torchvision", "torch_pruning", "sklearn"}
errors = [e.value for e in [*at.error, *at.exception]]
print(json.dumps({"heavy": sorted(heavy), "errors": errors, "charts": len(at.get("vega_lite_chart"))}))
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("LETHE_HOME", str(tmp_path))
    return AppTest.from_file(str(APP), default_timeout=120)


def test_opens_with_figures_and_without_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RENDERED, str(APP)],
        capture_output=True,
        text=True,
        cwd=APP.parent,
        env={"PATH": "", "LETHE_HOME": str(tmp_path), "PYTHONPATH": str(APP.parent)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["heavy"] == []
    assert seen["errors"] == []
    assert seen["charts"] == 3


def test_says_what_the_stored_run_did(app: AppTest) -> None:
    app.run()
    run = pack.read_run()
    metrics = {m.label: m.value for m in app.metric}
    assert metrics["Test accuracy"] == f"{100 * run.before.test_accuracy:.1f} %"
    forgotten = run.forget.classes[0]
    assert metrics[f"✕ {forgotten} after forgetting"] == f"{100 * run.after.forget_test_accuracy:.1f} %"
    assert any("Stored, computed" in c.value for c in app.caption)


def test_click_shows_another_channel(app: AppTest) -> None:
    app.run()
    app.session_state["overview heatmap"] = {"selection": {"cell": [{"row": 3, "channel": 5}]}}
    app.query_params["cls"], app.query_params["channel"] = "3", "5"
    app.run()
    assert not app.exception
    assert "Channel 5" in [s.value for s in app.subheader]


def test_missing_pack_is_a_sentence(app: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pack, "folder", lambda: tmp_path / "none")
    app.run()
    assert not app.exception
    assert "python \\-m unlearn\\_core pack" in app.error[0].value


def test_no_model_is_a_sentence(app: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("unlearn_core.checkpoints.catalog.ASSETS", tmp_path)
    app.run()
    assert not app.exception
    assert "No model is at hand" in app.info[0].value
