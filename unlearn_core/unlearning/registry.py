"""The unlearning methods; forms, command line, estimates, tables and the contract tests follow from `METHODS`."""

from collections.abc import Mapping

from unlearn_core.errors import UnlearnError
from unlearn_core.unlearning.method import Family, Method
from unlearn_core.unlearning.methods import (
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

REFERENCE = retrain.METHOD.name
"""The method that all others are compared with."""

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
        controls.UNTOUCHED,
        controls.MASK_LOGIT,
        controls.RESET_ROW,
        controls.RANDOM_PRUNE,
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


def in_sparsity_paper(name: str) -> bool:
    """Whether the figures of the paper on sparsity have the method, retraining among them."""
    return name == REFERENCE or (name in METHODS and METHODS[name].family is Family.SPARSITY_PAPER)


def short_label(name: str) -> str:
    """What charts and tables call a method; its name where it isn't known here."""
    return METHODS[name].short if name in METHODS else name
