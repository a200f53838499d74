"""How well a clip fits its scene: skating stances, bodies inside surfaces, joints at and beyond their limits."""

from __future__ import annotations

import mujoco
import numpy as np

from vm_core import g1
from vm_core.frames import quat_rotate
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.retarget.collision_shapes import CollisionShapes
from vm_reconstruction.retarget.feet import sole_corners_world
from vm_reconstruction.retarget.robot_tree import Motion, RobotTree
from vm_reconstruction.retarget.targets import HAND_POINT, BodyTargets
from vm_sim.g1_model import load_g1_spec
from vm_sim.terrain import add_scene

SELF_DEPTH_M = 0.005  # two parts of the robot deeper in each other than this collide
_LIMIT_TOLERANCE_RAD = 1e-6


def clip_metrics(clip: MotionClip, scene: SceneAsset, targets: BodyTargets) -> dict[str, float]:
    """Skate of planted feet [m/s], penetration of the whole body [m], errors of feet and hands [m], joints."""
    errors = []
    for side, body in zip(("left", "right"), g1.FOOT_BODIES, strict=True):
        pos = clip.body_pos_world[:, clip.body_names.index(body)]
        errors.append(np.linalg.norm(pos - targets.feet[side].pos_world, axis=-1))
    speed, depth = stance_speeds(clip, targets), penetration(clip, scene)
    near = _self_gaps(clip)
    acceleration = np.abs(np.diff(clip.joint_pos, n=2, axis=0)) * clip.fps**2
    below, above = g1.JOINT_LOWER - clip.joint_pos, clip.joint_pos - g1.JOINT_UPPER
    beyond = np.maximum(below, above)
    return {
        "stance_skate_mean_m_s": float(speed.mean()),
        "stance_skate_p95_m_s": float(np.percentile(speed, 95)),
        "penetration_max_m": float(depth.max()),
        "penetration_p99_m": float(np.percentile(depth, 99)),
        "foot_error_mean_m": float(np.mean(errors)),
        "hand_error_mean_m": _hand_error(clip, targets),
        "self_collision_share": float((near < -SELF_DEPTH_M).mean()),
        "self_collision_max_m": float(max(-near.min(initial=0.0), 0.0)),
        "joint_acceleration_p99_rad_s2": float(np.percentile(acceleration, 99)) if acceleration.size else 0.0,
        "joints_at_limit_share": float((beyond >= -_LIMIT_TOLERANCE_RAD).mean()),
        "joint_limit_violations": int((beyond > _LIMIT_TOLERANCE_RAD).sum()),
    }


def _hand_error(clip: MotionClip, targets: BodyTargets) -> float:
    errors = []
    for side, goal in targets.hands.items():
        wrist = clip.body_names.index(f"{side}_wrist_yaw_link")
        knuckles = clip.body_pos_world[:, wrist] + quat_rotate(clip.body_quat_wxyz[:, wrist], HAND_POINT[None])
        errors.append(np.linalg.norm(knuckles - goal, axis=-1))
    return float(np.mean(errors))


def _self_gaps(clip: MotionClip) -> np.ndarray:
    """Smallest gap (T,) [m] between two of the robot's own capsules, negative where they are inside each other."""
    model = load_g1_spec(collision="described").compile()
    shapes = CollisionShapes(model)
    qpos = np.column_stack([clip.root_pos_world, clip.root_quat_wxyz, clip.joint_pos])
    links = RobotTree(model).links(Motion.from_qpos(qpos))
    frames, pairs = shapes.possible_pairs(links, 0.0)
    gaps = np.zeros(clip.num_frames)
    np.minimum.at(gaps, frames, shapes.between(links, frames, pairs).gap)
    return gaps


def stance_speeds(clip: MotionClip, targets: BodyTargets) -> np.ndarray:
    """Horizontal speeds (N,) [m/s] of the soles' centres in the frames whose neighbours are planted too."""
    speeds = []
    for side, body in zip(("left", "right"), g1.FOOT_BODIES, strict=True):
        index = clip.body_names.index(body)
        corners = sole_corners_world(clip.body_pos_world[:, index], clip.body_quat_wxyz[:, index])
        velocity = np.gradient(corners.mean(axis=1)[:, :2], 1 / clip.fps, axis=0)
        planted = targets.feet[side].planted
        inside = planted & np.roll(planted, 1) & np.roll(planted, -1)
        speeds.append(np.linalg.norm(velocity, axis=-1)[inside])
    return np.concatenate(speeds) if any(map(len, speeds)) else np.zeros(1)


def penetration(clip: MotionClip, scene: SceneAsset) -> np.ndarray:
    """Deepest contact (T,) [m] between any collision geom of the robot and the scene, by MuJoCo; 0 where none."""
    spec = load_g1_spec(collision="full")
    add_scene(spec, scene)
    model = spec.compile()
    data = mujoco.MjData(model)
    fixed = model.geom_bodyid == 0
    depth = np.zeros(clip.num_frames)
    for frame in range(clip.num_frames):
        data.qpos[:] = np.r_[clip.root_pos_world[frame], clip.root_quat_wxyz[frame], clip.joint_pos[frame]]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_collision(model, data)
        with_scene = fixed[data.contact.geom].sum(axis=-1) == 1
        depth[frame] = max(0.0, -data.contact.dist[with_scene].min(initial=0.0))
    return depth
