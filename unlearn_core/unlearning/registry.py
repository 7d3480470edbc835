"""Unlearning methods, one file each; the form, the command line and the contract tests follow from `METHODS`."""

from collections.abc import Mapping

from unlearn_core.errors import UnlearnError
from unlearn_core.unlearning import (
    bad_teacher,
    boundary_expand,
    boundary_shrink,
    controls,
    fine_tune,
    fisher,
    gradient_ascent,
    influence,
    l1_sparse,
    neggrad,
    random_label,
    retrain,
    salun,
    scrub,
    tfidf_prune,
)
from unlearn_core.unlearning.method import Method

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        tfidf_prune.METHOD,
        fine_tune.METHOD,
        retrain.METHOD,
        gradient_ascent.METHOD,
        influence.METHOD,
        fisher.METHOD,
        l1_sparse.METHOD,
        random_label.METHOD,
        salun.METHOD,
        scrub.METHOD,
        neggrad.METHOD,
        bad_teacher.METHOD,
        boundary_shrink.METHOD,
        boundary_expand.METHOD,
        *controls.METHODS,
    )
}


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
        UnlearnError: There is none; the message lists all.
    """
    if name not in METHODS:
        raise UnlearnError(f"Unknown method {name!r}; choose one of: {', '.join(METHODS)}.")
    return METHODS[name]
