"""What a demo says that the robot did."""

import numpy as np
import pytest

from vm_core.scene_asset import SceneAsset, SceneBox
from vm_policy_node.bringup.demo_result import seat_line, top_line

STEPS = SceneAsset(boxes=(SceneBox((1.0, 0.0, 0.05), (0.5, 0.5, 0.05)), SceneBox((2.0, 0.0, 0.1), (0.5, 0.5, 0.1))))
SEAT = SceneAsset(boxes=(SceneBox((0.0, 0.0, 0.15), (0.2, 0.2, 0.15), label="seat"),))


@pytest.mark.parametrize(
    ("pelvis", "reached", "words"),
    [
        ([2.0, 0.0, 0.95], True, "stands on a surface at 0.20 m; the top is reached"),
        ([1.0, 0.0, 0.85], False, "at 0.20 m, is NOT reached"),
        ([2.0, 0.0, 0.35], False, "lies on a surface"),
        ([0.0, 0.0, 0.75], False, "NOT reached"),
    ],
)
def test_the_top_is_judged_by_place_and_posture(pelvis, reached, words):
    text, verdict = top_line(STEPS, np.array(pelvis))
    assert verdict is reached
    assert words in text
    assert top_line(STEPS, None)[1] is False


@pytest.mark.parametrize(
    ("low", "at_end", "away", "verdict", "words"),
    [
        (0.44, 0.74, 0.0, True, "sat for 2.0 s and stands again"),
        (0.44, 0.44, 0.0, False, "does NOT stand in the end"),
        (0.74, 0.74, 0.0, False, "did NOT sit and stands again"),
        (0.44, 0.74, 0.5, False, "did NOT sit"),  # a squat beside the seat
        (0.20, 0.20, 0.0, False, "did NOT sit"),  # through it
    ],
)
def test_sitting_is_judged_by_the_pelvis_over_the_seat(low, at_end, away, verdict, words):
    time_s = np.arange(0.0, 6.0, 0.02)
    height = np.where((time_s >= 2.0) & (time_s < 4.0), low, 0.74)
    height[-1] = at_end
    text, did = seat_line(SEAT, time_s, np.column_stack([np.full(300, -0.1 + away), np.zeros(300), height]))
    assert did is verdict and words in text
