"""Making a model sparse, one file a way; the form, the command line and the tests follow from `SPARSIFIERS`."""

from collections.abc import Mapping

from unlearn_core.errors import UnlearnError
from unlearn_core.sparsify import imp, omp, random_mask, synflow
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
