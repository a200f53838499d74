"""Many robots that follow one clip: resets onto it, the error state, feed-forward targets, falls."""

from __future__ import annotations

from dataclasses import dataclass, field

import mujoco
import numpy as np

from vm_core import g1
from vm_core.errors import VmError
from vm_core.frames import quat_conjugate, quat_from_rotvec, quat_multiply, rotvec_from_quat, yaw_from_quat
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_sim.batch_physics import BatchPhysics
from vm_training.mdp.randomization import DomainRanges, build_model, vary_model

NUM_JOINTS = len(g1.POLICY_JOINT_NAMES)
NUM_SPEEDS = 6 + NUM_JOINTS
NUM_ERRORS = 2 * NUM_SPEEDS
ERROR_SCALE = np.concatenate(
    [np.full(3, 0.02), np.full(3, 0.03), np.full(NUM_JOINTS, 0.05)]
    + [np.full(3, 0.15), np.full(3, 0.4), np.full(NUM_JOINTS, 1.0)]
)
"""A usual size of each entry of the error state [m, rad, rad, m/s, rad/s, rad/s]."""
LOST_POSITION_M, LOST_TILT_RAD = 0.4, 0.7


@dataclass(frozen=True)
class StartNoise:
    """Standard deviations of a reset around the clip.

    Attributes:
        position_m: of the pelvis, horizontally.
        rotation_rad: of the pelvis, about each axis.
        joint_rad: of each joint.
        linear_m_s, angular_rad_s, joint_rad_s: of the velocities.
    """

    position_m: float = 0.01
    rotation_rad: float = 0.02
    joint_rad: float = 0.02
    linear_m_s: float = 0.05
    angular_rad_s: float = 0.1
    joint_rad_s: float = 0.1


@dataclass
class ClipTracking:
    """N robots on one clip; after the clip's end its last frame is held.

    Attributes:
        frame: (N,) index of each robot's current clip frame, counting on beyond the end.
        last_target: (N, J) the PD targets before.
        lost_m: distance from the clip [m] at which a robot cannot come back.
    """

    clip: MotionClip
    scene: SceneAsset
    num_envs: int
    ranges: DomainRanges = field(default_factory=DomainRanges)
    noise: StartNoise = field(default_factory=StartNoise)
    seed: int = 0
    collision: str = "spheres"
    timestep_s: float = 0.005
    threads: int = 2
    lost_m: float = LOST_POSITION_M

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        model = build_model(self.scene, collision=self.collision, timestep_s=self.timestep_s)
        self.model = model
        varied = [vary_model(model, self.ranges, self.rng) for _ in range(self.num_envs)]
        self.physics = BatchPhysics(varied, control_period_s=1.0 / self.clip.fps, threads=self.threads)
        assert check_model_order(model)
        clip = self.clip
        if clip.joint_names != g1.POLICY_JOINT_NAMES or clip.joint_target is None:
            raise VmError(
                f"clip of {len(clip.joint_names)} joints {'without' if clip.joint_target is None else 'with'} targets; "
                "tracking needs joint_target and the policy's 23 joints in their order"
            )
        self.reference_qpos = np.hstack([clip.root_pos_world, clip.root_quat_wxyz, clip.joint_pos])
        self.reference_qvel = np.hstack([clip.root_lin_vel_world, clip.root_ang_vel_body, clip.joint_vel])
        self.reference_target = clip.joint_target
        yaw = yaw_from_quat(clip.root_quat_wxyz)
        self._ahead, self._left = np.stack([np.cos(yaw), np.sin(yaw)], -1), np.stack([-np.sin(yaw), np.cos(yaw)], -1)
        self.frame = np.zeros(self.num_envs, dtype=int)
        self.last_target = np.zeros((self.num_envs, NUM_JOINTS))
        self._max_delay = self.ranges.delay_s / self.timestep_s

    @property
    def clip_frame(self) -> np.ndarray:
        """(N,) current frame inside the clip."""
        return np.minimum(self.frame, self.clip.num_frames - 1)

    def reset(self, envs: np.ndarray, frames: np.ndarray) -> None:
        """Puts robots (E,) near clip frames (E,)."""
        count, rng, noise = len(envs), self.rng, self.noise
        qpos, qvel = self.reference_qpos[frames].copy(), self.reference_qvel[frames].copy()
        qpos[:, :2] += rng.normal(0.0, noise.position_m, (count, 2))
        turn = quat_from_rotvec(rng.normal(0.0, noise.rotation_rad, (count, 3)))
        qpos[:, 3:7] = quat_multiply(qpos[:, 3:7], turn)
        qpos[:, 7:] += rng.normal(0.0, noise.joint_rad, (count, NUM_JOINTS))
        qvel[:, :3] += rng.normal(0.0, noise.linear_m_s, (count, 3))
        qvel[:, 3:6] += rng.normal(0.0, noise.angular_rad_s, (count, 3))
        qvel[:, 6:] += rng.normal(0.0, noise.joint_rad_s, (count, NUM_JOINTS))
        self.physics.reset(envs, qpos, qvel)
        self.frame[envs] = frames
        self.last_target[envs] = self.reference_target[frames]

    def error_state(self) -> np.ndarray:
        """(N, 58) minus the clip: pelvis position [m] and rotation vector [rad], joints [rad], then their velocities.

        Rotation and angular velocity in the pelvis frame, the rest in the heading frame of the clip: ahead, left, up.
        """
        at = self.clip_frame
        qpos, wanted = self.physics.qpos, self.reference_qpos[at]
        turn = rotvec_from_quat(quat_multiply(quat_conjugate(wanted[:, 3:7]), qpos[:, 3:7]))
        joints = qpos[:, 7:] - wanted[:, 7:]
        speed = self.physics.qvel - self.reference_qvel[at]
        speed[:, :3] = self._in_heading(speed[:, :3], at)
        return np.hstack([self._in_heading(qpos[:, :3] - wanted[:, :3], at), turn, joints, speed])

    def felt_n(self) -> np.ndarray:
        """(N, q) forces [N] that the clip does not expect and a teacher may know of; here none, q = 0."""
        return np.zeros((self.num_envs, 0))

    def _in_heading(self, world: np.ndarray, at: np.ndarray) -> np.ndarray:
        ahead, left = (world[:, :2] * self._ahead[at]).sum(axis=1), (world[:, :2] * self._left[at]).sum(axis=1)
        return np.column_stack([ahead, left, world[:, 2]])

    def step(self, correction: np.ndarray) -> None:
        """One control period with the clip's target plus corrections (N, J) [rad]."""
        target = self.planned_target() + correction
        delay = np.floor(self.rng.uniform(0.0, self._max_delay + 1.0, self.num_envs))
        self.advance(target, np.minimum(delay, self._max_delay))
        self.last_target = target
        self.frame += 1

    def planned_target(self) -> np.ndarray:
        """(N, J) [rad] of the clip at each robot's frame."""
        return self.reference_target[self.clip_frame]

    def advance(self, target: np.ndarray, delay: np.ndarray) -> None:
        """The physics of one control period with targets (N, J) [rad], `delay` (N,) physics steps late."""
        self.physics.step(target, self.last_target, delay)

    def lost(self) -> np.ndarray:
        """(N,) bool: too far from the clip to come back, or broken."""
        error = self.error_state()
        far = np.linalg.norm(error[:, :3], axis=1) > self.lost_m
        tilted = np.linalg.norm(error[:, 3:6], axis=1) > LOST_TILT_RAD
        return far | tilted | ~np.isfinite(error).all(axis=1)

    def push(self, envs: np.ndarray, velocity: np.ndarray) -> None:
        """Adds a pelvis velocity (E, 3) [m/s] to robots (E,)."""
        self.physics.qvel[envs, :3] += velocity


def check_model_order(model: mujoco.MjModel) -> bool:
    """Whether the compiled model's joints and actuators follow the policy's order, which slices here rely on."""
    joints = [model.joint(i).name for i in range(1, model.njnt)]
    return joints == list(g1.POLICY_JOINT_NAMES) and [model.actuator(i).name for i in range(model.nu)] == joints
