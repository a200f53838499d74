"""What a command line may give a parameter, and the one line that says why not."""

import pytest

from vm_core.errors import VmError
from vm_core.ros_parameters import checked


@pytest.mark.parametrize(
    ("given", "default", "value"),
    [(2, 1.0, 2.0), (2.5, 1.0, 2.5), (2, 1, 2), (True, False, True), ((1, 2), [5], [1, 2])],
)
def test_what_fits_is_taken_as_the_defaults_type(given, default, value):
    taken = checked("x", given, default, None)
    assert taken == value and type(taken) is type(default)


@pytest.mark.parametrize(
    ("given", "default"),
    [("fast", 1.0), (True, 1.0), (1.5, 1), (True, 1), (1, False), (5, "text"), (5, [1]), ("a", [1])],
)
def test_what_does_not_fit_is_named(given, default):
    with pytest.raises(VmError, match=r"parameter x: got .*; expected "):
        checked("x", given, default)


@pytest.mark.parametrize("given", [0, 11, float("nan"), float("inf")])
def test_the_range_holds_for_whole_numbers_too(given):
    with pytest.raises(VmError, match="expected 1 to 10"):
        checked("x", given, 2.0, (1.0, 10.0))
