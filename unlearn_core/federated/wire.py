"""Arrays as Flower carries them: their bare bytes, with type and shape beside them.

Flower's own format has a header in each array, which is parsed as Python text: with a model of 58 tensors that took a
tenth of a small federated run. Nor does the reader make anything of the bytes but numbers.
"""

from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray

from unlearn_core.federated.messages import Arrays

_FORMAT = "bytes"
_NUMBERS = "biuf"  # NumPy's kinds: truth values, whole numbers, floating point


def record_of(arrays: Arrays) -> ArrayRecord:
    """Named arrays as a record of Flower's."""
    return ArrayRecord({name: _packed(np.asarray(values)) for name, values in arrays.items()})


def arrays_of(record: Any) -> dict[str, NDArray[Any]]:
    """The arrays of a record, read-only: views of its bytes.

    Raises:
        Exception: It is no such record, whatever it is instead.
    """
    return {str(name): _unpacked(array) for name, array in record.items()}


def _packed(values: NDArray[Any]) -> Array:
    return Array(values.dtype.str, values.shape, _FORMAT, values.tobytes())


def _unpacked(array: Array) -> NDArray[Any]:
    dtype = np.dtype(array.dtype)
    if array.stype != _FORMAT or dtype.kind not in _NUMBERS:
        raise TypeError
    return np.frombuffer(array.data, dtype).reshape(array.shape)
