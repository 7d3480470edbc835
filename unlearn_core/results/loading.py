"""Results from JSON: one reader, whose errors name the place of what is missing or wrong."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from unlearn_core.errors import UnlearnError
from unlearn_core.results.result import RESULTS, Result
from unlearn_core.store.records import RunRecord

T = TypeVar("T")

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_RESULT = "result.json"


def of_record(record: RunRecord) -> Result | None:
    """A run's result; None where it has none that is sound.

    Raises:
        UnlearnError: A field is missing or of the wrong form.
    """
    return None if record.result is None else result_from(record.result)


def result_from(values: Mapping[str, Any], name: str = _RESULT) -> Result:
    """The result of any kind of run; an older version's lacks fields, which then have their defaults.

    Raises:
        UnlearnError: The kind is unknown, or a field is missing or of the wrong form.
    """
    kind = values.get("kind")
    cls = RESULTS.get(str(kind))
    if cls is None:
        raise UnlearnError(f"{name}: kind: {kind!r} is none of: {', '.join(RESULTS)}.")
    return from_plain(cls, values, name)


def from_plain(cls: type[T], values: Any, name: str) -> T:
    """A frozen type from JSON's values; what it doesn't hold itself (derived values) is passed over.

    Args:
        cls: A dataclass.
        values: As `to_plain` gives them, or as an older version wrote them.
        name: What the error calls the whole, as a file's name.

    Raises:
        UnlearnError: A field is missing or of the wrong form; the sentence names its place.
    """
    try:
        return msgspec.convert(values, cls)
    except msgspec.ValidationError as error:
        raise UnlearnError(
            f"{_sentence(name, str(error))}. It is damaged, or another version of Lethe wrote it; make it again."
        ) from error


def _sentence(name: str, error: str) -> str:
    """msgspec's words with the place first: `Expected int, got str - at $.before` says it last."""
    found = _PLACE.fullmatch(error)
    what, path = (found["what"], found["path"]) if found else (error, None)
    return ": ".join(filter(None, (name, path, what[:1].lower() + what[1:])))
