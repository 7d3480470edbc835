"""Numbers and names as a person reads them, one function for each quantity; what is unknown is a dash."""

import math
from collections.abc import Sequence

UNKNOWN = "–"


def figure(share: float | None, digits: int = 1) -> str:
    """A share in per cent without the sign, for "from 97.3 to 95.1 %"."""
    return UNKNOWN if share is None or math.isnan(share) else f"{100 * share:.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as it was measured: "97.0 %"."""
    number = figure(share, digits)
    return number if number == UNKNOWN else f"{number} %"


def trimmed_percent(share: float, digits: int = 4) -> str:
    """A share as somebody set it, of its significant digits those that are needed: "95 %", "99.95 %"."""
    return f"{100 * share:.{digits}g} %"


def span(low: float, high: float, digits: int = 1) -> str:
    """From one share to another in per cent, without the sign: "91.2 to 95.1"."""
    return f"{figure(low, digits)} to {figure(high, digits)}"


def signed(number: float, digits: int = 1) -> str:
    """A number with its sign, and a true minus: "+1.2", "−3.0"."""
    return f"{number:+.{digits}f}".replace("-", "−")


def points(difference: float, digits: int = 1) -> str:
    """A difference of two shares: "−3.0 points"."""
    return f"{signed(100 * difference, digits)} points"


def counted(count: int, one: str, many: str = "") -> str:
    """How many of a thing: "1 run", "1,200 runs"; `many` where it is no s that makes it plural."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def seconds(time: float | None) -> str:
    """A time that is to be compared with another: "123.4 s"."""
    return UNKNOWN if time is None else f"{time:.1f} s"


def duration(time: float) -> str:
    """How long something takes, in seconds, as a person says it: "2.5 s", "12 s", "3 min", "1.5 h"."""
    if time < 10:
        return f"{time:.1f} s"
    if time < 90:
        return f"{time:.0f} s"
    if time < 5400:
        return f"{time / 60:.0f} min"
    return f"{time / 3600:.1f} h"


def size(count: float) -> str:
    """Bytes as a person says them: "640 B", "1.23 KB" (of 1,000), "45.6 MB", "2 GB"."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= length:
            return f"{count / length:.3g} {unit}" if count < 100 * length else f"{count / length:.0f} {unit}"
    return f"{count:.0f} B"


def quoted(name: str) -> str:
    """A name that a person gave, in quotes: “cat”."""
    return f"“{name}”"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names in a sentence: "a, b and c"; of more than `most` the first, and how many more."""
    first = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return " and ".join([", ".join(first[:-1]), first[-1]] if len(first) > 1 else first)
