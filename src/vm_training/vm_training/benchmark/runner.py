"""Runs a policy over courses: many robots a course, until each has fallen, arrived or run out of time."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vm_core.scene_asset import SEAT
from vm_training.benchmark.courses import SIT_COURSES, SIT_SKILL, Course, Episode
from vm_training.benchmark.figures import EpisodeResult, Recorder
from vm_training.benchmark.grids import NoisyGrid, TrueGrid, terrain_heights
from vm_training.benchmark.operator import HOLD_S, Operator
from vm_training.benchmark.physics import PhysicsVariant, build_models
from vm_training.benchmark.robots import GridSource, Robots
from vm_training.benchmark.seat_support import SeatSupport
from vm_training.policy_file import PolicyFile

REFERENCE_HOLD_S = 3.0
_NEAR_END_M, _DEEP_ENOUGH_M = 0.25, 0.1
"""A tracker ends this near its clip's end, and its pelvis comes as low as the clip's: a seat is sat on, and left."""
_MOST_ASIDE_M = 1.0
BLIND_M = 1.0
"""So much farther off robots start that must see the ground themselves: a LiDAR at 1.25 m that has just been switched
on sees no ground nearer than 0.9 m, and an edge in there is none to its map."""
LOOK_EVERY = 5
"""Control periods from one look at who sits to the next."""
OnStep = Callable[[float], None]


def refusal(policy: PolicyFile, course: Course) -> str:
    """Why a policy is not run on a course; empty if it is."""
    contract = policy.contract
    if policy.reference is not None and not course.name.startswith("scene "):
        return "follows one clip; give its own --scene"
    forward = contract.command_limits[0][1]
    if policy.reference is None and forward <= 0.0 and course.name != "zero_command":
        return f"its command limits allow no way ahead (vx up to {forward})"
    if course.name.startswith(SIT_COURSES) and SIT_SKILL not in contract.training.get("skills", ()):
        return f"its contract names no skill {SIT_SKILL!r}"
    return ""


def run_course(
    policy: PolicyFile,
    course: Course,
    episodes: int,
    *,
    seed: int,
    grid: str,
    variant: PhysicsVariant,
    threads: int,
    make_grid: Callable[[Robots, str, int], GridSource],
    farther_m: float = 0.0,
    on_step: OnStep = lambda share: None,
) -> list[EpisodeResult]:
    """All episodes of a course at once.

    Args:
        policy: the policy.
        course: where.
        episodes: how many.
        seed: with the course's name it decides places, starts, noise and pushes, whatever the policy.
        grid: true, noisy or estimated.
        variant: the physics.
        threads: of the physics.
        make_grid: the height grids of robots.
        farther_m: what stands in the way does so much farther ahead; estimated grids add what no LiDAR sees at first.
        on_step: told the share of the time limit that has passed, at least.
    """
    seed = seed + zlib.crc32(course.name.encode()) % 10_000
    rng = np.random.default_rng(seed)
    ways = [course.make(i, np.random.default_rng([seed, i])) for i in range(episodes)]
    farther_m += BLIND_M if grid == "estimated" else 0.0
    ways = [way.from_afar(farther_m) for way in ways] if farther_m else ways
    ways = _share_scenes(ways)
    models = build_models([way.scene for way in ways], policy.contract, variant, rng)
    robots = Robots(policy, models, ways, variant, seed, threads)
    source = make_grid(robots, grid, seed) if policy.contract.height_grid is not None else None
    try:
        return _run(robots, course, source, on_step)
    finally:
        robots.physics.close()


def simple_grid(robots: Robots, grid: str, seed: int) -> GridSource:
    """The grids that need no mapper: true and noisy."""
    return NoisyGrid(robots, seed) if grid == "noisy" else TrueGrid(robots)


def _share_scenes(ways: list[Episode]) -> list[Episode]:
    """Episodes whose scenes are equal share one, so that it is compiled once."""
    known: dict[str, Episode] = {}
    found = []
    for way in ways:
        first = known.setdefault(repr((way.scene.boxes, way.scene.ground)), way)
        found.append(replace(way, scene=first.scene))
    return found


def _run(robots: Robots, course: Course, grid: GridSource | None, on_step: OnStep) -> list[EpisodeResult]:
    period, reference = robots.contract.control_period_s, robots.policy.reference
    operator = Operator(robots.episodes, np.array(robots.contract.command_limits, dtype=float))
    recorder, seats = Recorder(robots), SeatSupport(robots)
    start = robots.physics.qpos[:, :3].copy()
    limits = np.array([way.time_limit_s for way in robots.episodes])
    if reference is not None:
        limits[:] = len(reference.joint_pos) * period + REFERENCE_HOLD_S
    pushes = np.array([way.push_at_s for way in robots.episodes])
    fell, done = np.zeros(robots.num, bool), np.zeros(robots.num, bool)
    held_s, end = np.zeros(robots.num), np.zeros(robots.num, dtype=int)
    while not done.all():
        active = np.flatnonzero(~done)
        time_s = robots.time_s
        qpos = np.nan_to_num(robots.physics.qpos)
        if robots.step_count % LOOK_EVERY == 0:
            operator.watch(*seats.look(active), LOOK_EVERY * period)
        command = operator.command(time_s, qpos[:, :3], robots.yaw)
        due = active[(pushes[active] <= time_s) & (pushes[active] > time_s - period)]
        robots.push(due, np.array([robots.episodes[i].push_m_s for i in due]).reshape(-1, 2))
        robots.act(command, grid, active)
        recorder.record(robots, active)
        fell[active] |= robots.fallen(_ground(robots, robots.physics.qpos))[active]
        held_s += operator.arrived * period
        over = fell | (robots.time_s >= limits) | ((held_s >= HOLD_S) & (reference is None))
        end[active] = robots.step_count
        done |= over
        on_step(1.0 if done.all() else min(max(float(robots.time_s / limits.max()), float(done.mean())), 1.0))
    return [_result(i, robots, course, operator, recorder, start, fell, int(end[i])) for i in range(robots.num)]


def _ground(robots: Robots, qpos: np.ndarray) -> np.ndarray:
    """Under each robot [m]; who sits has not fallen onto the seat."""
    return terrain_heights(robots, np.nan_to_num(qpos[:, None, :2]), without=SEAT)[:, 0]


def _result(
    i: int,
    robots: Robots,
    course: Course,
    operator: Operator,
    recorder: Recorder,
    start: np.ndarray,
    fell: np.ndarray,
    end: int,
) -> EpisodeResult:
    way, reference = robots.episodes[i], robots.policy.reference
    path = np.stack([qpos[i] for qpos in recorder.qpos[:end]]).astype(np.float64)
    path = path[np.isfinite(path).all(axis=1)]
    last = path[-1, :3] if len(path) else start[i]
    if reference is not None:
        goal = reference.root_pos_world[-1]
        total = float(np.linalg.norm(goal - start[i]))
        drift = float(np.linalg.norm(last - goal))
        progress = float(np.clip(1.0 - drift / max(total, 0.1), 0.0, 1.0))
        dips = reference.root_pos_world[:, 2].min() - path[:, 2].min() if len(path) else np.inf
        success = not fell[i] and drift < _NEAR_END_M and abs(float(dips)) < _DEEP_ENOUGH_M
    elif way.goal_m == 0.0:
        drift = float(np.linalg.norm(last[:2] - start[i, :2]))
        progress = min(recorder.up_s[i] / way.time_limit_s, 1.0)
        success = not fell[i] and drift <= course.most_drift_m
    else:
        forward, aside = (float(part[i]) for part in operator.along(np.tile(last[:2], (robots.num, 1))))
        drift, progress = abs(aside), float(np.clip(forward / way.goal_m, 0.0, 1.0))
        success = bool(not fell[i] and operator.arrived[i] and operator.sat[i] and drift <= _MOST_ASIDE_M)
    up_s = float(recorder.up_s[i])
    return EpisodeResult(i, bool(success), bool(fell[i]), up_s, progress, drift, recorder.figures(i), path, way.scene)
