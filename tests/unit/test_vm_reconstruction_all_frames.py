"""The retargeter's all-frames problem: kinematics and Jacobians agree with MuJoCo, shapes with its collisions."""

import mujoco
import numpy as np
import pytest
from test_vm_reconstruction_retarget import FPS, motion_of, standing

from vm_core import g1
from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.human_motion import JOINT_NAMES
from vm_reconstruction.retarget.balance import support_at_rest
from vm_reconstruction.retarget.collision_shapes import CollisionShapes
from vm_reconstruction.retarget.robot_tree import FRAME_SIZE, Motion, RobotTree
from vm_reconstruction.retarget.stage import retarget
from vm_reconstruction.retarget.targets import body_targets
from vm_reconstruction.retarget.variants import Variant, at_rate
from vm_sim.g1_model import load_g1_spec


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return load_g1_spec(collision="described").compile()


def random_motion(seed: int, frames: int) -> Motion:
    rng = np.random.default_rng(seed)
    quat = rng.normal(size=(frames, 4))
    joints = rng.uniform(g1.JOINT_LOWER, g1.JOINT_UPPER, (frames, 29))
    qpos = np.column_stack([rng.normal(size=(frames, 3)), quat / np.linalg.norm(quat, axis=1, keepdims=True), joints])
    return Motion.from_qpos(qpos)


def test_links_and_center_of_mass_are_mujocos(model):
    motion, tree, data = random_motion(0, 4), RobotTree(model), mujoco.MjData(model)
    links = tree.links(motion)
    center, _ = tree.center_of_mass(links, np.arange(4))
    for frame in range(4):
        data.qpos[:] = motion.qpos[frame]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        np.testing.assert_allclose(links.pos[frame], data.xpos, atol=1e-9)
        np.testing.assert_allclose(links.rot[frame].reshape(-1, 9), data.xmat, atol=1e-9)
        np.testing.assert_allclose(center[frame], data.subtree_com[1], atol=1e-9)


def test_jacobians_are_differences(model):
    motion, tree = random_motion(1, 1), RobotTree(model)
    zero, body, local = np.zeros(1, dtype=int), np.array([model.nbody - 1]), np.array([[0.1, 0.02, 0.0]])
    links = tree.links(motion)
    at = links.points(zero, body, local)
    point, (center, mass) = tree.point_jacobian(links, zero, body, at)[0], tree.center_of_mass(links, zero)
    for k in range(FRAME_SIZE):
        step = np.zeros((1, FRAME_SIZE))
        step[0, k] = 1e-6
        moved = tree.links(motion.moved(step))
        np.testing.assert_allclose(point[:, k], (moved.points(zero, body, local) - at)[0] / 1e-6, atol=1e-5)
        np.testing.assert_allclose(mass[0, :, k], (tree.center_of_mass(moved, zero)[0] - center)[0] / 1e-6, atol=1e-5)


def test_depths_among_the_robots_shapes_are_mujocos(model):
    motion, data = random_motion(2, 30), mujoco.MjData(model)
    shapes = CollisionShapes(model)
    links = RobotTree(model).links(motion)
    near = shapes.between(links, *shapes.possible_pairs(links, 0.0))
    for frame in range(30):
        data.qpos[:] = motion.qpos[frame]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_collision(model, data)
        ours = near.gap[near.frames == frame].min(initial=0.0)
        # MuJoCo gives nearly parallel capsules several contacts and rounds none
        assert ours == pytest.approx(min([c.dist for c in data.contact], default=0.0), abs=1e-4)


def crossed_arms() -> np.ndarray:
    joints, _ = standing()
    for side, sign in (("left", 1.0), ("right", -1.0)):  # elbows and hands through the chest, to the other side
        joints[:, JOINT_NAMES.index(f"{side}_elbow")] = [0.05, 0.05 * sign, 1.2]
        joints[:, JOINT_NAMES.index(f"{side}_wrist")] = [0.05, -0.2 * sign, 1.25]
    return joints


def test_arms_through_the_trunk_are_kept_out_of_it():
    metrics = retarget(motion_of(crossed_arms(), standing()[1]), SceneAsset()).metrics
    assert metrics["self_collision_share"] < 0.01 and metrics["joint_limit_violations"] == 0


def test_a_jerk_becomes_calm():
    joints, contact = standing()
    wrist = JOINT_NAMES.index("left_wrist")
    joints[30:, wrist] += [0.25, 0.1, 0.25]
    joints[30:, JOINT_NAMES.index("left_elbow")] += [0.1, 0.1, 0.05]
    clip = retarget(motion_of(joints, contact), SceneAsset()).clip
    assert np.abs(np.diff(clip.joint_pos, n=2, axis=0)).max() * FPS**2 < 80.0


def test_standing_still_the_mass_is_over_the_feet():
    joints, contact = standing()
    upper = [JOINT_NAMES.index(n) for n in JOINT_NAMES if not n.endswith(("toe", "heel", "ankle", "knee"))]
    joints[:, upper] += np.array([0.28, 0.0, -0.03])  # the person leans: hips far in front of the toes
    motion = motion_of(joints, contact)
    clip = retarget(motion, SceneAsset()).clip
    support = support_at_rest(motion, body_targets(motion, 0.72, SceneAsset(), 0.72))
    assert len(support.frames) == 60
    tree = RobotTree(load_g1_spec(collision="described").compile())
    qpos = np.column_stack([clip.root_pos_world, clip.root_quat_wxyz, clip.joint_pos])
    center, _ = tree.center_of_mass(tree.links(Motion.from_qpos(qpos)), support.frames)
    assert support.distance(center)[0].max() < 0.03


def test_seat_and_hands_lie_on_their_surfaces():
    joints, contact = standing()
    contact[:, 2] = 1.0
    for name in JOINT_NAMES:  # hips onto 0.45 m, thighs level, hands beside the hips
        if not any(part in name for part in ("toe", "heel", "ankle", "knee")):
            joints[:, JOINT_NAMES.index(name)] += [-0.40, 0.0, -0.37]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        joints[:, JOINT_NAMES.index(f"{side}_elbow")] = [-0.45, 0.28 * sign, 0.74]
        joints[:, JOINT_NAMES.index(f"{side}_wrist")] = [-0.38, 0.32 * sign, 0.54]
    scene = SceneAsset(boxes=(SceneBox((-0.5, 0, 0.235), (0.3, 0.6, 0.235), label="bench"),))
    result = retarget(motion_of(joints, contact), scene)
    clip, top = result.clip, result.scene.boxes[0].top
    hips = clip.body_pos_world[:, clip.body_names.index("left_hip_yaw_link"), 2]
    assert abs(np.median(hips) - top - 0.07) < 0.05
    assert result.metrics["penetration_max_m"] < 0.01


def test_variants():
    joints, contact = standing()
    joints[:, :, 0] += np.linspace(0, 1, 60)[:, None]
    joints[:, JOINT_NAMES.index("left_wrist"), 2] += 0.3
    motion = motion_of(joints, contact)
    scene = SceneAsset(boxes=(SceneBox((1.0, 0.4, 0.1), (0.2, 0.3, 0.1), yaw=0.3),))
    mirrored, mirror_scene = Variant(mirrored=True).apply(motion, scene)
    np.testing.assert_allclose(mirrored.joint("right_wrist"), motion.joint("left_wrist") * [1, -1, 1], atol=1e-12)
    assert mirror_scene.boxes[0].center_world[1] == -0.4 and mirror_scene.boxes[0].yaw == -0.3
    again, _ = Variant(mirrored=True).apply(mirrored, mirror_scene)
    np.testing.assert_allclose(again.joint_quat_wxyz_world, motion.joint_quat_wxyz_world)
    fast, _ = Variant(speed=2.0).apply(motion, scene)
    assert fast.fps == FPS and abs(fast.duration_s - motion.duration_s / 2) <= 1 / FPS
    small, small_scene = Variant(size=0.5).apply(motion, scene)
    assert small.height_m == pytest.approx(motion.height_m / 2) and small_scene.boxes[0].top == pytest.approx(0.1)
    assert at_rate(motion, 15.0).num_frames == 30
    with pytest.raises(VmError, match="--speed 9"):
        Variant(speed=9.0)
