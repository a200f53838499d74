"""The scene from contacts, on a motion that is known: a walk up three steps, then a seat."""

import numpy as np
import pytest

from vm_reconstruction.body_model import rest_positions, segment_quats
from vm_reconstruction.human_motion import JOINT_NAMES, HumanMotion
from vm_reconstruction.stages.scene import scene_of
from vm_reconstruction.stages.stances import intervals
from vm_reconstruction.stages.stillness import steady

HEIGHTS = (0.0, 0.0, 0.17, 0.34, 0.51, 0.51)


def climb(noise_m: float = 0.0) -> HumanMotion:
    """Feet take turns: each stands for 15 frames, 0.3 m ahead of the other, on the heights above."""
    frames_each, names = 15, list(JOINT_NAMES)
    total = frames_each * len(HEIGHTS)
    joints = np.tile(rest_positions(1.75), (total, 1, 1))
    contact = np.zeros((total, 3))
    for number, height in enumerate(HEIGHTS):
        side = ("left", "right")[number % 2]
        span = slice(number * frames_each, (number + 1) * frames_each)
        for part in ("ankle", "heel", "toe"):
            joints[span, names.index(f"{side}_{part}")] += [0.3 * number, 0.0, height]
        joints[span, names.index("pelvis")] += [0.3 * number, 0.0, height]
        contact[span, number % 2] = 1.0
    joints += np.random.default_rng(0).normal(0.0, noise_m, joints.shape) if noise_m else 0.0
    return HumanMotion(30.0, 1.75, joints, segment_quats(joints), contact, np.ones(total))


@pytest.mark.parametrize("noise_m", [0.0, 0.015])
def test_three_steps(noise_m):
    scene = scene_of(climb(noise_m))
    assert [box.label for box in scene.boxes] == ["step"] * 3
    assert [box.top for box in scene.boxes] == pytest.approx([0.17, 0.34, 0.51], abs=0.03)
    along = np.array([[0.3 * n, 0.09] for n in range(len(HEIGHTS))])
    assert scene.height_at(along) == pytest.approx(np.array(HEIGHTS), abs=0.04)
    assert scene.ground == pytest.approx((0.0, 0.0, 0.0), abs=0.04)


def test_flat_walk_has_no_boxes_and_no_contacts_no_crash():
    motion = climb()
    joints = motion.joint_pos_world.copy()
    for part in ("heel", "toe", "ankle"):
        for side in ("left", "right"):
            joints[:, JOINT_NAMES.index(f"{side}_{part}"), 2] = 0.0
    flat = HumanMotion(30.0, 1.75, joints, motion.joint_quat_wxyz_world, motion.contact, motion.confidence)
    assert scene_of(flat).boxes == ()
    assert (
        scene_of(
            HumanMotion(30.0, 1.75, joints, motion.joint_quat_wxyz_world, 0 * motion.contact, motion.confidence)
        ).boxes
        == ()
    )


def test_intervals_and_steady():
    flags = np.array([1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1], bool)
    assert intervals(flags) == [(0, 2), (4, 8), (9, 12), (15, 16)]
    assert intervals(steady(flags, 4, 1)) == [(0, 2), (4, 12), (15, 16)]  # runs at the ends may go on outside
