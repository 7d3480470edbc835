"""The folder that everything is written to."""

from pathlib import Path

import pytest

from unlearn_core import home as module
from unlearn_core.home import home


def test_lethe_home_is_taken_as_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LETHE_HOME", str(tmp_path / "a b"))
    assert home() == tmp_path / "a b"
    assert not (tmp_path / "a b").exists()


def test_a_relative_or_tilde_home_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somebody")
    monkeypatch.setenv("LETHE_HOME", "runs")
    assert home() == tmp_path / "runs"
    monkeypatch.setenv("LETHE_HOME", "~/runs")
    assert home() == Path("/somebody/runs")


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", "/somebody/.local/share/lethe"),
        ("darwin", "/somebody/Library/Application Support/lethe"),
    ],
)
def test_default_is_the_data_directory_of_the_system(
    monkeypatch: pytest.MonkeyPatch, platform: str, expected: str
) -> None:
    for name in ("LETHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/somebody")
    monkeypatch.setattr(module.sys, "platform", platform)
    assert home() == Path(expected)


def test_xdg_data_home_is_honoured_when_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LETHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/somebody")
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert home() == Path("/data/lethe")
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert home() == Path("/somebody/.local/share/lethe")
