"""How Flower carries questions and arrays: under a category, as bare bytes with type and shape beside them.

Flower's own format has a header in each array, which is parsed as Python text: with a model of 58 tensors that took a
tenth of a small federated run. Nor does the reader make anything of the bytes but numbers.
"""

from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray

from unlearn_core.errors import UnlearnError
from unlearn_core.federated.messages import Arrays

_FORMAT = "bytes"
# Looked up, never parsed: NumPy makes a type of almost any text, and evaluates some of it.
_TYPES = {np.dtype(t).str: np.dtype(t) for t in ("?", "i1", "u1", "<i2", "<i4", "<i8", "<f2", "<f4", "<f8")}


def category_of(kind: str) -> str:
    """Flower's category of messages for a kind of question: train, evaluate or query."""
    return kind if kind in ("train", "evaluate") else "query"


def record_of(arrays: Arrays) -> ArrayRecord:
    """Named arrays as a record of Flower's."""
    return ArrayRecord({name: _packed(np.asarray(values)) for name, values in arrays.items()})


def arrays_of(record: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a record, read-only: views of its bytes.

    Raises:
        UnlearnError: An array comes in another format.
        Exception: It is no record of arrays, whatever it is instead.
    """
    return {str(name): _unpacked(array) for name, array in record.items()}


def _packed(values: NDArray[Any]) -> Array:
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return Array(values.dtype.str, values.shape, _FORMAT, values.tobytes())


def _unpacked(array: Array) -> NDArray[Any]:
    if array.stype != _FORMAT or array.dtype not in _TYPES:
        raise UnlearnError(
            "Its arrays come in another format; see that Lethe is the same version on both sides."
        )
    return np.frombuffer(array.data, _TYPES[array.dtype]).reshape(array.shape)
