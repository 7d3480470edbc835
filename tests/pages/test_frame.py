"""The sidebar: what is picked there is the selection of every page, and the other way round."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from unlearn_core.checkpoints import catalog

APP = Path(__file__).resolve().parents[2] / "app.py"
OTHER = "bundled:digits-vgg11"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("LETHE_HOME", str(tmp_path))
    return AppTest.from_file(str(APP), default_timeout=120)


def test_picks_go_into_the_url(app: AppTest) -> None:
    app.run()
    app.selectbox(key="pick class").select("3").run()
    app.pills(key="pick forget").set_value(["7", "3"]).run()
    assert not app.exception
    assert app.query_params["cls"] == "3"
    assert app.pills(key="pick forget").value == ["3", "7"]
    assert app.pills(key="pick forget").label == "Classes to forget · 2 of 10"


def test_url_goes_into_the_picks(app: AppTest) -> None:
    app.query_params.update({"cls": "4", "forget": ["4", "9"], "model": OTHER})
    app.run()
    assert not app.exception
    assert app.selectbox(key="pick model").value == OTHER
    assert app.selectbox(key="pick class").value == "4"
    assert app.pills(key="pick forget").value == ["4", "9"]


@pytest.mark.parametrize("page", ["overview", "forget"])
def test_a_class_is_text_not_markup_in_every_basket(
    app: AppTest, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["![x](https://host/p.png)", *"123456789"]
    header = catalog.read_header
    monkeypatch.setattr(catalog, "read_header", lambda path: renamed(header(path), names))
    app.query_params["forget"] = names[0]
    app.run().switch_page(f"pages/{page}.py").run()
    baskets = [p for p in app.pills if p.key in ("pick forget", "forget classes")]
    assert len(baskets) == (2 if page == "forget" else 1)
    for basket in baskets:
        assert basket.options[0] == "✕ \\!\\[x\\]\\(https\\://host/p\\.png\\)"
        assert basket.options[1] == "1"
        assert basket.value == names[:1]


def renamed(header: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {**header, "card": {**header["card"], "classes": names}}


def test_another_model_keeps_classes_and_drops_the_channel(app: AppTest) -> None:
    app.query_params.update({"cls": "4", "channel": "2", "forget": ["9"]})
    app.run()
    app.selectbox(key="pick model").select(OTHER).run()
    assert not app.exception
    assert app.query_params["cls"] == "4"
    assert app.query_params["forget"] == "9"
    assert "channel" not in app.query_params
