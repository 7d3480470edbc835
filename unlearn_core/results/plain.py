"""Results as JSON's values: what is written, and what is left out."""

from collections.abc import Mapping
from dataclasses import Field, field, fields, is_dataclass
from typing import Any

_LEFT_OUT = "left_out"


def left_out(default: Any = None) -> Any:
    """A field that is written only where it differs from its default."""
    return field(default=default, metadata={_LEFT_OUT: True})


def to_plain(value: Any) -> Any:
    """A frozen type as JSON's values, with those that follow from it: its class names them in `DERIVED`."""
    if is_dataclass(value) and not isinstance(value, type):
        derived = getattr(type(value), "DERIVED", ())
        names = [f.name for f in fields(value) if not _is_left_out(value, f)]
        return {name: to_plain(getattr(value, name)) for name in (*names, *derived)}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def _is_left_out(value: Any, part: Field[Any]) -> bool:
    return bool(part.metadata.get(_LEFT_OUT)) and getattr(value, part.name) == part.default
