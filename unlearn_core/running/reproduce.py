"""The command line that repeats a run."""

import shlex
from typing import Any

from unlearn_core.running.kinds.kind import Kind, Request
from unlearn_core.running.kinds.registry import KINDS


def command_line(kind: str, request: Request) -> str:
    """The command that repeats a run of this kind and request, every setting spelled out; empty for another kind."""
    return shlex.join(_words(KINDS[kind], request)) if kind in KINDS else ""


def _words(kind: Kind, request: Request) -> list[str]:
    part = kind.params.part if kind.params else ""
    values = {**request.get("settings", {}), **request.get(part, {})}
    action = [kind.variant(values)] if kind.subcommands else []
    flags = [
        word
        for name, value in values.items()
        if value not in ("", None) and not (kind.params and kind.subcommands and name == kind.params.of)
        for word in (_flag(name), _word(value))
    ]
    out = ["--out", kind.output.name] if kind.output and kind.output.required else []
    return ["python", "-m", "unlearn_core", kind.name, *action, *flags, *out]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
