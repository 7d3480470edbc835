"""A kind of run is one record: a new one is known to everything that starts, repeats, does or names runs."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from unlearn_core.errors import UnlearnError
from unlearn_core.params import Setting, setting, settings_of
from unlearn_core.progress import Progress, Report
from unlearn_core.running.command import start
from unlearn_core.running.command.main import main, parser_for
from unlearn_core.running.kinds.kind import Kind, Output, Params
from unlearn_core.running.kinds.registry import KINDS, find_kind, run_workflow
from unlearn_core.running.reproduce import command_line
from unlearn_core.running.words import again, forgets, label_of, next_step, title_of
from unlearn_core.running.worker import execute
from unlearn_core.store.runs import RunRecord, RunState, RunStore


@dataclass(frozen=True)
class CountRequest:
    """Counting."""

    steps: int = setting(3, "How far", low=1)
    how: str = setting("up", "Which way", choices=("up", "down"))
    device: str = setting("cpu", "Where")


@dataclass(frozen=True)
class Stride:
    """How one counts upwards."""

    by: int = setting(1, "Size of a step")


def _params(how: str) -> tuple[Setting, ...]:
    return settings_of(Stride) if how == "up" else ()


@dataclass(frozen=True)
class Count:
    """How far it came."""

    count: int


def _count(request: Mapping[str, Any], folder: Path, report: Report) -> Count:
    steps, by = int(request["settings"]["steps"]), int(request["params"].get("by", 1))
    report(Progress("counting", steps, steps))
    (folder / "count.txt").write_text(str(steps * by))
    return Count(steps * by)


TOY = Kind(
    name="count",
    label="Counting",
    about="Count to a number.",
    request=CountRequest,
    code=f"{__name__}:_count",
    result=Count,
    summary=lambda result, wrote: f"Counted to {result.count}{wrote}.",
    params=Params(_params, of="how", heading="settings of counting {}"),
    required=lambda how: ("steps",),
    output=Output("count.txt", "where the number goes"),
    keeps_parts=True,
    verb=lambda request: "Count without",
)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunStore:
    """A store of runs that know the toy; what the command line starts is done in this process."""
    monkeypatch.setitem(KINDS, "count", TOY)  # type: ignore[arg-type]
    monkeypatch.setenv("LETHE_HOME", str(tmp_path))
    store = RunStore()

    def follow_new(kind: str, request: Mapping[str, Any], device: str) -> RunRecord:
        record = store.create(kind, request, f"token {len(store.list())}", device)
        assert execute(store, record.id, run_workflow) == 0
        return store.get(record.id)

    monkeypatch.setattr(start, "follow_new", follow_new)
    return store


def test_the_command_line_starts_it(
    toy: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.txt"
    assert main(["count", "--steps", "4", "--by", "5", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"Counted to 20; wrote {out}.\n"
    assert out.read_text() == "20"
    assert main(["count", "--steps", "4", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"run": toy.list()[0].id, "count": 4}
    assert main(["count", "--steps", "4", "--how", "down", "--by", "5"]) == 2  # it has no such setting
    assert main(["count"]) == 2
    assert "--steps" in capsys.readouterr().err


def test_all_commands_list_it(toy: RunStore) -> None:
    assert "Count to a number." in parser_for([]).format_help()
    assert "settings of counting up" in _help_of(["count", "--help"])
    assert "settings of counting down" not in _help_of(["count", "--help"])


def test_its_runs_are_repeated_by_a_command(toy: RunStore) -> None:
    request = {"settings": {"steps": 4, "how": "up", "device": "cpu"}, "params": {"by": 5}}
    line = command_line("count", request)
    words = shlex.split(line)[3:]
    assert vars(parser_for(words).parse_args(words)).items() >= {"steps": "4", "by": "5", "how": "up"}.items()
    assert main(words) == 0
    assert toy.list()[0].request == {
        "settings": {"steps": "4", "how": "up", "device": "cpu"},
        "params": {"by": "5"},
    }


def test_pages_name_it(toy: RunStore) -> None:
    settings = {"steps": 1, "how": "up", "forget": "3"}
    record = toy.create("count", {"settings": settings, "params": {}}, "named", "cpu")
    assert label_of("count") == "Counting"
    assert title_of(record) == "Count without 3"
    assert not forgets(record)
    toy.finish(record.id, RunState.CANCELLED, "Enough.")
    assert again(toy.get(record.id)) == "Resume"
    assert "last finished part" in next_step(toy.get(record.id))


def test_a_kind_that_nobody_knows_is_refused_and_named_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(UnlearnError, match="Unknown kind of run 'count'; choose one of: train, score"):
        find_kind("count")
    with pytest.raises(UnlearnError, match="Unknown kind"):
        run_workflow("count", {}, tmp_path, lambda progress: None)
    record = RunStore(tmp_path).create("damaged", {}, "token", "cpu")
    assert label_of("damaged") == "Damaged"
    assert title_of(record).startswith("Damaged, ")
    assert command_line("damaged", {}) == ""


def test_every_kind_can_be_asked_for_by_its_required_settings_alone() -> None:
    for kind in KINDS.values():
        names = (
            next(s.choices for s in kind.settings if s.name == kind.params.of) if kind.subcommands else ("",)
        )
        for name in names:
            required = kind.required(name or kind.variant({}))
            words = [kind.name, *([name] if name else [])]
            words += [word for setting in required for word in (f"--{setting}", "3")]
            words += ["--out", "out"] if kind.output and kind.output.required else []
            assert parser_for(words).parse_args(words).command


def _help_of(words: list[str]) -> str:
    with pytest.raises(SystemExit), pytest.MonkeyPatch.context() as patch:
        texts: list[str] = []
        patch.setattr(
            "argparse.ArgumentParser._print_message", lambda self, text, file=None: texts.append(text)
        )
        parser_for(words).parse_args(words)
    return "".join(texts)
