"""What makes the vertical or the ground a guess is said: never upright, sideways, no foot at rest."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vm_reconstruction.body_model import rest_positions
from vm_reconstruction.human_motion import joint_index
from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.stages import gravity

FRAMES = 20
WEIGHT = np.ones((FRAMES, len(POINTS)))
PLANTED = np.ones((FRAMES - 1, len(POINTS)))


def standing() -> np.ndarray:
    """(T, 17, 3) a person 4 m before a level camera, in its axes."""
    rest = rest_positions(1.75)[[joint_index(name) for name in POINTS]]
    return np.tile(np.stack([-rest[:, 1], 0.9 - rest[:, 2], 4.0 - rest[:, 0]], axis=1), (FRAMES, 1, 1))


def seated() -> np.ndarray:
    """The same person with level thighs."""
    points = standing()
    for side in ("left", "right"):
        hip, knee, ankle = (points[:, POINTS.index(f"{side}_{part}")] for part in ("hip", "knee", "ankle"))
        forward = np.array([0.0, 0.0, -np.linalg.norm(knee[0] - hip[0])])
        shift = hip + forward - knee
        for part in ("ankle", "heel", "toe", "knee"):
            points[:, POINTS.index(f"{side}_{part}")] += shift
    return points


def said(points, planted=PLANTED) -> list[str]:
    return gravity.doubts(points, WEIGHT, planted, gravity.tilt_deg(gravity.up_direction(points, WEIGHT)))


def test_nothing_to_say_of_a_person_who_stands():
    assert said(standing()) == []


def test_a_person_who_sits_from_the_first_frame_to_the_last():
    assert [text.split(";")[0] for text in said(seated())] == ["the person never stands with straight legs"]


@pytest.mark.parametrize("turn_deg", [-90.0, 90.0, 60.0])
def test_a_picture_on_its_side(turn_deg):
    turned = standing() @ Rotation.from_euler("z", turn_deg, degrees=True).as_matrix().T
    (text,) = said(turned)
    assert text.startswith(f"the picture is turned by {turn_deg:.0f} degrees")


def test_feet_that_never_rest():
    assert said(standing(), np.zeros_like(PLANTED)) == [
        "no foot is ever seen at rest; where the ground lies is a guess"
    ]
