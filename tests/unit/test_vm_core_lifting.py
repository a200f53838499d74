"""The law that lifts a box between the palms: when it begins, what it asks for, what a pause does."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core import g1
from vm_core.errors import VmError
from vm_core.frames import quat_from_yaw, quat_multiply, quat_rotate, yawed
from vm_core.halting import PERIOD_S
from vm_core.keypoint_command import keypoints_of_joints
from vm_core.lifting import LEAD_S, PRESSES_M, SETTLES_S, SLOWS_S, SURE, Lifting, LiftPath

STAND = g1.DEFAULT_STAND_POSE[[g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]]
LEVEL, NONE = np.array([[1.0, 0.0, 0.0, 0.0]]), np.zeros((1, 3))
POINTS = keypoints_of_joints(NONE, LEVEL, STAND[None])[0]
SENSES = (LEVEL, NONE, STAND[None], np.zeros((1, 23)))
RUN, STOP, AHEAD, ASIDE = np.array([True]), np.array([False]), np.array([0.48]), np.array([0.0])
SQUAT, WIDE, NARROW = 0.5, 0.37, 0.18


def path_of(grasps: tuple[float, ...] = (0.35, 0.47)) -> LiftPath:
    """Stands, squats with the palms apart, closes them, stands: a second each; the palms are as far ahead as said."""
    heights, asides = (0.74, SQUAT, SQUAT, 0.74), (WIDE, WIDE, NARROW, NARROW)
    moments = [
        [
            [[-0.03, 0.0, h], [0.0, 0.0, h + 0.4], [ahead, a, 0.4 + h - SQUAT]]
            for h, a in zip(heights, asides, strict=True)
        ]
        for ahead in grasps
    ]
    every = [np.array(moment)[np.repeat(np.arange(4), 5)] for moment in moments]
    return LiftPath(grasps, tuple(np.stack(every).ravel().tolist()), 0.2, 2.0, 0.03, (0.5, 0.07))


def lifted(law: Lifting, seconds: float, run=RUN) -> np.ndarray:
    """The command after a time with the box where it is, of a robot that stands like a statue."""
    command = np.zeros((1, 18))
    for _ in range(round(seconds / PERIOD_S)):
        law.update(run, AHEAD, ASIDE)
        if law.begun[0]:
            command = law.command(run, *SENSES)
    return command


def wanted_points(command: np.ndarray) -> np.ndarray:
    """(6, 3) root, head, hands, feet that a command asks a statue for, from its pelvis [m]."""
    vectors = command.reshape(6, 3)
    return np.vstack([vectors[:1], vectors[:1] + vectors[1:] + POINTS])


def test_it_begins_once_the_box_has_been_within_reach_and_the_robot_at_rest():
    law = Lifting(path_of())
    for _ in range(SURE - 1):
        law.update(RUN, AHEAD, ASIDE)
    law.update(RUN, AHEAD + 0.1, ASIDE)  # a doubt: it counts anew
    assert not law.settles[0]
    for _ in range(SURE):
        law.update(RUN, AHEAD, ASIDE)
    assert law.settles[0] and not law.begun[0]
    lifted(law, 1.0, STOP)  # a pause counts for nothing
    lifted(law, SETTLES_S - 0.1)
    assert not law.begun[0]
    lifted(law, 0.2)
    assert law.begun[0] and not law.settles[0]
    law.reset(np.array([0]))
    assert not law.begun[0] and not law.settles[0]


@settings(max_examples=40)
@given(ahead=st.floats(-1.0, 2.0), aside=st.floats(-1.0, 1.0), run=st.booleans())
def test_a_box_out_of_reach_is_not_lifted(ahead, aside, run):
    law = Lifting(path_of())
    for _ in range(200):
        law.update(np.array([run]), np.array([ahead]), np.array([aside]))
    assert law.begun[0] == (run and 0.0 < ahead <= 0.5 and abs(aside) <= 0.07)


def test_it_leads_down_closes_the_palms_and_comes_up_again():
    law = Lifting(path_of())
    begins = SURE * PERIOD_S + SETTLES_S
    squat = wanted_points(lifted(law, begins + SLOWS_S + 1.3))
    ground = POINTS[3:, 2].min()
    assert squat[0, 2] - ground == pytest.approx(SQUAT)
    assert np.allclose(squat[2:4, 1], [WIDE, -WIDE], atol=0.01)
    pressed = wanted_points(lifted(law, 1.0))
    inside = np.abs(POINTS[1:3, 1]) - PRESSES_M
    assert np.allclose(np.abs(pressed[2:4, 1]), np.maximum(inside, NARROW), atol=0.01)
    up = wanted_points(lifted(law, 3.0))
    assert up[0, 2] - ground == pytest.approx(0.74) and np.allclose(lifted(law, 60.0), lifted(law, 1.0))
    assert np.allclose(up[4:, :2], POINTS[3:, :2])  # feet stay


def test_palms_close_where_the_box_is():
    """Its middle is 0.48 m ahead of the pelvis; the palms close 3 cm before it, as far as plans reach."""
    for ahead in (0.44, 0.48, 0.55):
        law, middle = Lifting(replace(path_of(), reach_m=(0.6, 0.07))), POINTS[3:, 0].mean()
        for _ in range(round(3.0 / PERIOD_S)):
            law.update(RUN, np.array([ahead]), ASIDE)
            command = law.command(RUN, *SENSES) if law.begun[0] else None
        expected = np.clip(ahead - 0.03 - middle, 0.35, 0.47) + middle
        assert wanted_points(command)[2, 0] == pytest.approx(expected, abs=1e-6)


def test_a_pause_holds_the_robot_where_it_is():
    law = Lifting(path_of())
    lifted(law, SURE * PERIOD_S + SETTLES_S + 1.0)
    held = lifted(law, 2.0 * SLOWS_S, STOP)
    assert np.allclose(held, lifted(law, 20.0, STOP)) and law.begun[0]
    assert not np.allclose(held, lifted(law, 1.0))


@settings(max_examples=8)
@given(yaw=st.floats(-3.0, 3.0), tilt=st.floats(-0.3, 0.3))
def test_any_heading_is_as_good_and_a_tilted_pelvis_changes_no_place(yaw, tilt):
    """What is asked for stands where the soles do, in the world's vertical."""
    lean = np.array([[np.cos(tilt / 2), 0.0, np.sin(tilt / 2), 0.0]])
    asked = []
    for turn in (0.0, yaw):
        law = Lifting(path_of())
        quat = quat_multiply(quat_from_yaw(np.array([turn])), lean)
        senses = (quat, NONE, STAND[None], np.zeros((1, 23)))
        for _ in range(round(3.0 / PERIOD_S)):
            law.update(RUN, AHEAD, ASIDE)
            command = law.command(RUN, *senses) if law.begun[0] else np.zeros((1, 18))
        asked.append(command)
    assert np.allclose(asked[0], asked[1], atol=1e-9)
    soles = quat_rotate(lean, POINTS[3:])
    assert asked[0][0, 2] == pytest.approx(SQUAT + soles[:, 2].min(), abs=1e-6)


def test_a_path_survives_its_file_and_bad_ones_are_named():
    path = path_of()
    assert LiftPath.from_raw(json.loads(json.dumps(asdict(path)))) == path
    assert path.places.shape == (2, 20, 3, 3)
    for change, said in (
        ({"grasps_m": (0.4,)}, "at least two"),
        ({"grasps_m": (0.4, 0.3)}, "rising"),
        ({"places_m": path.places_m[:-1]}, "9 a moment"),
        ({"places_m": (float("nan"), *path.places_m[1:])}, "metres"),
        ({"period_s": 0.0}, "0.02 to 0.5 s"),
    ):
        with pytest.raises(VmError, match=said):
            replace(path, **change)


def test_turned_about_the_vertical():
    assert np.allclose(yawed(np.array([[1.0, 0.0, 5.0]]), np.array([np.pi / 2])), [[0.0, 1.0, 5.0]])
    assert pytest.approx(0.2) == LEAD_S  # what trackers are taught
