"""Epochs that a sparsifier trains, counted against those that it reports."""

import pytest

from unlearn_core.sparsify.registry import SPARSIFIERS
from unlearn_core.sparsify.sparsifier import effort_of


@pytest.mark.parametrize(
    ("name", "values", "given", "strict", "expected"),
    [
        ("synflow", {}, True, True, 2),
        ("random", {}, False, False, 2),
        ("omp", {"rewind": "early"}, True, False, 1 + 2),
        ("omp", {"rewind": "none"}, True, False, 2),
        ("omp", {}, False, False, 2 + 2),
        ("omp", {"rewind": "none"}, True, True, 2 + 2),
        ("imp", {"sparsity": 0.7, "rate": 0.5, "rewind": "none"}, True, False, 2 + 2),
        ("imp", {"sparsity": 0.7, "rate": 0.5}, False, False, 2 + 2 + 2),
    ],
)
def test_by_hand(quick, name, values, given, strict, expected):
    assert effort_of(SPARSIFIERS[name], quick(name, **values), given=given, strict=strict).epochs == expected


@pytest.mark.parametrize("name", ["omp", "imp", "random"])
def test_as_many_epochs_before_the_last_training_as_are_reported(quick, sparse_task, name):
    params = quick(name, sparsity=0.6, **({"rate": 0.4} if name == "imp" else {}))
    seen = set()
    task = sparse_task(params, report=lambda p: seen.add((p.stage, p.metrics.get("epoch"))))
    SPARSIFIERS[name].find(params, task)
    finished = len({s for s in seen if s[1] is not None})
    effort = effort_of(SPARSIFIERS[name], params, given=task.origin.given, strict=False)
    assert finished == effort.epochs - params.epochs
