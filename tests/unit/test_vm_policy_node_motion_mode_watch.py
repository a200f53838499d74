"""A controller of the robot's own forbids a start for as long as it is known to be active."""

import json

from hypothesis import given
from hypothesis import strategies as st

from vm_core.motion_switcher import CHECK_MODE, RELEASE_MODE, MotionSwitcher
from vm_policy_node.motion_mode_watch import EVERY_S, FORGOTTEN_S, MotionModeWatch


def ask(watch: MotionModeWatch, switcher: MotionSwitcher, now_s: float) -> None:
    request = watch.question(now_s)
    assert request is not None
    watch.on_response(request, CHECK_MODE, *switcher.answer(CHECK_MODE, "{}"), now_s)


def test_an_active_mode_forbids_until_it_is_released():
    watch, switcher = MotionModeWatch(), MotionSwitcher("ai")
    assert watch.obstacle(0.0, there=False) == ""  # nobody who could answer
    assert "has not answered yet" in watch.obstacle(0.0, there=True)
    ask(watch, switcher, 1.0)
    assert "the robot's own controller 'ai' is active" in watch.obstacle(1.1, there=True)
    switcher.answer(RELEASE_MODE, "{}")
    ask(watch, switcher, 1.0 + EVERY_S)
    assert watch.obstacle(2.1, there=True) == ""


def test_it_asks_once_a_second_and_forgets_what_is_old():
    watch = MotionModeWatch()
    ask(watch, MotionSwitcher("ai"), 10.0)
    assert watch.question(10.5) is None
    assert watch.obstacle(10.0 + FORGOTTEN_S + 0.1, there=True) == ""


def test_answers_to_others_do_not_count():
    watch, data = MotionModeWatch(), json.dumps({"name": "ai"})
    request = watch.question(1.0)
    assert request is not None
    for answer in ((request + 1, CHECK_MODE, 0), (request, RELEASE_MODE, 0), (request, CHECK_MODE, 3203)):
        assert "has not answered yet" in watch.obstacle(1.1, there=True)
        watch.on_response(*answer, data, 1.1)
    assert watch.obstacle(1.2, there=True) == "", "it has refused to tell: nothing is known, and nothing forbidden"


@given(data=st.text())
def test_any_answer_is_taken(data):
    watch = MotionModeWatch()
    request = watch.question(1.0)
    assert request is not None
    watch.on_response(request, CHECK_MODE, 0, data, 1.0)
    assert "\n" not in watch.obstacle(1.0, there=True)
