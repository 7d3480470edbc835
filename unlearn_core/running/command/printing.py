"""What a command prints: text for people, or one JSON object."""

import argparse
import json
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.store.files import plain_json
from unlearn_core.store.runs import RunRecord


def printed(args: argparse.Namespace, value: Any, text: str) -> int:
    """Prints the value as JSON where that was asked for, else the text; the exit status."""
    print(json.dumps(plain_json(value)) if args.json else text)
    return 0


def answered(args: argparse.Namespace, record: RunRecord, text: str) -> int:
    """Prints a finished run; the exit status."""
    return printed(args, {"run": record.id, **result_of(record)}, text)


def result_of(record: RunRecord) -> dict[str, Any]:
    """What came of a finished run.

    Raises:
        UnlearnError: Its files are damaged.
    """
    if record.result is None:
        raise UnlearnError(
            f"Run {record.id} has no sound result: {'; '.join(record.damage) or record.state.value}."
        )
    return record.result
