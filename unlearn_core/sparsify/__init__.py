"""Making a model sparse, one file a way; the form, the command line and the tests follow from `SPARSIFIERS`."""

from collections.abc import Mapping

from unlearn_core.errors import UnlearnError
from unlearn_core.sparsify import imp, omp, random_mask, synflow
from unlearn_core.sparsify.dense import origin_of as origin_of
from unlearn_core.sparsify.mask import SparseMask as SparseMask
from unlearn_core.sparsify.mask import mask_from_tensors as mask_from_tensors
from unlearn_core.sparsify.mask import mask_in as mask_in
from unlearn_core.sparsify.mask import mask_of_zeros as mask_of_zeros
from unlearn_core.sparsify.mask import overlap as overlap
from unlearn_core.sparsify.sparsifier import Found as Found
from unlearn_core.sparsify.sparsifier import Origin as Origin
from unlearn_core.sparsify.sparsifier import SparseTask as SparseTask
from unlearn_core.sparsify.sparsifier import Sparsifier as Sparsifier
from unlearn_core.sparsify.sparsifier import Stages as Stages
from unlearn_core.sparsify.sparsifier import train_under as train_under

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
