"""The command line: the same runs as the pages start, by the same road.

Everything but the answer goes to standard error; with `--json` the last thing on standard output is one JSON object.
Bad input, and a run that failed by it, is one sentence and exit status 2; a run that was cancelled or interrupted is 1.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, NoReturn

from unlearn_core.errors import UnlearnError
from unlearn_core.running import jobs
from unlearn_core.running.command import inspection, lists, runs, start
from unlearn_core.running.kinds.registry import KINDS, run_workflow
from unlearn_core.running.terminal import Stopped
from unlearn_core.store.runs import RunStore


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UnlearnError(f"{message[:1].upper()}{message[1:]}. See: {self.prog} --help")


class _Command(NamedTuple):
    """What a command does, and what gives its parser the options, knowing all words of the command line."""

    about: str
    add_options: Callable[[argparse.ArgumentParser, Sequence[str]], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parser_for(words).parse_args(words)
        return int(args.command(args))
    except UnlearnError as error:
        print(error, file=sys.stderr)
        return 1 if isinstance(error, Stopped) else 2
    except BrokenPipeError:
        return 1


def parser_for(words: Sequence[str]) -> argparse.ArgumentParser:
    """All commands; only the one that the words name has its options, as those of some need torch to be known."""
    parser = _Parser(
        prog="python -m unlearn_core", description="Look inside a CNN classifier and make it forget classes."
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    named = next((w for w in words if not w.startswith("-")), "")
    for name, command in _commands().items():
        sub = commands.add_parser(name, help=command.about, description=command.about)
        if name == named:
            command.add_options(sub, words)
    execute = commands.add_parser("execute")
    execute.add_argument("run")
    execute.set_defaults(command=_execute)
    return parser


def _commands() -> Mapping[str, _Command]:
    starting = {
        kind.name: _Command(kind.about, partial(start.add_options, kind=kind)) for kind in KINDS.values()
    }
    return {**starting, **_OTHERS}


_OTHERS = {
    "evaluate": _Command("Test accuracy of a model, by class.", inspection.evaluate_options),
    "maps": _Command("Picture all channels of a layer for one image.", inspection.maps_options),
    "runs": _Command("List, show, export, resume, cancel or delete runs.", runs.add_options),
    "models": _Command("List the models at hand and the architectures.", lists.add_options),
    "methods": _Command("List the unlearning methods and their settings.", lists.add_options),
    "datasets": _Command("List the data sets, or download one.", lists.dataset_options),
    "pack": _Command("Make the data pack that the first page shows.", inspection.pack_options),
}


def _execute(args: argparse.Namespace) -> int:
    return jobs.execute(RunStore(), args.run, run_workflow)
