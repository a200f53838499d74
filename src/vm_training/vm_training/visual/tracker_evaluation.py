"""How well a tracker follows motions that it has not seen: distance of its keypoints, falls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vm_training.mdp.randomization import DomainRanges
from vm_training.progress import Progress
from vm_training.student import Student
from vm_training.visual.loaded_tracking import Surprises
from vm_training.visual.planned_motion import PlannedMotion
from vm_training.visual.shared_teacher import SharedGains
from vm_training.visual.tracker import KeypointLane, TrackerSight
from vm_training.visual.tracker_training import act

HOLD_S = 2.0
LEAST_HEIGHT_M, LEAST_UP = 0.40, 0.5  # the pelvis' height and the vertical part of its upward axis


@dataclass(frozen=True)
class TrackerScore:
    """Over all starts on all motions.

    Attributes:
        motions, starts: how many.
        keypoint_error_m: mean distance of the five keypoints from the motion's in the world, while upright.
        relative_error_m: the same relative to the root.
        falls: share of starts.
        lost: share that are upright but ended 0.4 m or more off.
    """

    motions: int
    starts: int
    keypoint_error_m: float
    relative_error_m: float
    falls: float
    lost: float


def evaluate_tracker(
    student: Student | None,
    motions: Sequence[PlannedMotion],
    gains: SharedGains,
    sight: TrackerSight,
    robots: int = 8,
    ranges: DomainRanges | None = None,
    seed: int = 5,
    surprises: Surprises | None = None,
) -> TrackerScore:
    """Lets robots follow each motion from its start to two seconds after its end, without noise on commands.

    Args:
        student: None for the teacher.
        motions: to be followed.
        gains: for the teacher.
        sight: as trained.
        robots: starts on each.
        ranges: how robots differ; by default as in training.
        seed: of everything random.
        surprises: forces that no motion expects; by default hardly any.
    """
    ranges = ranges or DomainRanges(box_height_m=0.0)
    errors, relatives, falls, lost = [], [], 0, 0
    with Progress("unseen motions", len(motions), unit="motion") as bar:
        for i, motion in enumerate(motions):
            quiet = replace(sight, command_noise=0.0)
            lane = KeypointLane(motion, gains.teacher_of(motion), quiet, robots, ranges, seed + i, surprises=surprises)
            policy = None if student is None else (lambda lane=lane: act(student, lane.observe()))
            error, relative, fell, off = _follow(lane, policy or lane.wanted)
            errors.append(error)
            relatives.append(relative)
            falls, lost = falls + fell, lost + off
            lane.env.physics.close()
            bar.round_done()
    starts = robots * len(motions)
    means = float(np.nanmean(errors)), float(np.nanmean(relatives))
    return TrackerScore(len(motions), starts, *means, falls / starts, lost / starts)


def falls_under(
    student: Student | None,
    motions: Sequence[PlannedMotion],
    gains: SharedGains,
    sight: TrackerSight,
    where: Literal["hands", "feet"],
    force_n: float,
) -> float:
    """Share of starts that fall under forces of one size that no motion expects: from ahead on both hands together,
    for 2 s on average, 60 % of the time, or for 0.1 s on a foot, every two seconds; see `Surprises`."""
    forces = {"hands_n": force_n} if where == "hands" else {"kick_n": force_n}
    return evaluate_tracker(student, motions, gains, sight, surprises=Surprises(share=1.0, least=1.0, **forces)).falls


def _follow(lane: KeypointLane, policy: Callable[[], np.ndarray]) -> tuple[float, float, int, int]:
    env, points = lane.env, lane.motion.keypoints()
    lane.reset(np.arange(env.num_envs), np.zeros(env.num_envs, dtype=int))
    up, sums = np.ones(env.num_envs, dtype=bool), np.zeros(3)
    for _ in range(env.clip.num_frames + round(HOLD_S * env.clip.fps)):
        lane.act(np.nan_to_num(policy()))
        up &= ~fallen(env.physics.qpos)
        if not up.any():
            break
        at, now = env.clip_frame, lane.keypoints()
        far = np.linalg.norm(now - points[at], axis=2)[up]
        roots = (env.physics.qpos[:, None, :3], env.reference_qpos[at][:, None, :3])
        near = np.linalg.norm((now - roots[0]) - (points[at] - roots[1]), axis=2)[up]
        sums += [far.sum(), near.sum(), far.size]
    off = np.linalg.norm(env.physics.qpos[:, :2] - env.reference_qpos[-1, :2], axis=1) > 0.4
    return sums[0] / max(sums[2], 1.0), sums[1] / max(sums[2], 1.0), int((~up).sum()), int((up & off).sum())


def fallen(qpos: np.ndarray) -> np.ndarray:
    """(N,) bool: the pelvis is low or tilted, or nothing is known of it."""
    up = 1.0 - 2.0 * (qpos[:, 4] ** 2 + qpos[:, 5] ** 2)
    return ~((qpos[:, 2] > LEAST_HEIGHT_M) & (up > LEAST_UP) & np.isfinite(qpos).all(axis=1))
