"""Numbers and names as sentences and tables write them."""

import math

import pytest

from unlearn_core import words


def test_a_share_is_per_cent_and_what_is_unknown_a_dash() -> None:
    assert (words.figure(0.9734), words.percent(0.9734)) == ("97.3", "97.3 %")
    assert (words.figure(0.5, 0), words.percent(1, 0), words.percent(0.12345, 2)) == (
        "50",
        "100 %",
        "12.35 %",
    )
    for unknown in (None, math.nan):
        assert words.figure(unknown) == words.percent(unknown) == "–"


@pytest.mark.parametrize(
    ("share", "text"), [(0.95, "95 %"), (0.9995, "99.95 %"), (0.1 + 0.2, "30 %"), (0.005, "0.5 %")]
)
def test_what_somebody_set_has_no_needless_digits(share: float, text: str) -> None:
    assert words.trimmed_percent(share) == text
    assert words.trimmed_percent(0.95012, 3) == "95 %"


def test_a_span_has_one_sign_for_both() -> None:
    assert words.span(0.9123, 1) == "91.2 to 100.0"
    assert words.span(0.48, 0.52, 0) == "48 to 52"


def test_a_minus_is_no_hyphen() -> None:
    assert (words.signed(-3), words.signed(1.25, 2), words.signed(0)) == ("−3.0", "+1.25", "+0.0")
    assert words.points(-0.0312) == "−3.1 points"


def test_one_is_not_many() -> None:
    assert [words.counted(n, "run") for n in (0, 1, 2, 1200)] == ["0 runs", "1 run", "2 runs", "1,200 runs"]
    assert words.counted(1, "class", "classes") == "1 class"
    assert words.counted(3, "class", "classes") == "3 classes"


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (89, "89 s"),
        (90, "2 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
    ],
)
def test_a_duration_is_as_coarse_as_one_says_it(time: float, text: str) -> None:
    assert words.duration(time) == text


def test_times_that_are_compared_keep_their_tenths() -> None:
    assert words.seconds(123.44) == "123.4 s" and words.seconds(None) == "–"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (1234, "1.23 KB"),
        (99_960, "100 KB"),
        (123_456, "123 KB"),
        (23_252_750, "23.3 MB"),
        (143_317_500, "143 MB"),
        (2e9, "2 GB"),
        (1.5e12, "1500 GB"),
    ],
)
def test_bytes_by_thousands(count: float, text: str) -> None:
    assert words.size(count) == text


def test_names_in_a_sentence() -> None:
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b"]) == "a and b"
    assert words.listed(list("abcd")) == "a, b, c and d"
    assert words.listed(list("abcdef"), 3) == "a, b, c and 3 more"
    assert words.listed([words.quoted(n) for n in "ab"], 1) == "“a” and 1 more"
