"""How a walker does on courses that it has never seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vm_core.frames import yaw_from_quat
from vm_training.mdp.lane import Lane, LaneConfig, is_upright, make_lane, upright_to_the_end
from vm_training.mdp.operators import ScriptOperator
from vm_training.motions.footsteps import Gait
from vm_training.motions.planned import plan_motion
from vm_training.progress import Progress
from vm_training.student import Student
from vm_training.tasks.classroom import act
from vm_training.tasks.motion_folder import Motion

NEAR_END_M = 0.5
WALK_S, REST_S = 10.0, 6.0
CHANGING = 16  # random courses of command
Wish = Callable[[float], tuple[float, float, float]]
COMMANDS: dict[str, tuple[float, float, float]] = {
    "stand": (0.0, 0.0, 0.0),
    "0.12 m/s": (0.12, 0.0, 0.0),
    "0.20 m/s": (0.2, 0.0, 0.0),
    "0.30 m/s": (0.3, 0.0, 0.0),
    "0.20 m/s, 0.2 rad/s": (0.2, 0.0, 0.2),
    "0.30 m/s, -0.15 rad/s": (0.3, 0.0, -0.15),
}
"""What an operator asks for during WALK_S on flat ground, before letting go for REST_S."""
_HELD_OUT = 1_000_000  # added to the seed: courses that no training has drawn


@dataclass(frozen=True)
class WalkCheck:
    """Share of starts on fresh courses of a kind that stay upright and end within NEAR_END_M of the course's end."""

    kind: str
    courses: int
    starts: int
    success: float


def evaluate_walk(
    student: Student,
    default: np.ndarray,
    config: LaneConfig,
    gait: Gait,
    kinds: Sequence[str],
    seed: int,
    courses: int = 4,
) -> list[WalkCheck]:
    """Walks fresh courses of some kinds, full collision shapes left out, noise and variation as in training."""
    checks = []
    with Progress("checks", len(kinds), unit="kind") as bar:
        for kind in kinds:
            shares = [
                follow(make_lane(motion, None, default, replace(config, num_envs=16), seed + k), student)
                for k, motion in enumerate(fresh_motions(kind, courses, gait, seed))
            ]
            checks.append(WalkCheck(kind, len(shares), 16 * len(shares), float(np.mean(shares))))
            bar.round_done(kind=kind, success=f"{checks[-1].success:.0%}")
    return checks


@dataclass(frozen=True)
class CommandCheck:
    """Share of robots that stay upright under a command and after it, and what those did, on average (else zeros).

    Attributes:
        command: name in COMMANDS.
        starts: robots.
        success: share.
        speed: way over time of the command [m/s].
        yaw_rate: turn over time of the command [rad/s].
        rest_drift_m: way in the last seconds of rest, by when the feet are together.
    """

    command: str
    starts: int
    success: float
    speed: float
    yaw_rate: float
    rest_drift_m: float


def evaluate_commands(
    student: Student, default: np.ndarray, config: LaneConfig, motion: Motion, seed: int, starts: int = 32
) -> list[CommandCheck]:
    """Walks on flat ground as an operator says, smoothed and clocked as the node does it, and rests.

    Args:
        student: walker.
        default: (J,) [rad] that its actions add to.
        config: noise and variation.
        motion: any on flat ground; only its first pose counts.
        seed: of robots and noise.
        starts: robots.
    """

    def obey(name: str, wish: Wish, number: int, robots: int) -> CommandCheck:
        operator = ScriptOperator(robots, wish, motion.gait.step_s)
        lane = make_lane(motion, None, default, replace(config, num_envs=robots), _HELD_OUT + seed + number, operator)
        return _obey(lane, student, name)

    checks = [obey(name, _until(WALK_S, command), k, starts) for k, (name, command) in enumerate(COMMANDS.items())]
    rng = np.random.default_rng([_HELD_OUT, seed])
    few = max(starts // CHANGING, 1)
    changing = [obey("", _changing(rng), len(COMMANDS) + k, few) for k in range(CHANGING)]
    success, speed, yaw_rate, drift = np.mean(
        [(c.success, c.speed, c.yaw_rate, c.rest_drift_m) for c in changing], axis=0
    ).tolist()
    name = "changing once, at any time"
    return [*checks, CommandCheck(name, few * CHANGING, success, speed, yaw_rate, drift)]


def _until(end_s: float, command: tuple[float, float, float]) -> Wish:
    return lambda time_s: command if time_s < end_s else (0.0, 0.0, 0.0)


def _changing(rng: np.random.Generator) -> Wish:
    """One random command until a random time, then another until another."""
    first, second = ((float(rng.uniform(0.08, 0.35)), 0.0, float(rng.uniform(-0.2, 0.2))) for _ in range(2))
    change_s = rng.uniform(2.0, 5.0)
    end_s = change_s + rng.uniform(2.0, 5.0)
    return lambda time_s: first if time_s < change_s else second if time_s < end_s else (0.0, 0.0, 0.0)


def _obey(lane: Lane, student: Student, name: str) -> CommandCheck:
    env, default = lane.env, lane.observer.default_joint_pos
    lane.reset(np.arange(env.num_envs), np.zeros(env.num_envs, dtype=int))
    upright, path = np.ones(env.num_envs, dtype=bool), [env.physics.qpos[:, :7].copy()]
    for _ in range(round((WALK_S + REST_S) * env.clip.fps)):
        lane.act(act(student, lane.observer.observe(), default))
        upright &= is_upright(env)
        path.append(env.physics.qpos[:, :7].copy())
    walked, came = np.array(path)[: round(WALK_S * env.clip.fps)], np.array(path)
    way = np.linalg.norm(np.diff(walked[::32, :, :2], axis=0), axis=2).sum(axis=0)
    yaw = np.unwrap(yaw_from_quat(walked[..., 3:7]), axis=0)
    drift = np.linalg.norm(came[-1, :, :2] - came[-150, :, :2], axis=1)
    figures = (way / WALK_S, (yaw[-1] - yaw[0]) / WALK_S, drift)
    means = [float(np.nan_to_num(figure[upright].mean())) if upright.any() else 0.0 for figure in figures]
    lane.env.physics.close()
    return CommandCheck(name, env.num_envs, float(upright.mean()), *means)


def fresh_motions(kind: str, count: int, gait: Gait, seed: int) -> list[Motion]:
    """Feasible motions of a kind that training has not seen."""
    found: list[Motion] = []
    for index in range(4 * count):
        planned = plan_motion(kind, np.random.default_rng([_HELD_OUT + seed, index]), gait, 0.0)
        if planned.clip is not None:
            found.append(Motion(f"{kind}_{index}", kind, planned.clip, planned.scene, planned.gait, planned.timeline))
        if len(found) == count:
            break
    return found


def follow(lane: Lane, student: Student, hold_s: float = 2.0) -> float:
    """Share of robots that walk the whole motion, stay upright and stand near its end."""
    env, default = lane.env, lane.observer.default_joint_pos
    upright, _ = upright_to_the_end(lane, lambda: act(student, lane.observer.observe(), default), hold_s)
    env.physics.close()
    off = np.linalg.norm(np.nan_to_num(env.physics.qpos[:, :3], nan=1e3) - env.reference_qpos[-1, :3], axis=1)
    return float((upright & (off < NEAR_END_M)).mean())
