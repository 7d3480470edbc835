"""The ways to make a model sparse; form, command line, estimate, tables and the contract tests follow from `SPARSIFIERS`."""

from collections.abc import Mapping

from unlearn_core.errors import UnlearnError
from unlearn_core.sparsify.methods import imp, omp, random_mask, synflow
from unlearn_core.sparsify.sparsifier import Sparsifier

SPARSIFIERS: Mapping[str, Sparsifier] = {
    s.name: s for s in (omp.SPARSIFIER, imp.SPARSIFIER, synflow.SPARSIFIER, random_mask.SPARSIFIER)
}


def find_sparsifier(name: str) -> Sparsifier:
    """The sparsifier of that name.

    Raises:
        UnlearnError: There is none; the message lists all.
    """
    if name not in SPARSIFIERS:
        raise UnlearnError(f"Unknown sparsifier {name!r}; choose one of: {', '.join(SPARSIFIERS)}.")
    return SPARSIFIERS[name]


def short_label(name: str) -> str:
    """What charts and tables call a sparsifier; its name where it isn't known here."""
    return SPARSIFIERS[name].short if name in SPARSIFIERS else name
