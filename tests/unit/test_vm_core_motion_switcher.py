"""The robot's motion switcher as the simulated robot plays it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vm_core.motion_switcher import (
    CHECK_MODE,
    ERROR_NOT_IMPLEMENTED,
    ERROR_PARAMETER,
    OK,
    RELEASE_MODE,
    SELECT_MODE,
    MotionSwitcher,
    mode_of,
)


def test_a_mode_is_seen_released_and_taken_again():
    switcher = MotionSwitcher("ai")
    assert mode_of(switcher.answer(CHECK_MODE, "{}")[1]) == "ai"
    assert switcher.answer(RELEASE_MODE, "{}") == (OK, "")
    assert mode_of(switcher.answer(CHECK_MODE, "{}")[1]) == ""
    assert switcher.answer(SELECT_MODE, json.dumps({"name": "normal"})) == (OK, "")
    assert switcher.mode == "normal"


@pytest.mark.parametrize("parameter", ["", "{}", '{"name": "fly"}', '{"name": 3}', "[" * 20_000, '{"name": ["ai"]}'])
def test_what_is_no_mode_changes_nothing(parameter):
    switcher = MotionSwitcher("ai")
    assert switcher.answer(SELECT_MODE, parameter) == (ERROR_PARAMETER, "")
    assert switcher.mode == "ai"


def test_other_requests_are_not_implemented():
    assert MotionSwitcher().answer(1004, "{}") == (ERROR_NOT_IMPLEMENTED, "")


@given(api_id=st.integers(-(2**63), 2**63 - 1), parameter=st.text())
def test_any_request_is_answered(api_id, parameter):
    switcher = MotionSwitcher("ai")
    code, data = switcher.answer(api_id, parameter)
    assert isinstance(code, int) and isinstance(data, str)
    assert switcher.mode in ("", *switcher.modes)


@given(st.text())
def test_any_answer_is_read(data):
    assert mode_of(data) is None or isinstance(mode_of(data), str)
