"""The pipeline's retargeting stage: human.npz and its scene → clip.npz, scene/, metrics, a video of the robot."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from tqdm import tqdm

from vm_core import g1
from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import BESIDE_CLIP, SceneAsset
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.retarget.all_frames import AllFrames
from vm_reconstruction.retarget.balance import support_at_rest
from vm_reconstruction.retarget.inverse_kinematics import ClipSolver
from vm_reconstruction.retarget.metrics import clip_metrics
from vm_reconstruction.retarget.pose_rows import Weights
from vm_reconstruction.retarget.scaling import robot_scale, scale_scene
from vm_reconstruction.retarget.targets import body_targets
from vm_sim.g1_model import load_g1_spec
from vm_sim.render import RenderConfig, render_video

HUMAN_SCENE = "stages/scene"
MIN_FRAMES = 3  # of which accelerations are made
STRAIGHT = 300.0  # 1/rad, so firmly that nothing is left when straight wrists become exactly straight
_WRISTS = np.array([g1.motor_index(name) for name in g1.WRIST_JOINT_NAMES])


@dataclass(frozen=True)
class RetargetResult:
    """The G1's clip, the scene at its scale, and figures of how well the one fits the other."""

    clip: MotionClip
    scene: SceneAsset
    metrics: dict[str, float]


def run_stage(out: Path, scale: str) -> RetargetResult:
    """Reads out/human.npz and the human-sized scene; writes clip.npz, scene/ and stages/retarget.json.

    Args:
        out: the pipeline's result folder.
        scale: "robot" shrinks scene and motion to the G1's leg length; "human" keeps the scene metric.
    """
    result = retarget(HumanMotion.load(out / "human.npz"), SceneAsset.load(out / HUMAN_SCENE), scale)
    result.clip.save(out / "clip.npz")
    result.scene.save(out / BESIDE_CLIP)
    with atomic_path(out / "stages" / "retarget.json") as temporary:
        temporary.write_text(json.dumps(result.metrics, indent=1))
    render_clip(result, out / "robot.mp4")
    return result


def render_clip(result: RetargetResult, path: Path) -> None:
    """Writes a video of the robot in its scene."""
    clip = result.clip
    qpos = np.column_stack([clip.root_pos_world, clip.root_quat_wxyz, clip.joint_pos])
    picture = RenderConfig(width=480, height=360, fps=min(clip.fps / 2, 15.0))  # a picture costs more than its IK
    render_video(np.arange(clip.num_frames) / clip.fps, qpos, result.scene, path, picture)


def retarget(motion: HumanMotion, scene: SceneAsset, scale: str = "robot", joints: int = 29) -> RetargetResult:
    """A person's motion in a human-sized scene to the G1.

    Args:
        motion: the person.
        scene: at the person's size.
        scale: "robot" or "human", as in `run_stage`.
        joints: 29, or 23 with straight wrists.

    Raises:
        VmError: fewer than MIN_FRAMES frames.
    """
    if motion.num_frames < MIN_FRAMES:
        raise VmError(f"a motion of {motion.num_frames} frames; expected at least {MIN_FRAMES} to retarget")
    leg_scale = robot_scale(motion)
    factor = leg_scale if scale == "robot" else 1.0
    robot_scene = scale_scene(scene, factor)
    targets = body_targets(motion, factor, robot_scene, leg_scale)
    model = load_g1_spec().compile()
    began = time.process_time()
    with tqdm(total=motion.num_frames, desc="retarget", unit="frame", leave=False) as bar:
        start = ClipSolver(model, robot_scene).solve(targets, motion.fps, bar.update)
        support = support_at_rest(motion, targets)
        weights = Weights(wrist_posture=STRAIGHT) if joints == 23 else Weights()
        shapes = load_g1_spec(collision="described").compile()
        qpos = AllFrames(shapes, robot_scene, targets, motion.fps, support, weights).solve(start)
    if joints == 23:
        qpos[:, 7 + _WRISTS] = 0.0
    seconds = time.process_time() - began
    clip = _clip(model, qpos, motion)
    metrics = clip_metrics(clip, robot_scene, targets)
    return RetargetResult(clip, robot_scene, {**metrics, "frames_per_s": motion.num_frames / seconds, "scale": factor})


def _clip(model: mujoco.MjModel, qpos: np.ndarray, motion: HumanMotion) -> MotionClip:
    data = mujoco.MjData(model)
    bodies = tuple(model.body(i).name for i in range(1, model.nbody))
    pos, quat = np.zeros((len(qpos), len(bodies), 3)), np.zeros((len(qpos), len(bodies), 4))
    for frame, q in enumerate(qpos):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        pos[frame], quat[frame] = data.xpos[1:], data.xquat[1:]
    return MotionClip(
        fps=motion.fps,
        joint_names=g1.MOTOR_NAMES,
        joint_pos=qpos[:, 7:],
        root_pos_world=qpos[:, :3],
        root_quat_wxyz=qpos[:, 3:7] / np.linalg.norm(qpos[:, 3:7], axis=-1, keepdims=True),
        body_names=bodies,
        body_pos_world=pos,
        body_quat_wxyz=quat,
        contact_names=motion.contact_names,
        contact=motion.contact,
        source="retargeted from a person's motion",
    )
