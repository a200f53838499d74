"""Retargeting: planted feet stay, soles stay above surfaces, limits hold, scales are right."""

import numpy as np
import pytest

from vm_core import g1
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.human_motion import JOINT_NAMES, HumanMotion
from vm_reconstruction.retarget.clearance import SceneSurfaces
from vm_reconstruction.retarget.feet import foot_path, runs, sole_corners_world
from vm_reconstruction.retarget.scaling import ROBOT_HIP_TO_SOLE_M, hip_to_sole, robot_scale, scale_scene
from vm_reconstruction.retarget.stage import retarget

FPS = 30.0
REST = {  # a person of 1.75 m, upright, facing +x [m]
    **{
        "pelvis": (0, 0, 0.93),
        "spine": (0, 0, 1.05),
        "chest": (0, 0, 1.25),
        "neck": (0, 0, 1.48),
        "head": (0, 0, 1.65),
    },
    **{f"{s}_hip": (0, y, 0.92) for s, y in (("left", 0.09), ("right", -0.09))},
    **{f"{s}_knee": (0.02, y, 0.50) for s, y in (("left", 0.09), ("right", -0.09))},
    **{f"{s}_ankle": (0, y, 0.08) for s, y in (("left", 0.09), ("right", -0.09))},
    **{f"{s}_toe": (0.18, y, 0.0) for s, y in (("left", 0.09), ("right", -0.09))},
    **{f"{s}_heel": (-0.06, y, 0.0) for s, y in (("left", 0.09), ("right", -0.09))},
    **{f"{s}_shoulder": (0, y, 1.42) for s, y in (("left", 0.18), ("right", -0.18))},
    **{f"{s}_elbow": (0, y, 1.12) for s, y in (("left", 0.20), ("right", -0.20))},
    **{f"{s}_wrist": (0.05, y, 0.86) for s, y in (("left", 0.20), ("right", -0.20))},
}
LEFT_FOOT = [JOINT_NAMES.index(f"left_{n}") for n in ("ankle", "toe", "heel", "knee")]


def standing(frames: int = 60) -> tuple[np.ndarray, np.ndarray]:
    joints = np.tile(np.array([REST[n] for n in JOINT_NAMES], dtype=float), (frames, 1, 1))
    return joints, np.tile([1.0, 1.0, 0.0], (frames, 1))


def motion_of(joints: np.ndarray, contact: np.ndarray) -> HumanMotion:
    quat = np.zeros((*joints.shape[:2], 4))
    quat[..., 0] = 1.0
    return HumanMotion(FPS, 1.75, joints, quat, contact, np.ones(len(joints)))


def stepping_up(rise: float = 0.15) -> tuple[HumanMotion, SceneAsset]:
    """The left foot goes onto a step in front of the person."""
    joints, contact = standing()
    t = np.clip((np.arange(60) - 15) / 25, 0, 1)
    move = np.stack([0.35 * t, 0 * t, rise * t + 0.05 * np.sin(np.pi * t)], axis=-1)
    joints[:, LEFT_FOOT] += move[:, None] * np.array([1, 1, 1, 0.5])[None, :, None]
    contact[15:41, 0] = 0.0
    return motion_of(joints, contact), SceneAsset(
        boxes=(SceneBox((0.5, 0, rise / 2), (0.3, 0.5, rise / 2), label="step"),)
    )


def test_scales():
    motion, scene = stepping_up()
    factor = robot_scale(motion)
    assert factor * hip_to_sole(motion) == pytest.approx(ROBOT_HIP_TO_SOLE_M)
    smaller = scale_scene(scene, factor)
    assert smaller.boxes[0].top == pytest.approx(0.15 * factor) and smaller.scale == pytest.approx(factor)


def test_planted_feet_do_not_move_and_swings_do_not_jump():
    motion, scene = stepping_up()
    path = foot_path(motion, "left", 1.0, scene)
    assert runs(path.planted) == [(0, 15), (41, 60)]
    for start, end in runs(path.planted):
        assert np.ptp(path.pos_world[start:end], axis=0).max() < 1e-12
    assert np.abs(np.diff(path.pos_world, axis=0)).max() < 0.08


def test_no_corner_of_the_sole_is_below_a_surface():
    motion, scene = stepping_up()
    path = foot_path(motion, "left", 1.0, scene)
    corners = sole_corners_world(path.pos_world, path.quat_wxyz)
    surface = scene.height_at(corners.reshape(-1, 3)[:, :2]).reshape(corners.shape[:2])
    assert (corners[..., 2] - surface).min() > -1e-9


@pytest.mark.parametrize("scale", ["robot", "human"])
def test_clip_keeps_limits_and_stance(scale):
    motion, scene = stepping_up()
    result = retarget(motion, scene, scale)
    clip, metrics = result.clip, result.metrics
    assert clip.num_frames == 60 and clip.joint_names == g1.MOTOR_NAMES
    assert np.all(clip.joint_pos >= g1.JOINT_LOWER) and np.all(clip.joint_pos <= g1.JOINT_UPPER)
    assert metrics["stance_skate_p95_m_s"] < 0.05 and metrics["penetration_max_m"] < 0.02
    assert np.ptp(clip.joint_pos, axis=0).max() > 0.1  # it moves: a solver that leaves joints at zero must not pass
    assert result.scene.scale == pytest.approx(robot_scale(motion) if scale == "robot" else 1.0)


def test_limbs_stay_out_of_a_box_that_the_person_reaches_into():
    joints, contact = standing()
    t = np.clip(np.arange(60) / 30, 0, 1)[:, None]
    for side in ("left", "right"):  # arms reach forward to where the box is, the knees bend toward it
        joints[:, JOINT_NAMES.index(f"{side}_elbow")] += t * [0.25, 0, 0.05]
        joints[:, JOINT_NAMES.index(f"{side}_wrist")] += t * [0.45, 0, 0.05]
        joints[:, JOINT_NAMES.index(f"{side}_knee")] += t * [0.15, 0, 0]
    scene = SceneAsset(boxes=(SceneBox((0.6, 0, 0.5), (0.35, 0.5, 0.5), label="step"),))
    metrics = retarget(motion_of(joints, contact), scene, "human").metrics
    assert metrics["penetration_max_m"] < 0.02 and metrics["joint_limit_violations"] == 0
    assert metrics["stance_skate_p95_m_s"] < 0.05


def test_toes_that_point_down_do_not_turn_the_foot_around():
    joints, contact = standing()
    contact[:, 0] = 0.0
    pitch = np.linspace(0.0, 1.9, 60)  # past straight down
    ankle = joints[:, JOINT_NAMES.index("left_ankle")] + [0, 0, 0.4]
    for name, (x, z) in {"heel": (-0.06, -0.08), "toe": (0.18, -0.08)}.items():
        c, s = np.cos(pitch), np.sin(pitch)
        turned = np.stack([c * x + s * z, np.zeros(60), -s * x + c * z], axis=-1)
        joints[:, JOINT_NAMES.index(f"left_{name}")] = ankle + turned
    path = foot_path(motion_of(joints, contact), "left", 1.0, SceneAsset())
    cosine = np.abs(np.sum(path.quat_wxyz[1:] * path.quat_wxyz[:-1], axis=-1))
    assert np.degrees(2 * np.arccos(np.clip(cosine, 0, 1))).max() < 4.0


def test_a_short_lift_between_two_stances_does_not_jump():
    joints, contact = standing()
    joints[31:, LEFT_FOOT] += [0.0, 0.06, 0.0]
    joints[29:31, LEFT_FOOT] += [[[0.0, 0.02, 0.02]], [[0.0, 0.04, 0.02]]]
    contact[28:32, 0] = 0.0
    path = foot_path(motion_of(joints, contact), "left", 1.0, SceneAsset())
    assert np.abs(np.diff(path.pos_world[:, 1])).max() < 0.03


def test_distances_to_surfaces():
    scene = SceneAsset(boxes=(SceneBox((1.0, 0, 0.25), (0.5, 1.0, 0.25), yaw=np.pi / 2),))  # 2 m along x
    points = np.array([[1.0, 0, 0.6], [1.0, 0, 0.45], [1.9, 0, 0.1], [2.3, 0, 0.9], [1.0, 0, 0.02]])
    distance, normal = SceneSurfaces(scene).distances(points)
    np.testing.assert_allclose(distance[:, 0], points[:, 2])
    np.testing.assert_allclose(distance[:, 1], [0.1, -0.05, -0.1, 0.5, -0.48], atol=1e-9)
    expected = [[0, 0, 1], [0, 0, 1], [1, 0, 0], [0.6, 0, 0.8], [0, 0, 1]]
    np.testing.assert_allclose(normal[:, 1], expected, atol=1e-9)
