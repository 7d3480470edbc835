"""The commands about runs that there are."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unlearn_core.running import jobs
from unlearn_core.running.command.options import finish
from unlearn_core.running.command.printing import answered, printed
from unlearn_core.running.terminal import follow
from unlearn_core.store.files import plain_json, write_bytes
from unlearn_core.store.runs import RunRecord, RunStore


def add_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Gives `runs` its actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(_ACTIONS))
    for name in _ACTIONS:
        action = actions.add_parser(name)
        if name != "list":
            action.add_argument("run", help="id of the run")
        if name == "export":
            action.add_argument("--out", type=Path, required=True, help="where the zip goes")
        finish(action, _act)


def _act(args: argparse.Namespace) -> int:
    store = RunStore()
    jobs.refresh(store)
    return _ACTIONS[args.action](args, store)


def _list(args: argparse.Namespace, store: RunStore) -> int:
    records = store.list()
    lines = [f"{r.id}  {r.kind:8}  {r.state.value:12}  {r.name}" for r in records]
    text = "\n".join(lines) or "No runs yet. Start one: python -m unlearn_core unlearn --help"
    return printed(args, [_brief(r) for r in records], text)


def _show(args: argparse.Namespace, store: RunStore) -> int:
    record = store.get(args.run)
    parts = ("request", "error", "note", "result")
    whole = {**_brief(record), **{name: getattr(record, name) for name in parts}}
    return printed(args, whole, json.dumps(plain_json(whole), indent=1))


def _export(args: argparse.Namespace, store: RunStore) -> int:
    write_bytes(args.out, store.export(args.run))
    return printed(args, {"run": args.run, "out": str(args.out)}, f"Wrote {args.out}.")


def _resume(args: argparse.Namespace, store: RunStore) -> int:
    jobs.resume(store, args.run)
    record = follow(store, args.run)
    return answered(args, record, f"Run {record.id} is {record.state.value}.")


def _cancel(args: argparse.Namespace, store: RunStore) -> int:
    jobs.cancel(store, args.run)
    return printed(args, {"run": args.run, "cancel": True}, f"Run {args.run} will stop within two seconds.")


def _delete(args: argparse.Namespace, store: RunStore) -> int:
    store.delete(args.run)
    return printed(args, {"run": args.run, "deleted": True}, f"Deleted run {args.run}.")


_ACTIONS: Mapping[str, Callable[[argparse.Namespace, RunStore], int]] = {
    "list": _list,
    "show": _show,
    "export": _export,
    "resume": _resume,
    "cancel": _cancel,
    "delete": _delete,
}


def _brief(record: RunRecord) -> dict[str, Any]:
    return {
        "run": record.id,
        "kind": record.kind,
        "state": record.state.value,
        "name": record.name,
        "created": record.created,
        "seconds": (record.finished - record.started) if record.finished and record.started else None,
    }
