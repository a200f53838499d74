"""The short ways to an array's library and to arrays side by side lead where array-api-compat's do."""

import array_api_compat
import numpy as np
import pytest

from vm_core.arrays import array_namespace, stack_last

FEW = (np.zeros(3), np.zeros((2, 3), dtype=np.float32), np.zeros(3)[0], np.float32(1.0))


@pytest.mark.parametrize("array", FEW, ids=lambda array: f"{array.dtype}{array.shape}")
def test_numpy_s_arrays_and_numbers(array):
    assert array_namespace(array, np.zeros(3)) is array_api_compat.array_namespace(array)
    stacked = stack_last([array, array + 1])
    assert stacked.shape == (*array.shape, 2) and stacked.dtype == array.dtype
    np.testing.assert_array_equal(stacked[..., 1], array + 1)


def test_torch_s_tensors():
    torch = pytest.importorskip("torch")
    tensor = torch.zeros(3)
    assert array_namespace(tensor) is array_api_compat.array_namespace(tensor)
    assert stack_last([tensor[0], tensor[1]]).shape == (2,)


def test_others_are_refused():
    with pytest.raises(TypeError):
        array_namespace([1.0])
    with pytest.raises(TypeError):
        array_namespace(np.zeros(3), array_api_compat)
