"""Sitting down and getting up again on standing feet: a squat until the hips touch, then the trunk comes upright.

Planned with the feet at the origin and the seat behind them. Slow enough to be in balance at every moment: the centre
of mass stays over the feet until the hips touch the seat, and moves back over it while the trunk rises. Getting up is
the same the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

import mink
import numpy as np

from vm_core import g1
from vm_core.errors import VmError
from vm_core.frames import quat_from_rotvec
from vm_sim.g1_model import joint_addresses, stand_qpos
from vm_training.motions.seat_contact import lowest_over_seat, rearmost_hold
from vm_training.motions.whole_body import planted_feet, posture_cost, reference_model

SHOULDERS = ("left_shoulder_pitch_joint", "right_shoulder_pitch_joint")
THIGHS = ("left_hip_yaw_link", "right_hip_yaw_link")
_FIRST_ITERATIONS, _ITERATIONS = 80, 6
_SEARCH_STEPS, _SEARCH_POSES, _TOUCH_M = 15, 12, 5e-4
_SETTLE_POSES = 10


@dataclass(frozen=True)
class SitStyle:
    """How a robot sits down.

    Attributes:
        foot_spacing_m: between the feet's centre lines.
        edge_m: from the feet's middle back to the seat's edge; the heels reach 0.09 m back.
        com_height_m: centre of mass over the ground while standing.
        com_back_m: how far behind the feet's middle it is when the hips touch; the heels end at 0.085 m.
        lean_rad, torso_lean_rad: of pelvis and torso when the hips touch; brings the hips back over the seat.
        reach_rad: how far the arms are raised ahead when the hips touch; their weight lets the hips go further back.
        seated_lean_rad, seated_torso_lean_rad: at rest on the seat, if it bears the trunk so; on a high one, of which
            only the hips' front ends find hold, the trunk stays leant until it is `seated_ahead_m` ahead of them.
        seated_ahead_m: least distance of the centre of mass from the rearmost hold on the seat, towards the feet.
        least_move_s: shortest squat, whatever the person took.
        settle_s: for the trunk to come upright on the seat.
        stand_s: standing before and after.
    """

    foot_spacing_m: float = 0.24
    edge_m: float = 0.10
    com_height_m: float = 0.656
    com_back_m: float = 0.03
    lean_rad: float = 0.75
    torso_lean_rad: float = 1.15
    reach_rad: float = 0.0
    seated_lean_rad: float = 0.15
    seated_torso_lean_rad: float = 0.12
    seated_ahead_m: float = 0.02
    least_move_s: float = 1.8
    settle_s: float = 1.2
    stand_s: float = 0.8


@dataclass(frozen=True)
class SitPath:
    """Poses on the way, each a configuration of `reference_model` with the feet at the origin.

    Attributes:
        squat: (A, nq) from standing until the hips touch the seat.
        settle: (B, nq) from there to rest, upright on the seat.
    """

    squat: np.ndarray
    settle: np.ndarray


def plan_path(seat_height_m: float, style: SitStyle, squat_s: float, dt_s: float) -> SitPath:
    """Poses that are `dt_s` apart, eased in and out.

    Raises:
        VmError: no pose of this style touches a seat of this height.
    """
    body = _Body(style)
    lowest = _touching_height(body, seat_height_m, style)
    body.restart()
    squat = [body.squat(_ease(u), lowest) for u in np.linspace(0.0, 1.0, round(squat_s / dt_s) + 1)]
    body.keep_legs()
    most = _most_upright(body, style)
    body.restore(squat[-1])
    settle = [body.settle(most * _ease(u)) for u in np.linspace(0.0, 1.0, round(style.settle_s / dt_s) + 1)[1:]]
    return SitPath(np.array(squat), np.array(settle))


def standing_pose(style: SitStyle) -> np.ndarray:
    """(nq,) in which a robot stands before it sits down."""
    body = _Body(style)
    body.restart()
    return body.squat(0.0, 0.0)


def _most_upright(body: _Body, style: SitStyle) -> float:
    """Share of the way to rest up to which the seat bears the trunk, 0 to 1."""
    share = 0.0
    for wanted in np.linspace(0.0, 1.0, _SETTLE_POSES + 1)[1:]:
        body.settle(float(wanted))
        if body.com_ahead_of_hold() < style.seated_ahead_m:
            break
        share = float(wanted)
    return share


def _touching_height(body: _Body, seat_height_m: float, style: SitStyle) -> float:
    """Of the centre of mass [m], by steps as large as the gap that is left."""
    height = style.com_height_m - 0.1
    for _ in range(_SEARCH_STEPS):
        body.restart()
        for u in np.linspace(0.0, 1.0, _SEARCH_POSES):
            body.squat(u, height)
        gap = body.lowest_over_seat() - seat_height_m
        if abs(gap) < _TOUCH_M and body.foot_error() < _TOUCH_M:
            return height
        if not np.isfinite(gap):
            break
        height -= 0.8 * gap
    raise VmError(f"no way to sit on a seat {seat_height_m:.2f} m high; expected about 0.25 to 0.5 m")


def _ease(u: float) -> float:
    """From 0 to 1 with neither speed nor acceleration at the ends."""
    return u**3 * (10.0 - 15.0 * u + 6.0 * u * u)


class _Body:
    """Inverse kinematics of one pose after another."""

    def __init__(self, style: SitStyle) -> None:
        self._style, self._model = style, reference_model()
        self._configuration = mink.Configuration(self._model)
        self._feet = planted_feet(style.foot_spacing_m)
        self._com = mink.ComTask(cost=100.0)
        self._trunk = [mink.FrameTask(n, "body", 0.0, 10.0) for n in (g1.PELVIS_BODY, g1.TORSO_BODY)]
        self._legs = [mink.FrameTask(name, "body", position_cost=100.0, orientation_cost=100.0) for name in THIGHS]
        self._posture = mink.PostureTask(self._model, cost=posture_cost(self._model))
        self._limits = [mink.ConfigurationLimit(self._model)]
        self._posture.set_target(stand_qpos(self._model))
        self._arms, _ = joint_addresses(self._model, SHOULDERS)

    def restore(self, qpos: np.ndarray) -> None:
        """To a pose that it has had."""
        self._configuration.update(qpos)

    def restart(self) -> None:
        """Back to standing."""
        self._configuration.update(stand_qpos(self._model))
        self.squat(0.0, 0.0, _FIRST_ITERATIONS)

    def squat(self, share: float, lowest_m: float, iterations: int = _ITERATIONS) -> np.ndarray:
        """The pose (nq,) at a share of the way down to where the centre of mass is `lowest_m` high."""
        style = self._style
        height = style.com_height_m + share * (lowest_m - style.com_height_m)
        self._com.set_target(np.array([-share * style.com_back_m, 0.0, height]))
        self._lean(share * style.lean_rad, share * style.torso_lean_rad)
        self._reach(share)
        return self._solve([*self._feet, self._com, *self._trunk, self._posture], iterations)

    def keep_legs(self) -> None:
        """From now on the thighs stay where they are."""
        for task, name in zip(self._legs, THIGHS, strict=True):
            task.set_target(self._configuration.get_transform_frame_to_world(name, "body"))

    def settle(self, share: float) -> np.ndarray:
        """The pose (nq,) at a share of the way to rest."""
        style = self._style
        self._lean(
            style.lean_rad + share * (style.seated_lean_rad - style.lean_rad),
            style.torso_lean_rad + share * (style.seated_torso_lean_rad - style.torso_lean_rad),
        )
        self._reach(1.0 - share)
        return self._solve([*self._feet, *self._legs, *self._trunk, self._posture], _ITERATIONS)

    def lowest_over_seat(self) -> float:
        return lowest_over_seat(self._model, self._configuration.data, self._style.edge_m)

    def com_ahead_of_hold(self) -> float:
        """From the rearmost point of the hips that rests on a seat to the centre of mass [m], ahead."""
        hold = rearmost_hold(self._model, self._configuration.data, self._style.edge_m)
        return float(self._configuration.data.subtree_com[0][0]) - hold

    def foot_error(self) -> float:
        """Worst distance of a foot from its place [m]."""
        return max(float(np.linalg.norm(task.compute_error(self._configuration)[:3])) for task in self._feet)

    def _lean(self, *angles_rad: float) -> None:
        for task, angle in zip(self._trunk, angles_rad, strict=True):
            task.set_target(mink.SE3(np.concatenate([quat_from_rotvec(np.array([0.0, angle, 0.0])), np.zeros(3)])))

    def _reach(self, share: float) -> None:
        posture = stand_qpos(self._model)
        posture[self._arms] -= share * self._style.reach_rad
        self._posture.set_target(posture)

    def _solve(self, tasks: list, iterations: int) -> np.ndarray:
        for _ in range(iterations):
            velocity = mink.solve_ik(self._configuration, tasks, 1.0, solver="daqp", damping=1e-5, limits=self._limits)
            self._configuration.integrate_inplace(velocity, 1.0)
        return self._configuration.q.copy()
