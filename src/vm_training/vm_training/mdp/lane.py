"""Robots on one planned motion, driven by targets, judged by its teacher: what walkers learn on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from vm_core.errors import VmError
from vm_core.frames import yaw_from_quat
from vm_core.height_grid import HeightGridSpec
from vm_core.scene_asset import SEAT, SceneAsset
from vm_training.mdp.clip_tracking import LOST_POSITION_M, NUM_SPEEDS, ClipTracking, StartNoise
from vm_training.mdp.feet import LEG_JOINTS, PelvisOverFeet, leg_jacobians, without_what_feet_block
from vm_training.mdp.observations import SensorNoise
from vm_training.mdp.operators import MOST_YAW_ERROR_RAD, ClipOperator, Operator
from vm_training.mdp.randomization import DomainRanges
from vm_training.mdp.seat_operator import SeatOperator
from vm_training.mdp.walk_observations import GRID, WalkObserver
from vm_training.motions.route import EDGE_M
from vm_training.tasks.motion_folder import Motion
from vm_training.teachers.sampled_lqr import LqrTeacher

ACTION_SCALE_RAD = 0.25
MOST_ALONG_ERROR_M = 0.12
"""Near edges the teacher sees where it is along the way up to this; the student sees it in the height grid."""
LOST_NEAR_EDGES_M = 0.2
"""This far from the plan the ground under a foot is another than the teacher was made for."""
_JOINTS = slice(6, NUM_SPEEDS)  # of the error state
LOST_AT_SEAT_M = 0.2
"""A robot that is this far from a plan of sitting has not found the seat, or has not left it."""
STANCE_M, STANCE_YAW_RAD, WIDE_STANCE_M = 0.015, 0.05, 0.045
"""How feet that came to a seat stand otherwise than planned; the pose in which a controller stands is wider."""
_SAME_POSE_RAD = 0.05
_SEEN_M = np.arange(-0.45, GRID.cell_offsets_xy[:, 0].max() - 0.04, 0.05)
"""Ahead of the pelvis, but for half a cell at both ends of the grid's rows."""


@dataclass(frozen=True)
class LaneConfig:
    """How robots and places differ.

    Attributes:
        num_envs: robots on a motion.
        ranges: of robots and places.
        start_noise: of resets.
        sensor_noise: on what the student sees.
        exact_grids: share of robots whose height grid has no errors; all its rows then say the same of an edge ahead.
        grid: by which a student sees the ground; an earlier one goes on with its own or a larger one.
        threads: of the physics.
    """

    num_envs: int = 32
    ranges: DomainRanges = field(default_factory=lambda: DomainRanges(box_height_m=0.004))
    start_noise: StartNoise = field(default_factory=StartNoise)
    sensor_noise: SensorNoise = field(default_factory=SensorNoise)
    exact_grids: float = 0.0
    grid: HeightGridSpec = GRID
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
        contact = self.motion.clip.contact[:, :2]
        self.bearing = contact / np.maximum(contact.sum(axis=1, keepdims=True), 1.0)
        frames, start = np.arange(len(contact)), round(self.motion.gait.stand_s * self.env.clip.fps)
        self.stance = Stance.of(self.env.reference_qpos, feet_rest(self.motion))
        # feet that stand, or that only close, cannot be moved along: the pelvis would go without them
        closing = frames >= len(contact) - start - round(self.motion.gait.step_s * self.env.clip.fps)
        steps = ~((frames < start) | closing)
        self.at_seat = any(box.label == SEAT for box in self.motion.scene.boxes) or self.motion.timeline is not None
        self.steers_by_edges = sees_edge(self.motion.scene, self.env.reference_qpos) & steps & (not self.at_seat)

    def observe(self) -> np.ndarray:
        """(N, inputs) what a walker sees."""
        return self.observer.observe()

    def wanted(self) -> np.ndarray:
        """(N, J) [rad] targets that the teacher asks for, from no more than what the student can know."""
        assert self.teacher is not None
        env, error = self.env, self.knowable_error()
        return env.reference_target[env.clip_frame] + self.teacher.correction(env.frame, error)

    def knowable_error(self) -> np.ndarray:
        """(N, 58) error state with no place in the world: as if the feet that bear stood where the plan has them.

        Near edges the grid says how far along the way they are off, while there are steps left to mend it; while a
        command lasts it says where to head.
        """
        env, error = self.env, self.env.error_state()
        at = env.clip_frame
        wanted = PelvisOverFeet(self.planned.xyz[at], self.planned.yaw[at])
        over_feet, turned = PelvisOverFeet.of(np.nan_to_num(env.physics.qpos)).error(wanted, self.bearing[at])
        along = np.where(self.steers_by_edges[at], MOST_ALONG_ERROR_M, 0.0)
        error[:, 0] = over_feet[:, 0] + np.clip(error[:, 0] - over_feet[:, 0], -along, along)
        error[:, 1:3] = over_feet[:, 1:]
        operator = self.observer.operator
        share = operator.share() if isinstance(operator, ClipOperator | SeatOperator) else 0.0
        yaw = share * error[:, 5] + (1.0 - share) * turned
        error[:, 5] = np.clip(yaw, -MOST_YAW_ERROR_RAD, MOST_YAW_ERROR_RAD)
        still = self.stance.rests[at]
        jacobians = self.stance.jacobians[self.stance.index[at[still]]]
        error[still, _JOINTS] = without_what_feet_block(error[still, _JOINTS], jacobians)
        return error

    def act(self, target: np.ndarray) -> None:
        """One control period with targets (N, J) [rad]."""
        self.observer.last_action = (target - self.observer.default_joint_pos) / ACTION_SCALE_RAD
        self.env.step(target - self.env.reference_target[self.env.clip_frame])

    def reset(self, envs: np.ndarray, frames: np.ndarray) -> None:
        self.env.reset(envs, frames)
        if self.motion.timeline is not None:
            self._stand_otherwise(np.flatnonzero(envs) if envs.dtype == bool else envs, frames)
        self.observer.reset(envs)

    def _stand_otherwise(self, envs: np.ndarray, frames: np.ndarray) -> None:
        """Feet that rest stand as a walk before, or the pose before that, has left them."""
        rng, apart = self.env.rng, np.zeros((len(envs), 6))
        apart[:, :2] = rng.normal(0.0, STANCE_M, (len(envs), 2))
        apart[:, 1] += rng.choice([0.0, WIDE_STANCE_M], len(envs))
        apart[:, 5] = rng.normal(0.0, STANCE_YAW_RAD, len(envs))
        still = self.stance.rests[frames]
        jacobians = self.stance.jacobians[self.stance.index[frames[still]]]
        for side, sign in enumerate((0.5, -0.5)):
            bent = np.linalg.solve(jacobians[:, side], sign * apart[still, :, None])[..., 0]
            self.env.physics.qpos[envs[still][:, None], 7 + LEG_JOINTS[side]] += bent

    def upright(self) -> np.ndarray:
        """(N,) bool: not fallen; at a seat, until a walk begins, that is where the plan is."""
        times, env = self.motion.timeline, self.env
        if times is None:
            return is_upright(env)
        return np.where(env.frame < times.walk_s * env.clip.fps, ~env.lost(), is_upright(env))

    def fallen(self) -> np.ndarray:
        """(N,) bool: beyond what the teacher can judge: down, or where edges are, off the plan."""
        env = self.env
        if not self.motion.scene.boxes or self.at_seat:
            return ~self.upright()
        off = np.linalg.norm(env.error_state()[:, :2], axis=1)
        return env.lost() | (self.steers_by_edges[env.clip_frame] & (off > LOST_NEAR_EDGES_M))


def upright_to_the_end(
    lane: Lane, target: Callable[[], np.ndarray], hold_s: float = 2.0
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) bool: robots that walk the whole motion and stand after it without a fall; (N,) how long they did [s].

    Args:
        lane: whose robots all start at the motion's first frame.
        target: PD targets (N, J) [rad] of each control period.
        hold_s: standing after the end.
    """
    env = lane.env
    lane.reset(np.arange(env.num_envs), np.zeros(env.num_envs, dtype=int))
    upright, lasted = np.ones(env.num_envs, dtype=bool), np.zeros(env.num_envs)
    for _ in range(env.clip.num_frames + int(hold_s * env.clip.fps)):
        lane.act(target())
        upright &= lane.upright()
        lasted += upright
        if not upright.any():
            break
    return upright, lasted / env.clip.fps


def is_upright(env: ClipTracking) -> np.ndarray:
    """(N,) bool: pelvis more than 0.45 m over the ground under it, tilted less than 53 degrees."""
    qpos = np.nan_to_num(env.physics.qpos)
    up = 1.0 - 2.0 * (qpos[:, 4] ** 2 + qpos[:, 5] ** 2)
    return (qpos[:, 2] - env.scene.height_at(qpos[:, :2]) > 0.45) & (up > 0.6)


def sees_edge(scene: SceneAsset, qpos: np.ndarray) -> np.ndarray:
    """(T,) bool: whether the height grid of a robot in configurations (T, 7 + J) reaches over an edge."""
    yaw = yaw_from_quat(qpos[:, 3:7])
    ahead = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    points = qpos[:, None, :2] + _SEEN_M[:, None] * ahead[:, None]
    points = points.reshape(-1, 2)
    over = scene.height_at(points) - scene.ground_height_at(points)
    return np.ptp(over.reshape(len(qpos), -1), axis=1) > EDGE_M


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
    env = robots_on(motion, config.num_envs, config.ranges, config.start_noise, seed, config.threads)
    if operator is None:
        follows = SeatOperator(env, motion.timeline, motion.gait) if motion.timeline else None
        operator = follows or ClipOperator(env, motion.gait)
    noise, exact = config.sensor_noise, config.exact_grids
    observer = WalkObserver(env, operator, default_joint_pos, noise, exact_grids=exact, grid=config.grid)
    return Lane(motion, teacher, env, observer)


def robots_on(
    motion: Motion, count: int, ranges: DomainRanges, noise: StartNoise, seed: int, threads: int
) -> ClipTracking:
    """Robots on a motion, with the shapes that touch something there."""
    collision, lost_m = ("spheres", LOST_POSITION_M) if motion.timeline is None else ("seat", LOST_AT_SEAT_M)
    return ClipTracking(
        motion.clip, motion.scene, count, ranges, noise, seed, collision, threads=threads, lost_m=lost_m
    )


@dataclass(frozen=True)
class Stance:
    """Where feet rest, and how legs move them there.

    Attributes:
        rests: (T,) bool: no foot moves.
        index: (T,) which of the Jacobians holds.
        jacobians: (K, 2, 6, 6) of the legs.
    """

    rests: np.ndarray
    index: np.ndarray
    jacobians: np.ndarray

    @staticmethod
    def of(qpos: np.ndarray, rests: np.ndarray) -> Stance:
        """Takes a clip's configurations (T, 30); poses less than about 3 degrees apart share a Jacobian."""
        index, found = np.zeros(len(qpos), dtype=int), []
        last = None
        for frame in np.flatnonzero(rests):
            if last is None or np.abs(qpos[frame, 7:] - qpos[last, 7:]).max() > _SAME_POSE_RAD:
                found.append(leg_jacobians(qpos[frame]))
                last = frame
            index[frame] = len(found) - 1
        return Stance(rests, index, np.array(found).reshape(-1, 2, 6, 6))


def feet_rest(motion: Motion) -> np.ndarray:
    """(T,) bool: before and after a walk, or all the time that none is on."""
    clip, fps = motion.clip, motion.clip.fps
    frames, stand = np.arange(clip.num_frames), round(motion.gait.stand_s * motion.clip.fps)
    first = stand if motion.timeline is None else min(motion.timeline.walk_s * fps, clip.num_frames)
    return (frames < first) | (frames >= clip.num_frames - stand)
