"""Robots on one planned motion, driven by targets, judged by its teacher: what walkers learn on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vm_core.errors import VmError
from vm_training.mdp.clip_tracking import ClipTracking, StartNoise
from vm_training.mdp.feet import PelvisOverFeet
from vm_training.mdp.observations import SensorNoise
from vm_training.mdp.operators import MOST_YAW_ERROR_RAD, ClipOperator, Operator
from vm_training.mdp.randomization import DomainRanges
from vm_training.mdp.walk_observations import WalkObserver
from vm_training.tasks.motion_folder import Motion
from vm_training.teachers.sampled_lqr import LqrTeacher

ACTION_SCALE_RAD = 0.25
MOST_ALONG_ERROR_M = 0.12
"""On edges the teacher sees where it is along the way up to this; the student sees it in the height grid."""


@dataclass(frozen=True)
class LaneConfig:
    """How robots and places differ.

    Attributes:
        num_envs: robots on a motion.
        ranges: of robots and places.
        start_noise: of resets.
        sensor_noise: on what the student sees.
        threads: of the physics.
    """

    num_envs: int = 32
    ranges: DomainRanges = field(default_factory=lambda: DomainRanges(box_height_m=0.004))
    start_noise: StartNoise = field(default_factory=StartNoise)
    sensor_noise: SensorNoise = field(default_factory=SensorNoise)
    threads: int = 2

    def __post_init__(self) -> None:
        if min(self.num_envs, self.threads) < 1:
            raise VmError(f"{self.num_envs} robots, {self.threads} threads; expected at least one of each")


@dataclass
class Lane:
    """Robots on one motion with its teacher."""

    motion: Motion
    teacher: LqrTeacher | None
    env: ClipTracking
    observer: WalkObserver

    def __post_init__(self) -> None:
        self.planned = PelvisOverFeet.of(self.env.reference_qpos)
        contact = self.motion.clip.contact
        self.bearing = contact / np.maximum(contact.sum(axis=1, keepdims=True), 1.0)

    def wanted(self) -> np.ndarray:
        """(N, J) [rad] targets that the teacher asks for, from no more than what the student can know."""
        assert self.teacher is not None
        env, error = self.env, self.knowable_error()
        return env.reference_target[env.clip_frame] + self.teacher.correction(env.frame, error)

    def knowable_error(self) -> np.ndarray:
        """(N, 58) error state with no place in the world: as if the feet that bear stood where the plan has them.

        On edges the grid says how far along the way they are off, and while a command lasts it says where to head.
        """
        env, error = self.env, self.env.error_state()
        at = env.clip_frame
        wanted = PelvisOverFeet(self.planned.xy[at], self.planned.yaw[at])
        over_feet, turned = PelvisOverFeet.of(np.nan_to_num(env.physics.qpos)).error(wanted, self.bearing[at])
        along = MOST_ALONG_ERROR_M if self.motion.scene.boxes else 0.0
        error[:, 0] = over_feet[:, 0] + np.clip(error[:, 0] - over_feet[:, 0], -along, along)
        error[:, 1] = over_feet[:, 1]
        share = self.observer.operator.share() if isinstance(self.observer.operator, ClipOperator) else 0.0
        yaw = share * error[:, 5] + (1.0 - share) * turned
        error[:, 5] = np.clip(yaw, -MOST_YAW_ERROR_RAD, MOST_YAW_ERROR_RAD)
        return error

    def act(self, target: np.ndarray) -> None:
        """One control period with targets (N, J) [rad]."""
        self.observer.last_action = (target - self.observer.default_joint_pos) / ACTION_SCALE_RAD
        self.env.step(target - self.env.reference_target[self.env.clip_frame])

    def reset(self, envs: np.ndarray, frames: np.ndarray) -> None:
        self.env.reset(envs, frames)
        self.observer.reset(envs)

    def fallen(self) -> np.ndarray:
        """(N,) bool: beyond what the teacher can judge."""
        return self.env.lost()


def make_lane(
    motion: Motion,
    teacher: LqrTeacher | None,
    default_joint_pos: np.ndarray,
    config: LaneConfig,
    seed: int,
    operator: Operator | None = None,
) -> Lane:
    """Robots of their own on a motion; without a teacher they can be watched but not taught.

    Args:
        motion: clip and scene.
        teacher: of the motion.
        default_joint_pos: (J,) [rad] that actions add to.
        config: how robots and places differ.
        seed: of everything random.
        operator: who commands them; by default one who follows the clip.
    """
    env = ClipTracking(
        motion.clip, motion.scene, config.num_envs, config.ranges, config.start_noise, seed, threads=config.threads
    )
    operator = operator or ClipOperator(env, motion.gait)
    return Lane(motion, teacher, env, WalkObserver(env, operator, default_joint_pos, config.sensor_noise))
