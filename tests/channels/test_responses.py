"""How channels respond, counted by hand."""

import numpy as np

from unlearn_core.channels import responses

# Three channels of 2 x 2: silent, firing in one pixel, firing everywhere.
MAPS = np.array([[[0, 0], [0, 0]], [[0, 8], [0, 0]], [[1, 1], [1, 5]]], dtype=np.float32)


def test_maps_as_numbers() -> None:
    assert responses.by_strength(MAPS) == [1, 2, 0]  # of two alike the first
    assert responses.firing(MAPS) == responses.Firing(count=2, strongest=1, mean=2.0)
    assert responses.peaks(MAPS).tolist() == [0, 8, 5]
    assert [tuple(row.values()) for row in responses.map_rows(MAPS)] == [
        (0, 0.0, 0.0, 0.0, 0.0),
        (1, 2.0, 0.0, 8.0, 0.25),
        (2, 2.0, 1.0, 5.0, 1.0),
    ]


def test_classes_without_images_have_maps_of_zeros() -> None:
    maps = np.full((2, 3, 1, 1), np.nan, dtype=np.float32)
    maps[0] = 2
    assert responses.class_maps_of(maps, 1).tolist() == [[[2.0]], [[0.0]]]


def test_the_images_of_a_class() -> None:
    labels = np.array([2, 0, 2, 1])
    assert responses.positions_of(labels, 2) == [0, 2]
    assert responses.positions_of(labels, None) == [0, 1, 2, 3]


def test_of_many_classes_those_that_drive_a_channel_most() -> None:
    labels = np.array([0, 0, 1, 3, 3])
    values = np.array([1, 3, 9, 0, 1], dtype=np.float32)  # means 2, 9, none, 0.5
    assert responses.driving_classes(values, labels, 4, most=4) == [0, 1, 2, 3]
    assert responses.driving_classes(values, labels, 4, most=2) == [0, 1]
    assert responses.driving_classes(values, labels, 4, most=3) == [0, 1, 3]
