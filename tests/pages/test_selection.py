"""One selection for all pages: from the URL, else the session, else the defaults."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from unlearn_core.workflows import pack

MODEL = "bundled:digits-resnet20"


def script() -> None:
    import json

    import streamlit as st

    from pages.parts import selection

    for changes in st.session_state.get("changes", []):
        selection.choose(**changes)
    st.text(json.dumps(selection.current().__dict__))
    st.text(selection.query())


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("LETHE_HOME", str(tmp_path))
    return AppTest.from_function(script, default_timeout=60)


def seen(app: AppTest) -> dict[str, object]:
    import json

    app.run()
    assert not app.exception
    found: dict[str, object] = json.loads(app.text[0].value)
    return found


def test_defaults_are_the_most_selective_class_and_channel(app: AppTest) -> None:
    about, found = pack.read_pack(), seen(app)
    entry = about.models[MODEL]
    assert about.default_model == MODEL
    assert (found["model"], found["cls"], found["channel"]) == (MODEL, about.default_class, entry.channel)
    assert found["layer"] == list(entry.layers)[-1]
    assert found["forget"] == []
    assert not app.query_params


def test_url_restores_everything(app: AppTest) -> None:
    app.query_params.update(
        {"cls": "3", "layer": "conv1", "channel": "2", "image": "17", "forget": ["7", "1"]}
    )
    found = seen(app)
    assert found["cls"] == "3"
    assert (found["layer"], found["channel"], found["image"]) == ("conv1", 2, 17)
    assert found["forget"] == ["1", "7"]
    assert not app.toast


def test_unknown_values_are_named_and_dropped(app: AppTest) -> None:
    app.query_params.update(
        {"cls": "zebra", "model": "imported:../../etc/passwd", "channel": "-3", "image": "x"}
    )
    found = seen(app)
    assert found["model"] == MODEL
    told = " ".join(t.value for t in app.toast).replace("\\", "")
    assert "zebra" in told and "passwd" in told and "'x'" in told and "'-3'" in told
    assert not app.query_params


def test_a_value_of_the_address_is_text_not_markup(app: AppTest) -> None:
    app.query_params["cls"] = "![x](https://host/p.png)"
    seen(app)
    assert [t.value for t in app.toast] == [
        "Ignored cls = '\\!\\[x\\]\\(https\\://host/p\\.png\\)'\\: there is no such class here\\."
    ]


def test_channel_beyond_the_layer_is_its_top_channel(app: AppTest) -> None:
    app.query_params.update({"layer": "conv1", "channel": "999", "cls": "3"})
    top = pack.read_stats(MODEL)
    from unlearn_core.channels.scoring import tf_idf

    assert seen(app)["channel"] == int(tf_idf(top.mean("conv1"))[3].argmax())


def test_choosing_a_class_lets_go_of_the_channel(app: AppTest) -> None:
    app.query_params.update({"cls": "3", "channel": "2"})
    app.session_state["changes"] = [{"cls": "4"}]
    found = seen(app)
    assert found["cls"] == "4"
    assert found["channel"] != 2
    assert "channel" not in app.query_params


def test_choosing_both_keeps_both(app: AppTest) -> None:
    app.session_state["changes"] = [{"cls": "4", "channel": 2}]
    found = seen(app)
    assert (found["cls"], found["channel"]) == ("4", 2)
    assert app.text[1].value.find("channel=2") > 0


def test_session_remembers_what_the_url_lost(app: AppTest) -> None:
    app.query_params["cls"] = "3"
    seen(app)
    app.query_params.clear()
    assert seen(app)["cls"] == "3"


def test_names_with_commas_and_ampersands_travel(app: AppTest) -> None:
    app.session_state["changes"] = [{"a": "x&y=1,2"}]
    assert seen(app)["a"] == "x&y=1,2"
    assert "a=x%26y%3D1%2C2" in app.text[1].value


def test_a_comparison_and_its_rows_are_kept_in_the_address(app: AppTest) -> None:
    app.query_params.update({"scenario": "ab12", "rows": ["fine_tune-1", "retrain-2", "fine_tune-1"]})
    found = seen(app)
    assert (found["scenario"], found["rows"]) == ("ab12", ["fine_tune-1", "retrain-2"])
    assert "scenario=ab12&rows=fine_tune-1&rows=retrain-2" in app.text[1].value


def test_rows_belong_to_a_comparison_and_a_comparison_to_a_model(app: AppTest) -> None:
    app.query_params.update({"scenario": "ab12", "rows": ["x"]})
    app.session_state["changes"] = [{"scenario": "cd34"}]
    found = seen(app)
    assert (found["scenario"], found["rows"]) == ("cd34", [])
    app.session_state["changes"] = [{"model": "bundled:digits-vgg11"}]
    assert seen(app)["scenario"] == ""
