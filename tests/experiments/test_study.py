"""Stored studies, there and back, and what happens to damaged ones."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.experiments.study import STUDIES, Study, read_study, studies, write_study
from unlearn_core.experiments.trial import Trial


def study(trials: list[Trial]) -> Study:
    return Study("tiny", "About.", "python -m x", "2026-01-01", {"cores": 2}, trials, {"curve": [1.0]})


def test_there_and_back(trial: Callable[..., Trial], tmp_path: Path) -> None:
    made = study([trial("retrain", course=((1.0, 0.5),)), trial("fine_tune", seed=1, params={"lr": 0.1})])
    write_study(made, tmp_path)
    assert studies(tmp_path) == ["tiny"]
    assert read_study("tiny", tmp_path) == made


def test_what_all_trials_share_is_written_once(trial: Callable[..., Trial], tmp_path: Path) -> None:
    path = write_study(study([trial(seed=0), trial(seed=1)]), tmp_path)
    values = json.loads(path.read_text())
    assert values["shared"]["model"] == "net"
    assert values["trials"] == [{"seed": 0}, {"seed": 1}]


def test_numbers_keep_six_digits(trial: Callable[..., Trial], tmp_path: Path) -> None:
    write_study(study([trial(ua=1 / 3)]), tmp_path)
    assert read_study("tiny", tmp_path).trials[0].ua == 0.333333


def test_a_study_without_trials_can_be_read(tmp_path: Path) -> None:
    write_study(study([]), tmp_path)
    assert read_study("tiny", tmp_path).trials == []


def test_an_unknown_name_is_refused_with_those_there_are(trial: Callable[..., Trial], tmp_path: Path) -> None:
    write_study(study([trial()]), tmp_path)
    with pytest.raises(UnlearnError, match="no stored study '../x'; there are: tiny"):
        read_study("../x", tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"trials": []}', '{"shared": {}, "trials": [{}]}', "7"])
def test_a_damaged_file_is_told_with_a_sentence(content: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.json").write_text(content)
    with pytest.raises(UnlearnError, match="'tiny' is damaged"):
        read_study("tiny", tmp_path)


@pytest.mark.parametrize("name", studies())
def test_each_study_that_comes_with_the_app_can_be_read(name: str) -> None:
    found = read_study(name, STUDIES)
    assert found.command.startswith("python -m benchmarks.")
    for trial in found.trials:
        shares = (trial.ua, trial.ra, trial.ta, *trial.per_class)
        assert all(share is None or 0 <= share <= 1 for share in shares)
