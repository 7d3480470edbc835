"""Settings as frozen dataclasses: declared once, read by the form, the command line and the validation."""

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from typing import Any, TypeVar

from unlearn_core.errors import UnlearnError

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """One field of a settings dataclass, as a form or a command line needs it.

    Attributes:
        name: The field's name.
        kind: bool, int, float or str.
        default: The value when nothing is given.
        help: One sentence for the person.
        low: Smallest allowed value, or None.
        high: Largest allowed value, or None.
        choices: The allowed values; empty when any will do.
        label: What a form and a table call it.
        advanced: Whether a form shows it only on request.
        hidden: Whether a form leaves it out.
    """

    name: str
    kind: type
    default: Any
    help: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    label: str = ""
    advanced: bool = False
    hidden: bool = False


def setting(
    default: Any,
    help: str | None = None,
    *,
    label: str | None = None,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    advanced: bool | None = None,
    hidden: bool | None = None,
) -> Any:
    """A dataclass field with the facts that a form, a command line and `build` need; see `Setting`.

    A class that gives a setting of its base another default says what else is different; the rest it inherits.
    """
    facts = {
        "help": help,
        "label": label,
        "low": low,
        "high": high,
        "choices": choices,
        "advanced": advanced,
        "hidden": hidden,
    }
    return field(default=default, metadata={name: fact for name, fact in facts.items() if fact is not None})


def settings_of(cls: type) -> tuple[Setting, ...]:
    """The settings that a frozen dataclass declares, in order."""
    kinds = typing.get_type_hints(cls)
    return tuple(_setting_of(cls, f, _plain_kind(kinds[f.name])) for f in fields(cls))


def _setting_of(cls: type, f: Field[Any], kind: type) -> Setting:
    facts = _facts(cls, f.name)
    return Setting(
        name=f.name,
        kind=kind,
        default=f.default if f.default is not MISSING else None,
        help=facts.get("help", ""),
        low=facts.get("low"),
        high=facts.get("high"),
        choices=tuple(facts.get("choices", ())),
        label=facts.get("label", f.name.replace("_", " ").capitalize()),
        advanced=facts.get("advanced", False),
        hidden=facts.get("hidden", False),
    )


def _facts(cls: type, name: str) -> dict[str, Any]:
    """What a class says of one of its fields, and what its bases say where it is silent."""
    facts: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        own = vars(base).get("__dataclass_fields__", {})
        facts |= own[name].metadata if name in own else {}
    return facts


def build(cls: type[T], values: Mapping[str, Any]) -> T:
    """The settings dataclass from plain values (text from a command line will do).

    Raises:
        UnlearnError: An unknown name, a value of the wrong kind, out of range or not among the choices.
    """
    known = {s.name: s for s in settings_of(cls)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UnlearnError(f"Unknown setting {unknown[0]!r}; the settings are: {', '.join(known) or 'none'}.")
    return cls(**{name: checked(known[name], value) for name, value in values.items()})


def plain(settings: Any) -> dict[str, Any]:
    """A settings dataclass as a dictionary of plain values; `build` reverses it."""
    return asdict(settings)


def _plain_kind(annotation: Any) -> type:
    """The one plain type behind an annotation such as `int` or `int | None`."""
    if isinstance(annotation, types.UnionType):
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    return annotation if isinstance(annotation, type) else str


def checked(s: Setting, value: Any) -> Any:
    """The value of a setting, converted to its kind.

    Raises:
        UnlearnError: It is of the wrong kind, out of range or not among the choices.
    """
    value = _converted(s, value)
    if value is None:
        return None
    if s.choices and value not in s.choices:
        raise UnlearnError(f"{s.name} can't be {value!r}; choose one of: {', '.join(s.choices)}.")
    too_low = s.low is not None and value < s.low
    too_high = s.high is not None and value > s.high
    if too_low or too_high:
        raise UnlearnError(f"{s.name} can't be {value!r}; it must lie {_range(s)}.")
    return value


def _converted(s: Setting, value: Any) -> Any:
    if value is None and s.default is None:
        return None
    try:
        if s.kind is bool:
            return _as_bool(value)
        if s.kind is int and (isinstance(value, bool) or float(value) != int(float(value))):
            raise ValueError
        converted = s.kind(float(value)) if s.kind is int else s.kind(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UnlearnError(f"{s.name} can't be {value!r}; it must be {_KIND_WORDS[s.kind]}.") from error
    if s.kind is float and not math.isfinite(converted):
        raise UnlearnError(f"{s.name} can't be {value!r}; it must be a finite number.")
    return converted


def _as_bool(value: Any) -> bool:
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError
    return text in _TRUE


def _range(s: Setting) -> str:
    if s.low is None:
        return f"at or below {s.high:g}"
    if s.high is None:
        return f"at or above {s.low:g}"
    return f"between {s.low:g} and {s.high:g}"


_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_KIND_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "yes or no"}
