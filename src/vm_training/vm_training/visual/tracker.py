"""What a keypoint tracker sees and does: robots on a planned motion that are told of it by 18 numbers only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vm_core import keypoint_command as kc
from vm_core.errors import VmError
from vm_core.frames import heading_quat, quat_from_rotvec, quat_multiply, quat_rotate_inverse
from vm_core.observation import build_terms
from vm_core.observation_terms import ObservationInputs
from vm_core.policy_contract import ObservationTerm
from vm_sim.batch_kinematics import BatchKinematics
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.observations import DEFAULT_JOINT_POS, SensorNoise
from vm_training.mdp.randomization import DomainRanges
from vm_training.teachers.sampled_lqr import LqrTeacher
from vm_training.visual.loaded_tracking import Surprises
from vm_training.visual.planned_motion import PlannedMotion
from vm_training.visual.shared_teacher import make_env

HISTORY = 10
COMMAND_TERM = "keypoint_command"
LEAD_S = 0.2
"""The command tells of the motion so far ahead: with no lead it would be zero for a robot that follows well."""
PROPRIOCEPTION = (
    ObservationTerm("base_ang_vel", 3, (0.5,), history_length=HISTORY),
    ObservationTerm("projected_gravity", 3, (4.0,), history_length=HISTORY),
    ObservationTerm("joint_pos_rel", NUM_JOINTS, (3.0,), history_length=HISTORY),
    ObservationTerm("joint_vel_rel", NUM_JOINTS, (0.3,), (-20.0, 20.0), history_length=HISTORY),
    ObservationTerm("last_action", NUM_JOINTS, (0.5,), history_length=HISTORY),
)
TRACKER_TERMS = (
    *PROPRIOCEPTION,
    ObservationTerm(COMMAND_TERM, kc.COMMAND_SIZE, (10.0,), (-1.0, 1.0), history_length=HISTORY),
)
OBSERVATION_SIZE = sum(term.size * term.history_length for term in TRACKER_TERMS)
ACTION_SCALE_RAD, ACTION_CLIP = 0.25, 12.0
Axes = Literal["world", "local"]


@dataclass(frozen=True)
class TrackerSight:
    """How commands are made and disturbed.

    Attributes:
        command_noise: each number is multiplied by its own factor within 1 ± this; 0.5 is the paper's.
        factor_holds_s: mean time that a factor lasts.
        axes: of the differences; "world": turning shows in them; "local": each from its own root's heading (ablation).
        lead_s: how far ahead the motion is told.
        sensors: noise on the rest.
    """

    command_noise: float = 0.5
    factor_holds_s: float = 0.5
    axes: Axes = "world"
    lead_s: float = LEAD_S
    sensors: SensorNoise = field(default_factory=SensorNoise)

    def __post_init__(self) -> None:
        if not 0.0 <= self.command_noise < 1.0 or self.factor_holds_s <= 0.0 or self.lead_s < 0.0:
            raise VmError(f"{self}: expected noise in [0, 1), a positive time that factors last, a lead from 0")


def command_between(
    desired_root: np.ndarray,
    desired_quat: np.ndarray,
    desired_points: np.ndarray,
    root: np.ndarray,
    quat: np.ndarray,
    points: np.ndarray,
    axes: Axes,
) -> np.ndarray:
    """(N, 18) [m] in the axes of the pelvis' heading.

    Args:
        desired_root, root: (N, 3) [m].  desired_quat, quat: (N, 4).
        desired_points, points: (N, 5, 3) keypoints [m], all in the world.
        axes: see TrackerSight.
    """
    heading = heading_quat(quat)
    if axes == "world":
        return kc.keypoint_command(desired_root, desired_points, root, points, heading)
    turn = heading_quat(desired_quat)[:, None]
    wanted = quat_rotate_inverse(turn, desired_points - desired_root[:, None])
    relative = wanted - quat_rotate_inverse(heading[:, None], points - root[:, None])
    ahead = quat_rotate_inverse(heading, desired_root - root)[:, None]
    return np.concatenate([ahead, relative], axis=1).reshape(len(root), kc.COMMAND_SIZE)


@dataclass
class CommandMoments:
    """Running mean and deviation of the commands that a tracker was shown.

    Attributes:
        count, total, squares: of what was added; (18,) [m], [m²].
    """

    count: float = 0.0
    total: np.ndarray = field(default_factory=lambda: np.zeros(kc.COMMAND_SIZE))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(kc.COMMAND_SIZE))

    def add(self, command: np.ndarray) -> None:
        """Adds commands (N, 18) [m]."""
        self.count += len(command)
        self.total += command.sum(axis=0)
        self.squares += (command**2).sum(axis=0)

    def statistics(self) -> kc.CommandStatistics:
        """As exported."""
        mean = self.total / self.count
        deviation = np.sqrt(np.maximum(self.squares / self.count - mean**2, 1e-8))
        return kc.CommandStatistics(tuple(mean.tolist()), tuple(deviation.tolist()))


class Proprioceptor:
    """Histories of a robot's own senses for N robots; used by trackers and generators.

    Attributes:
        last_action: (N, J) raw.
    """

    def __init__(self, terms: tuple[ObservationTerm, ...], count: int, noise: SensorNoise) -> None:
        self.terms, self.noise = terms, noise
        self.last_action = np.zeros((count, NUM_JOINTS))
        self._history = {t.name: np.zeros((count, t.history_length, t.size)) for t in terms}
        self._fresh = np.ones(count, dtype=bool)

    def reset(self, envs: np.ndarray) -> None:
        """Forgets the past of robots (E,)."""
        self._fresh[envs] = True
        self.last_action[envs] = 0.0

    def sense(self, qpos: np.ndarray, qvel: np.ndarray, rng: np.random.Generator) -> ObservationInputs:
        """What the sensors say of configurations (N, 30) and velocities (N, 29)."""
        noise, count = self.noise, len(qpos)
        tilt = quat_from_rotvec(rng.normal(0.0, noise.tilt_rad, (count, 3)))
        return ObservationInputs(
            joint_pos=qpos[:, 7:] + rng.normal(0.0, noise.joint_rad, (count, NUM_JOINTS)),
            joint_vel=qvel[:, 6:] + rng.normal(0.0, noise.joint_rad_s, (count, NUM_JOINTS)),
            default_joint_pos=DEFAULT_JOINT_POS,
            root_quat_wxyz=quat_multiply(qpos[:, 3:7], tilt),
            root_ang_vel_body=qvel[:, 3:6] + rng.normal(0.0, noise.gyro_rad_s, (count, 3)),
            last_action=self.last_action,
        )

    def observe(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """(N, inputs) in the order of the terms, oldest frame of a term first.

        Args:
            values: by term, scaled and clipped.
        """
        for name, frames in self._history.items():
            frames[:, :-1] = frames[:, 1:]
            frames[:, -1] = values[name]
            frames[self._fresh] = values[name][self._fresh, None]
        self._fresh[:] = False
        parts = [self._history[t.name].reshape(len(self._fresh), -1) for t in self.terms]
        return np.concatenate(parts, axis=1).astype(np.float32)


def scaled(term: ObservationTerm, value: np.ndarray) -> np.ndarray:
    """A term's value as networks take it, as `vm_core.observation.build_terms` does it."""
    low, high = term.clip if term.clip is not None else (-np.inf, np.inf)
    return np.clip(value, low, high) * np.asarray(term.scale)


class KeypointLane:
    """Robots on one motion, told of it by commands, judged by its teacher.

    Attributes:
        env: robots.  motion: theirs.  teacher: of the motion.
        moments: of the commands shown; may be shared by lanes.
    """

    def __init__(
        self,
        motion: PlannedMotion,
        teacher: LqrTeacher,
        sight: TrackerSight,
        count: int,
        ranges: DomainRanges,
        seed: int,
        moments: CommandMoments | None = None,
        surprises: Surprises | None = None,
    ) -> None:
        self.motion, self.teacher, self.sight = motion, teacher, sight
        self.moments = moments or CommandMoments()
        self.env = make_env(motion, count, ranges, seed, surprises=surprises)
        self.senses = Proprioceptor(TRACKER_TERMS, count, sight.sensors)
        self.kinematics = BatchKinematics(self.env.model, kc.KEYPOINT_BODIES)
        self._lead = round(sight.lead_s * motion.clip.fps)
        self._ahead = motion.ahead(self._lead)
        self._points = kc.keypoints_of_joints(self._ahead[:, :3], self._ahead[:, 3:7], self._ahead[:, 7:])
        self._factor = np.ones((count, kc.COMMAND_SIZE))

    def reset(self, envs: np.ndarray, frames: np.ndarray) -> None:
        """Puts robots (E,) near the motion's frames (E,)."""
        self.env.reset(envs, frames)
        self.senses.reset(envs)
        self._factor[envs] = self._drawn(len(envs))

    def keypoints(self) -> np.ndarray:
        """(N, 5, 3) where the robots' keypoints are [m]."""
        env = self.env
        position, quat, _, _ = self.kinematics.compute(env.physics.qpos, env.physics.qvel)
        return kc.keypoints_on_bodies(position, quat)

    def command(self) -> np.ndarray:
        """(N, 18) [m] of the motion `lead_s` ahead, undisturbed; palms that press on a box are led into it."""
        env = self.env
        at = env.clip_frame
        qpos, wanted = env.physics.qpos, self._ahead[at]
        return command_between(
            wanted[:, :3],
            wanted[:, 3:7],
            env.pressed(self._points[at], self._lead),
            qpos[:, :3],
            qpos[:, 3:7],
            self.keypoints(),
            self.sight.axes,
        )

    def observe(self) -> np.ndarray:
        """(N, OBSERVATION_SIZE), with disturbed commands, which count for the moments."""
        env = self.env
        anew = env.rng.random(env.num_envs) < 1.0 / (env.clip.fps * self.sight.factor_holds_s)
        self._factor[anew] = self._drawn(int(anew.sum()))
        command = self.command() * self._factor
        self.moments.add(command[np.isfinite(command).all(axis=1)])
        inputs = self.senses.sense(env.physics.qpos, env.physics.qvel, env.rng)
        values = build_terms(PROPRIOCEPTION, inputs) | {COMMAND_TERM: scaled(TRACKER_TERMS[-1], command)}
        return np.nan_to_num(self.senses.observe(values))

    def wanted(self) -> np.ndarray:
        """(N, J) [rad] targets that the teacher asks for, who sees everything."""
        env = self.env
        error = np.nan_to_num(env.error_state())
        return env.planned_target() + self.teacher.correction(env.frame, error, env.felt_n())

    def act(self, target: np.ndarray) -> None:
        """One control period with targets (N, J) [rad]."""
        self.senses.last_action = (target - DEFAULT_JOINT_POS) / ACTION_SCALE_RAD
        self.env.step(target - self.env.planned_target())

    def _drawn(self, count: int) -> np.ndarray:
        noise = self.sight.command_noise
        return self.env.rng.uniform(1.0 - noise, 1.0 + noise, (count, kc.COMMAND_SIZE))
