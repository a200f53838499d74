"""How a walking robot comes to rest at any moment, by what it senses of itself: a law, no network.

When it is told to halt, a foot in the air comes down where it catches the body, and both feet stay there. The body is a
point over a zero moment point inside the feet that stand (its divergent component is led to where it is to rest;
Englsberger et al., 2015), from the speed that the legs say it has. What comes out are keypoint commands that tell of
this path 0.28 s ahead, in place of a generator's. Neither odometry nor a picture is needed. A body whose divergent
component is beyond the toes of the foot that comes down asks for one more step, which the law does not take; it is not
told to follow the path out there, for the path may be wrong, and who follows it falls. In quick steps a halt therefore
waits while a foot is about to land (`may_halt`): the next one is then in the air, and comes down where it is needed.
"""

from __future__ import annotations

import math

import numpy as np

from vm_core.arrays import array_namespace
from vm_core.frames import Array, heading_quat, quat_conjugate, quat_multiply, quat_rotate, yaw_from_quat, yawed
from vm_core.keypoint_command import COMMAND_SIZE, keypoint_poses

GRAVITY, COM_HEIGHT_M = 9.81, 0.656
LEADS = 3.0
"""How far beyond the divergent component the zero moment point is led, in its distance from the place of rest."""
SOLE_M = np.array([[-0.04, -0.025], [0.09, 0.025]])
"""Where a sole bears: behind and to the right of its middle, before and to the left of it."""
FOOT_REACH_M, STRETCH_M, ABREAST_M = (-0.02, 0.17), 0.27, (0.15, 0.27)
"""How far a foot still goes on its way down; how far ahead of the other one, and beside it, it comes to stand."""
LIFTED_M, LANDING_S, SINKING_S_M, LONGEST_S = 0.012, 0.08, 2.0, 0.16
"""A foot that is higher is in the air; it comes down in this time, so much more for each metre, at most that."""
AWAY_M = np.array([0.06, 0.0])
"""How far ahead and aside of where it is to rest the body may be told to be on its way there: sideways it goes straight
to the middle between the feet. On the whole path a tenth more robots were late to be still, and more fell."""
STEADY, STEADY_AFTER_S = 0.5, 0.4
"""Share of the newest command in the one of a robot that has stood for so long: what senses make up sways it less."""
QUICK_STEP_S, WAITS = 0.4, (0.58, 0.92)
"""In steps of less time, the shares of a step between which no halt begins, a tenth of a second at most: 11 of 12 of
400 halts that came late to rest had begun there. In slower steps no part of a step was better than others."""
PERIOD_S, LEAD_S, SETTLES_S = 0.02, 0.28, 0.04
_FRAMES, _LEAD, _SETTLES = 70, round(LEAD_S / PERIOD_S), round(SETTLES_S / PERIOD_S)
_STEADY_AFTER = round(STEADY_AFTER_S / PERIOD_S)
_FRESH = 0.5  # share of the newest speed in the smoothed one
_SIDES = np.array([1.0, -1.0])


class Halting:
    """Commands of N robots that are told to halt; one control period is 20 ms.

    Attributes:
        since: (N,) control periods since each was told to; -1 while it may walk.
    """

    def __init__(self, stand_keypoints: np.ndarray, count: int = 1) -> None:
        """Takes the keypoints (5, 3) of standing at ease, from the pelvis in its heading's axes [m]."""
        self._stand = np.asarray(stand_keypoints, dtype=float)
        self._root = -self._stand[3:].mean(axis=0)  # from the middle between the feet
        self.since = np.full(count, -1)
        self._foot_speed = np.zeros((count, 2, 3))
        self._anchor, self._lands = np.zeros(count, dtype=int), np.zeros(count, dtype=int)
        self._path, self._rest = np.zeros((count, _FRAMES, 2)), np.zeros((count, 2))
        self._feet = np.zeros((count, _FRAMES, 2, 3))
        self._command = np.zeros((count, COMMAND_SIZE))

    def reset(self, robots: np.ndarray) -> None:
        """Robots (E,) start anew."""
        self.since[robots], self._foot_speed[robots] = -1, 0.0

    def command(
        self, halt: np.ndarray, quat_wxyz: np.ndarray, gyro: np.ndarray, joint_pos: np.ndarray, joint_vel: np.ndarray
    ) -> np.ndarray:
        """(N, 18) [m] in the axes of the pelvis' heading, for those that are told to halt; call it once a period.

        Args:
            halt: (N,) bool.
            quat_wxyz: (N, 4) of the pelvis, any heading.  gyro: (N, 3) in the pelvis frame [rad/s].
            joint_pos, joint_vel: (N, 23) in `g1.POLICY_JOINT_NAMES`' order [rad], [rad/s].
        """
        points, speed, yaw = sensed(quat_wxyz, gyro, joint_pos, joint_vel)
        self._foot_speed += _FRESH * (speed - self._foot_speed)
        self.since = np.where(halt, self.since + 1, -1)
        told = np.flatnonzero(self.since == 0)
        if len(told):
            self._plan(told, points[told, 3:], self._foot_speed[told], yaw[told])
        root, feet = self._wanted(points[:, 3:], yaw)
        wanted = root[:, None] + self._stand
        wanted[:, 3:] = feet
        relative = (wanted - root[:, None]) - points
        newest = np.concatenate([root[:, None], relative], axis=1).reshape(len(root), COMMAND_SIZE)
        share = np.where(self.since >= self._lands + _STEADY_AFTER, STEADY, 1.0)
        self._command += share[:, None] * (newest - self._command)
        return self._command.copy()

    def _wanted(self, feet: np.ndarray, yaw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pelvis (N, 3) and soles (N, 2, 3) LEAD_S ahead: seen from the foot that bears, then from where both stand."""
        each = np.arange(len(feet))
        at = np.clip(self.since + _LEAD, 0, _FRAMES - 1)
        ground = feet[..., 2].min(axis=1)
        floor = np.column_stack([np.zeros((len(feet), 2)), ground])
        bears, turn = feet[each, self._anchor] * [1.0, 1.0, 0.0], yaw[each, self._anchor]
        root = yawed(self._path[each, at], turn) + bears[:, :2]
        soles = yawed(self._feet[each, at], turn[:, None]) + (bears + floor)[:, None]
        stands = self.since >= self._lands + _SETTLES
        middle = np.angle(np.exp(1j * yaw).sum(axis=1))
        rests = yawed(self._path[each, at] - self._rest, middle) + feet[:, :, :2].mean(axis=1)
        root = np.where(stands[:, None], rests, root)
        kept = np.concatenate([feet[..., :2], np.repeat(ground[:, None, None], 2, axis=1)], axis=-1)
        return np.column_stack([root, ground + self._root[2]]), np.where(stands[:, None, None], kept, soles)

    def _plan(self, told: np.ndarray, feet: np.ndarray, speed: np.ndarray, yaw: np.ndarray) -> None:
        """Paths of pelvis and feet of robots (E,), in the axes of the foot that bears, from their soles (E, 2, 3)."""
        each, bears = np.arange(len(told)), feet[..., 2].argmin(axis=1)
        other = 1 - bears
        turn, foot = yaw[each, bears], feet[each, other] - feet[each, bears]
        flies = foot[:, 2] > LIFTED_M
        down_speed = np.where(flies[:, None], speed[each, bears], speed.mean(axis=1))
        body = yawed(-feet[each, bears, :2], -turn) - self._root[:2]
        body_speed = yawed(-down_speed[:, :2], -turn)
        foot, foot_speed = yawed(foot, -turn), yawed(speed[each, other] - speed[each, bears], -turn)
        time = np.where(flies, np.minimum(LANDING_S + SINKING_S_M * foot[:, 2], LONGEST_S) / PERIOD_S, 0.0)
        lands = np.round(time).astype(int)
        place, states = halt_path(body, body_speed, foot, _SIDES[other], lands, flies, _FRAMES)
        rest = 0.5 * place
        self._anchor[told], self._lands[told], self._rest[told] = bears, lands, rest
        away = np.clip(states[..., :2] - rest[:, None], -AWAY_M, AWAY_M)
        self._path[told] = rest[:, None] + away + self._root[:2]
        paths = np.zeros((len(told), _FRAMES, 2, 3))
        part = np.clip(np.arange(1, _FRAMES + 1) / np.maximum(lands, 1)[:, None], 0.0, 1.0)
        goal = np.column_stack([place, np.zeros(len(told))])
        paths[each, :, other] = eased(foot, foot_speed * (lands * PERIOD_S)[:, None], goal, part)
        self._feet[told] = paths


def may_halt(since_first_step_s: np.ndarray, step_s: float) -> np.ndarray:
    """Whether a halt may begin now, (...) bool.

    Args:
        since_first_step_s: of the gait clock [s]; NaN at rest.
        step_s: from one touch-down to the next [s].
    """
    since = np.asarray(since_first_step_s, dtype=float)
    share = np.mod(np.where(since > 0.0, since, 0.0), step_s) / step_s
    return (share < WAITS[0]) | (share > WAITS[1]) | (step_s >= QUICK_STEP_S)


def sensed(quat_wxyz: Array, gyro: Array, joint_pos: Array, joint_vel: Array) -> tuple[Array, Array, Array]:
    """Keypoints (..., 5, 3) [m] and the soles' speed (..., 2, 3) [m/s] from the pelvis, their yaw (..., 2), all in the
    axes of the pelvis' heading; arguments as of `Halting.command`, of any batch."""
    xp, moment_s = array_namespace(joint_pos), 0.01
    quat = quat_multiply(quat_conjugate(heading_quat(quat_wxyz)), quat_wxyz)
    both = xp.stack([joint_pos, joint_pos + moment_s * joint_vel])  # now, and in a moment
    points, turned = keypoint_poses(xp.zeros_like(quat[..., :3]), quat, both)
    soles = points[0, ..., 3:, :]
    spin = quat_rotate(quat, gyro)[..., None, :] + xp.zeros_like(soles)
    speed = (points[1, ..., 3:, :] - soles) / moment_s + xp.linalg.cross(spin, soles)
    return points[0], speed, yaw_from_quat(turned[0, ..., 3:, :])


def halt_path(
    body: np.ndarray,
    speed: np.ndarray,
    foot: np.ndarray,
    side: np.ndarray,
    lands: np.ndarray,
    flies: np.ndarray,
    frames: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Where the other foot comes to stand, (N, 2), and the centre of mass' place and speed (N, frames, 4), seen from
    the foot that bears, ahead and to the left [m].

    Args:
        body, speed: (N, 2) of the centre of mass.
        foot: (N, 2 or 3) the other sole's middle.  side: (N,) 1 if it is the left one, else -1.
        lands: (N,) control periods until it is down.  flies: (N,) bool, whether it is in the air at all.
        frames: control periods that are asked for.
    """
    rate, none = math.sqrt(GRAVITY / COM_HEIGHT_M), np.zeros_like(body)
    alone = led(body, speed, none, none, none, lands, frames)[np.arange(len(body)), np.maximum(lands - 1, 0)]
    caught = alone[:, :2] + alone[:, 2:] / rate
    ahead = np.clip(2.0 * caught[:, 0], foot[:, 0] + FOOT_REACH_M[0], foot[:, 0] + FOOT_REACH_M[1])
    beside = side * np.clip(np.maximum(side * foot[:, 1], 2.0 * side * caught[:, 1]), *ABREAST_M)
    place = np.stack([np.clip(ahead, -STRETCH_M, STRETCH_M), beside], axis=1)
    place = np.where(flies[:, None], place, foot[:, :2])
    return place, led(body, speed, none, place, 0.5 * place, lands, frames)


def led(
    body: np.ndarray,
    speed: np.ndarray,
    stance: np.ndarray,
    other: np.ndarray,
    goal: np.ndarray,
    lands: np.ndarray,
    frames: int,
) -> np.ndarray:
    """States (N, frames, 4) of points that are led to goals (N, 2) by a zero moment point inside the stance foot's
    sole, and from `lands` (N,) control periods on between both soles; all places (N, 2) [m]."""
    rate, states = math.sqrt(GRAVITY / COM_HEIGHT_M), np.zeros((len(body), frames, 4))
    for frame in range(frames):
        second = np.where((frame >= lands)[:, None], other, stance)
        low, high = np.minimum(stance, second) + SOLE_M[0], np.maximum(stance, second) + SOLE_M[1]
        caught = body + speed / rate
        zmp = np.clip(caught + LEADS * (caught - goal), low, high)
        speed = speed + PERIOD_S * rate**2 * (body - zmp)
        body = body + PERIOD_S * speed
        states[:, frame] = np.concatenate([body, speed], axis=1)
    return states


def eased(start: np.ndarray, speed: np.ndarray, goal: np.ndarray, part: np.ndarray) -> np.ndarray:
    """(N, F, 3) cubics from places (N, 3) and speeds (a whole part) to rest at goals on the ground, at parts (N, F)."""
    t = part[..., None]
    path = goal[:, None] + (1.0 - t) ** 2 * ((1.0 + 2.0 * t) * (start - goal)[:, None] + t * speed[:, None])
    path[..., 2] = np.maximum(path[..., 2], goal[:, None, 2])
    return path
