"""What clients hold and report, counted by hand."""

from unlearn_core.results import holdings

HELD = holdings.held_of([(1, 0, 9), (5, 20, 0)])


def test_what_is_scored() -> None:
    assert holdings.scored(HELD, 0).tolist() == HELD.tolist()
    assert holdings.scored(HELD, 6).tolist() == [[1, 0, 6], [5, 6, 0]]


def test_what_stays_unreported() -> None:
    assert holdings.unreported(HELD, 1) == (0, 0.0)
    assert holdings.unreported(HELD, 6) == (6, 6 / 35)
    assert holdings.unreported(holdings.held_of([(0, 0)]), 5) == (0, 0.0)


def test_the_smallest_class_that_is_reported() -> None:
    assert holdings.smallest_reported(HELD, 0) == 1  # a class without images is none
    assert holdings.smallest_reported(HELD, 6) == 9
    assert holdings.smallest_reported(HELD, 21) is None


def test_images_of_some_classes_at_each_client() -> None:
    assert holdings.of_classes(HELD, [0, 2]) == [10, 5]
