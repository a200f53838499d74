"""Which library an array belongs to: terms and rotations work on numpy and torch alike.

Each answer is the one of array-api-compat, found sooner for a single robot's few numbers: on those, looking for shapes
and libraries takes longer than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import array_api_compat
import array_api_compat.numpy as numpy_namespace
import numpy as np

_NUMPY = (np.ndarray, np.float64)


def array_namespace(*arrays: Any) -> ModuleType:
    """The library whose functions take these arrays."""
    for array in arrays:
        if type(array) not in _NUMPY:
            return array_api_compat.array_namespace(*arrays)
    return numpy_namespace


def stack_last(parts: Sequence[Any]) -> Any:
    """Arrays of one shape (...) side by side, (..., len(parts))."""
    if type(parts[0]) is np.float64:
        return np.array(parts)
    return array_namespace(*parts).stack(parts, axis=-1)
