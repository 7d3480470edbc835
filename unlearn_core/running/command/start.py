"""The commands that start a run and follow it to its end: one for each kind, made from its record."""

import argparse
import secrets
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.results.loading import from_plain
from unlearn_core.running.command.options import absolute, add_settings, finish, given, without_paths
from unlearn_core.running.command.printing import answered, printed, result_of
from unlearn_core.running.grid import expand, group_id, seeds_in
from unlearn_core.running.kinds.kind import Kind, Output
from unlearn_core.running.reproduce import command_line
from unlearn_core.running.terminal import follow_new
from unlearn_core.store.files import write_bytes
from unlearn_core.store.runs import RunRecord, RunStore


def add_options(parser: argparse.ArgumentParser, words: Sequence[str], *, kind: Kind) -> None:
    """Gives the command of a kind its options."""
    if kind.params is None or not kind.subcommands:
        _add(parser, kind, _variant(kind, words))
        return
    names = next(s.choices for s in kind.settings if s.name == kind.params.of)
    variants = parser.add_subparsers(dest=kind.params.of, required=True, metavar="|".join(names))
    for name in names:
        _add(variants.add_parser(name), kind, name)


def _variant(kind: Kind, words: Sequence[str]) -> str:
    """The method, say, that the words name, else the usual one; whether it exists is for others to say."""
    first = argparse.ArgumentParser(add_help=False)
    if kind.params and kind.params.of:
        first.add_argument(f"--{kind.params.of}", default=argparse.SUPPRESS)
    return kind.variant(vars(first.parse_known_args(list(words))[0]))


def _add(parser: argparse.ArgumentParser, kind: Kind, variant: str) -> None:
    word = kind.params.of if kind.params and kind.subcommands else ""
    add_settings(parser, [s for s in kind.settings if s.name != word], kind.required(variant))
    if kind.params:
        heading = kind.params.heading.format(variant)
        group = parser.add_argument_group(heading) if heading else parser
        add_settings(group, kind.params.settings(variant), with_defaults=kind.params.with_defaults)
    if kind.output:
        parser.add_argument("--out", required=kind.output.required, type=Path, help=kind.output.help)
    finish(parser, partial(_start, kind))


def _start(kind: Kind, args: argparse.Namespace) -> int:
    request = _request(kind, args)
    if kind.in_sets and "," in str(args.seed):
        return _start_set(kind, args, request)
    record = follow_new(kind.name, request, args.device)
    wrote = _copied(record, kind.output, args.out) if kind.output and args.out else ""
    return answered(args, record, _summary(kind, record, wrote))


def _start_set(kind: Kind, args: argparse.Namespace, request: dict[str, Any]) -> int:
    """One run for each seed, one after the other; their answers in one list."""
    if args.out:
        raise UnlearnError(
            "--out takes one model, but several seeds make several; `runs export` gives each of them."
        )
    seeds = seeds_in(f"{args.seed},", 0)
    plans = expand(request, seeds, {}, args.group or group_id(request, secrets.token_hex(8)))
    records = [follow_new(kind.name, plan.request, args.device) for plan in plans]
    texts = [f"seed {s}\n{_summary(kind, record, '')}" for s, record in zip(seeds, records, strict=True)]
    answers = [{"run": record.id, **result_of(record)} for record in records]
    return printed(args, answers, "\n\n".join(texts))


def _summary(kind: Kind, record: RunRecord, wrote: str) -> str:
    return kind.summary(from_plain(kind.result, result_of(record), f"The result of run {record.id}"), wrote)


def _request(kind: Kind, args: argparse.Namespace) -> dict[str, Any]:
    """What the arguments ask of a run."""
    settings = absolute(given(args, kind.settings))
    params = (
        {kind.params.part: given(args, kind.params.settings(kind.variant(settings)))} if kind.params else {}
    )
    request = {"settings": settings, **params}
    if not kind.on_card:
        return request
    on_card = {**request, "settings": without_paths(settings)}
    return {**request, "command": command_line(kind.name, on_card)}


def _copied(record: RunRecord, output: Output, to: Path) -> str:
    """Copies the file that the run made; what is to be said of that."""
    write_bytes(to, RunStore().artifact(record.id, output.name).read_bytes())
    return f"; wrote {to}"
