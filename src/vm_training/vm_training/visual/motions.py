"""Random motions on level ground for keypoint trackers: steps any way but back, turns, crouches, arms and loads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vm_core import g1
from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.motions.footsteps import SIDES, Gait, Stance
from vm_training.motions.reference import BodyPlan, Reference, reference_of_stances
from vm_training.motions.swing import quintic
from vm_training.motions.whole_body import ARM_JOINTS

FLAT = SceneAsset(source="flat")
ARMS_AT_EASE = DEFAULT_JOINT_POS[[g1.POLICY_JOINT_NAMES.index(name) for name in ARM_JOINTS]]
_MIRRORED = np.array([-1.0 if "roll" in name or "yaw" in name else 1.0 for name in ARM_JOINTS[:4]])
STRIDE_M, SIDE_M, TURN_RAD = (0.0, 0.27), (-0.05, 0.05), (-0.15, 0.15)
"""Ranges of a step: ahead, to the left, turn to the left."""
COM_HEIGHT_M = (0.60, 0.656)
MOST_LOAD_N = 30.0
SLOW_STEP_S = Gait().step_s
"""Steps and turns above are of this time; quicker ones are shorter, so that speeds are the same."""


def gait_of(step_s: float) -> Gait:
    """Of steps of this time [s]; both feet stand for the same share of it, and shorter steps roll less over the toes.

    Raises:
        VmError: no time of a step.
    """
    if not 0.2 <= step_s <= 1.0:
        raise VmError(f"steps of {step_s} s; expected 0.2 to 1")
    slow, share = Gait(), step_s / SLOW_STEP_S
    both_s, roll = share * slow.double_support_s, share * slow.heel_off_rad
    return replace(slow, step_s=step_s, double_support_s=both_s, heel_off_rad=roll)


def steps_in(gait: Gait, slow_steps: int) -> int:
    """How many steps of a gait take the time of so many slow ones."""
    return round(slow_steps * SLOW_STEP_S / gait.step_s)


@dataclass(frozen=True)
class MotionPlan:
    """What is asked of a motion.

    Attributes:
        steps: (n, 3) of the middle between the feet, in its own frame: ahead, left [m], turn to the left [rad].
        arm_times_s: (k,) rising; arm_poses: (k, 8) angles of ARM_JOINTS then [rad].
        load_n: against the hands, from ahead, while it walks.
        gait: times, height, angles.
        stands_s: of a motion without steps.
    """

    steps: np.ndarray
    arm_times_s: np.ndarray
    arm_poses: np.ndarray
    load_n: float = 0.0
    gait: Gait = Gait()
    stands_s: float = 6.0

    def reference(self, corrections: int = 3) -> Reference:
        """The motion of the whole body."""
        stances = stances_of(self.steps, self.gait, self.stands_s)
        return reference_of_stances(stances, FLAT, self.gait, corrections=corrections, body=self.body)

    def body(self, times_s: np.ndarray) -> BodyPlan:
        """Arms and load at times (T,); the load comes and goes within a second."""
        end_s = times_s[-1]
        load = self.load_n * quintic((times_s - 0.3) / 0.8) * quintic((end_s - 0.1 - times_s) / 0.8)
        return BodyPlan(arm_path(times_s, self.arm_times_s, self.arm_poses), None, load if self.load_n else None)


def stances_of(steps: np.ndarray, gait: Gait, stands_s: float) -> list[Stance]:
    """Stances of steps (n, 3) in order of touch-down, the left foot first, the last one closing; see MotionPlan."""
    middle = [np.zeros(3)]
    for ahead, left, turn in steps:
        x, y, yaw = middle[-1]
        c, s = np.cos(yaw), np.sin(yaw)
        middle.append(np.array([x + c * ahead - s * left, y + s * ahead + c * left, yaw + turn]))
    if len(steps):
        middle.append(middle[-1])
    swing = gait.step_s - gait.double_support_s
    stances = [_stance(side, middle[0], gait, 0.0) for side in SIDES]
    for i, place in enumerate(middle[1:]):
        stances.append(_stance(SIDES[i % 2], place, gait, gait.stand_s + i * gait.step_s + swing))
    ends_s = stances[-1].start_s + gait.double_support_s + gait.stand_s if len(steps) else stands_s
    done = []
    for i, stance in enumerate(stances):
        later = next((s for s in stances[i + 1 :] if s.side == stance.side and s.start_s > stance.start_s), None)
        done.append(replace(stance, end_s=later.start_s - swing if later else ends_s))
    return done


def _stance(side: str, middle: np.ndarray, gait: Gait, touch_down_s: float) -> Stance:
    x, y, yaw = middle
    sideways = gait.foot_spacing_m * (0.5 if side == "left" else -0.5)
    position = np.array([x - sideways * np.sin(yaw), y + sideways * np.cos(yaw), 0.0])
    return Stance(side, position, float(yaw), touch_down_s, np.inf)


def arm_path(times_s: np.ndarray, knots_s: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """(T, 8) [rad]: from pose to pose, at rest in each."""
    after = np.clip(np.searchsorted(knots_s, times_s, side="right"), 1, len(knots_s) - 1)
    start, end = knots_s[after - 1], knots_s[after]
    share = quintic((times_s - start) / np.maximum(end - start, 1e-6))[:, None]
    return poses[after - 1] + share * (poses[after] - poses[after - 1])


def reaching_arms(pitch: float, roll: float, yaw: float, elbow: float) -> np.ndarray:
    """(8,) both arms alike, of the left one's angles [rad]."""
    left = np.array([pitch, roll, yaw, elbow])
    return np.concatenate([left, left * _MIRRORED])


def random_arms(rng: np.random.Generator) -> np.ndarray:
    """(8,) a pose: at ease, both reaching ahead, or each arm its own."""
    kind = rng.random()
    if kind < 0.25:
        return ARMS_AT_EASE + rng.normal(0.0, 0.1, 8)
    angles = [rng.uniform(-1.3, 0.3), rng.uniform(0.05, 0.5), rng.uniform(-0.4, 0.4), rng.uniform(0.0, 1.5)]
    if kind < 0.8:
        return reaching_arms(*angles)
    other = [rng.uniform(-1.3, 0.3), rng.uniform(0.05, 0.5), rng.uniform(-0.4, 0.4), rng.uniform(0.0, 1.5)]
    return np.concatenate([reaching_arms(*angles)[:4], reaching_arms(*other)[4:]])


def random_plan(rng: np.random.Generator, gait: Gait | None = None) -> MotionPlan:
    """A walk of up to 14 slow steps' time or, one time in eight, standing; arms move or hold; half of the reaching ones
    push."""
    standing, gait = rng.random() < 0.125, gait or Gait()
    steps = np.zeros((0, 3)) if standing else random_steps(rng, int(rng.integers(2, 15)), gait)
    gait = replace(gait, com_height_m=float(rng.uniform(*COM_HEIGHT_M)) if rng.random() < 0.5 else 0.656)
    duration_s = 6.0 if standing else 2.0 * gait.stand_s + (len(steps) + 1) * gait.step_s
    times = np.concatenate([[0.0], np.cumsum(rng.uniform(0.8, 3.0, 12))])
    times = np.concatenate([times[times < duration_s], [duration_s + 1.0]])
    poses = np.array([random_arms(rng) for _ in times])
    if rng.random() < 0.6:
        poses[1:] = poses[1] if len(poses) > 1 else poses[0]  # held
    if rng.random() < 0.5:
        poses[0] = ARMS_AT_EASE
    load = 0.0
    if rng.random() < 0.4:
        load = float(rng.uniform(5.0, MOST_LOAD_N))
        poses[:] = reaching_arms(
            rng.uniform(-1.1, -0.2), rng.uniform(0.05, 0.4), rng.uniform(-0.3, 0.3), rng.uniform(0.0, 1.2)
        )
    return MotionPlan(steps, times, poses, load, gait)


def working_plan(rng: np.random.Generator, gait: Gait | None = None) -> MotionPlan:
    """A walk as work with objects asks for: ahead and turning, arms at ease or reaching, half of those pushing."""
    gait = gait or Gait()
    count = steps_in(gait, int(rng.integers(6, 13)))
    stride, turn = rng.uniform(0.02, 0.26), rng.uniform(*TURN_RAD) if rng.random() < 0.6 else 0.0
    steps = np.tile([stride, 0.0, turn], (count, 1))
    if rng.random() < 0.5:  # another speed and turn on the way
        steps[count // 2 :] = [rng.uniform(0.02, 0.26), 0.0, rng.uniform(*TURN_RAD)]
    steps *= gait.step_s / SLOW_STEP_S
    steps[[0, -1], :2] *= 0.5
    if rng.random() < 0.35:
        poses, load = np.tile(ARMS_AT_EASE + rng.normal(0.0, 0.05, 8), (3, 1)), 0.0
    else:
        angles = np.array([-0.65, 0.15, 0.0, 1.0]) + rng.uniform(-0.2, 0.2, 4)
        poses = np.tile(reaching_arms(*angles.tolist()), (3, 1))
        load = float(rng.uniform(0.0, MOST_LOAD_N)) if rng.random() < 0.5 else 0.0
        if rng.random() < 0.6:
            poses[0] = ARMS_AT_EASE
    return MotionPlan(steps, np.array([0.0, rng.uniform(1.0, 2.0), 60.0]), poses, load, gait)


def random_steps(rng: np.random.Generator, slow_steps: int, gait: Gait) -> np.ndarray:
    """(n, 3) steps in the time of so many slow ones, whose speed, direction and turn change every few steps; the first
    and the last are half."""
    count, share = steps_in(gait, slow_steps), gait.step_s / SLOW_STEP_S
    steps, wanted = np.zeros((count, 3)), share * _random_step(rng)
    most = share**2 * np.array([0.12, 0.05, 0.15])
    for i in range(count):
        if rng.random() < 0.25 * share:
            wanted = share * _random_step(rng)
        before = steps[i - 1] if i else 0.5 * wanted
        steps[i] = before + np.clip(wanted - before, -most, most)
    steps[[0, -1], :2] *= 0.5
    return steps


def _random_step(rng: np.random.Generator) -> np.ndarray:
    stride = rng.uniform(*STRIDE_M)
    side = rng.uniform(*SIDE_M) if rng.random() < 0.3 else 0.0
    turn = rng.uniform(*TURN_RAD) if rng.random() < 0.6 else 0.0
    return np.array([stride, side, turn])
