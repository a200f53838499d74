"""Real motion capture of a person who climbs, kneels and sits on boxes: read, retargeted, held to the goals."""

import os
from pathlib import Path

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.frames import yaw_from_quat
from vm_reconstruction.datasets.climb_mocap import load_sequence, sole_points
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.retarget import retarget

CLIMB = Path(os.environ.get("VM_SHARED_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "climb"
needs_climb = pytest.mark.skipif(not CLIMB.is_dir(), reason=f"no motion capture in {CLIMB} (set VM_SHARED_DATA)")


def part(motion: HumanMotion, start: int, end: int, step: int) -> HumanMotion:
    frames = slice(start, end, step)
    return HumanMotion(
        motion.fps / step,
        motion.height_m,
        motion.joint_pos_world[frames],
        motion.joint_quat_wxyz_world[frames],
        motion.contact[frames],
        motion.confidence[frames],
    )


@needs_climb
def test_sequence_has_its_boxes_and_soles_on_them():
    motion, scene = load_sequence(CLIMB / "seq_0")
    assert motion.num_frames == 2801 and motion.fps == 120.0 and 1.6 < motion.height_m < 1.85
    assert sorted(round(box.top, 2) for box in scene.boxes) == [0.18, 0.47, 0.95]
    for column, side in enumerate(("left", "right")):
        planted = motion.contact[:, column] > 0.5
        middle = 0.5 * (motion.joint(f"{side}_heel") + motion.joint(f"{side}_toe"))[planted]
        gap = middle[:, 2] - scene.height_at(middle[:, :2])
        assert abs(np.median(gap)) < 0.02
    feet_hang = slice(1040, 1120)  # the person kneels, the toes over the edge
    assert not motion.contact[feet_hang, :2].any()
    assert motion.contact[1900:2200, 2].all()  # sits on the edge of the highest box


@needs_climb
def test_climbing_at_the_rate_of_videos_keeps_the_robot_out_of_the_boxes():
    motion, scene = load_sequence(CLIMB / "seq_0")
    metrics = retarget(part(motion, 560, 2360, 4), scene).metrics
    assert metrics["penetration_max_m"] < 0.02
    assert metrics["stance_skate_mean_m_s"] < 0.05 and metrics["stance_skate_p95_m_s"] < 0.05
    assert metrics["joint_limit_violations"] == 0
    assert metrics["foot_error_mean_m"] < 0.01


@needs_climb
def test_a_person_who_faces_backwards_at_the_start():
    motion, scene = load_sequence(CLIMB / "seq_2")
    result = retarget(part(motion, 0, 60, 4), scene)
    heading = yaw_from_quat(motion.joint_quat_wxyz_world[0, motion.joint_names.index("pelvis")])
    turned = yaw_from_quat(result.clip.root_quat_wxyz[0]) - heading
    assert abs(np.arctan2(np.sin(turned), np.cos(turned))) < 0.2
    assert result.metrics["foot_error_mean_m"] < 0.005


def test_soles_lie_under_level_and_under_turned_feet():
    knee, ankle, toe_base = np.array([[0.0, 0, 0.54]]), np.array([[0.0, 0, 0.09]]), np.array([[0.147, 0, 0.03]])
    heel, toe = sole_points(knee, ankle, toe_base, 0.25)
    np.testing.assert_allclose(np.concatenate([heel, toe])[:, 1:], 0.0, atol=1e-3)
    assert heel[0, 0] < 0.0 < toe[0, 0]
    np.testing.assert_allclose(toe[0, 0] - heel[0, 0], 0.25, atol=1e-6)
    turn = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])  # toes down
    heel_down, toe_down = sole_points(knee @ turn.T, ankle @ turn.T, toe_base @ turn.T, 0.25)
    np.testing.assert_allclose(np.concatenate([heel_down, toe_down]), np.concatenate([heel, toe]) @ turn.T, atol=1e-9)


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(VmError, match="lacks joint_positions.npy and multi_boxes.obj"):
        load_sequence(tmp_path)
    (tmp_path / "multi_boxes.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    np.save(tmp_path / "joint_positions.npy", np.zeros((3, 53, 3)))
    with pytest.raises(VmError, match="expected upright boxes"):
        load_sequence(tmp_path)
    corners = [f"v {x} {y} {z}" for x in (0, 1) for y in (0, 2) for z in (0, 0.5)]
    faces = ["f 1 3 4 2", "f 5 6 8 7", "f 1 2 6 5", "f 3 7 8 4", "f 2 4 8 6", "f 1 5 7 3"]
    (tmp_path / "multi_boxes.obj").write_text("\n".join(corners + faces) + "\n")
    np.save(tmp_path / "joint_positions.npy", np.zeros((3, 22, 3)))
    with pytest.raises(VmError, match=r"shape \(3, 22, 3\); expected \(T, 53, 3\)"):
        load_sequence(tmp_path)
