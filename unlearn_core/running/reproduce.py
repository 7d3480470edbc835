"""The command line that repeats a run."""

import shlex
from collections.abc import Mapping
from typing import Any

_OUT = {"train": "model.safetensors", "score": "scores.npz", "sparsify": "model.safetensors"}


def command_line(kind: str, request: Mapping[str, Any]) -> str:
    """The command that repeats a run of this kind and request, every setting spelled out; empty for another kind."""
    if kind not in {"train", "score", "unlearn", "sparsify", "federated"}:
        return ""
    values = {**request.get("settings", {}), **request.get("recipe", {}), **request.get("params", {})}
    action = [values.pop("action")] if kind == "federated" else []
    flags = [
        word
        for name, value in values.items()
        if value not in ("", None)
        for word in (_flag(name), _word(value))
    ]
    out = ["--out", _OUT[kind]] if kind in _OUT else []
    return shlex.join(["python", "-m", "unlearn_core", kind, *action, *flags, *out])


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
