"""Inverse kinematics of a lift: one pose after another of a squat on standing feet, the palms where they are asked."""

from __future__ import annotations

from dataclasses import dataclass

import mink
import numpy as np

from vm_core import g1
from vm_core.frames import quat_from_rotvec
from vm_core.halting import COM_HEIGHT_M
from vm_sim.g1_model import joint_addresses, stand_qpos
from vm_training.motions.footsteps import Gait
from vm_training.motions.whole_body import ARM_JOINTS, planted_feet, posture_cost, reference_model
from vm_training.visual.motions import reaching_arms

PALMS = ("left_palm", "right_palm")
ELBOWS_OUT = reaching_arms(-0.5, 1.2, -1.2, 0.6)
"""Arms that a hold is drawn to: the palms alone touch the box, forearms and elbows do not."""
_POSTURE_SHARE = 0.05
_FIRST_ITERATIONS, _ITERATIONS = 80, 5
_COM_AHEAD_M = 0.005


@dataclass(frozen=True)
class LiftPosture:
    """How a body squats.

    Attributes:
        foot_spacing_m: between the feet's centre lines.
        lean_rad: of the pelvis at the bottom.
        bend_rad: of the torso, beyond the pelvis.
        stand_com_m, squat_com_m: height of the centre of mass while standing, and at the bottom.
    """

    foot_spacing_m: float = Gait().foot_spacing_m
    lean_rad: float = 0.75
    bend_rad: float = 0.42
    stand_com_m: float = COM_HEIGHT_M
    squat_com_m: float = 0.44


class LiftBody:
    """One body on its way down and up.

    Attributes:
        model: `whole_body.reference_model`.
        foot_error: distance of the soles from where they stand, of each pose [m].
        palm_error: largest part of the palms' distance from where they were asked to be, while they were [m].
    """

    def __init__(self, posture: LiftPosture) -> None:
        self._asked, self.model = posture, reference_model()
        self._configuration = mink.Configuration(self.model)
        self._configuration.update(stand_qpos(self.model))
        self._feet = planted_feet(posture.foot_spacing_m)
        self._com = mink.ComTask(cost=100.0)
        self._trunk = [mink.FrameTask(n, "body", 0.0, 10.0) for n in (g1.PELVIS_BODY, g1.TORSO_BODY)]
        self._hands = [mink.FrameTask(name, "site", position_cost=30.0, orientation_cost=0.0) for name in PALMS]
        self._stand = stand_qpos(self.model)
        self._arms, _ = joint_addresses(self.model, ARM_JOINTS)
        self._posture = mink.PostureTask(self.model, cost=_POSTURE_SHARE * posture_cost(self.model))
        self._holds = self._stand.copy()
        self._holds[self._arms] = ELBOWS_OUT
        self._posture.set_target(self._stand)
        self._limits = [mink.ConfigurationLimit(self.model)]
        self._body = [*self._feet, self._com, *self._trunk, self._posture]
        self._tasks = self._body
        self.foot_error: list[float] = []
        self.palm_error: list[float] = []

    def arms_at_the_bottom(self, palms: np.ndarray) -> np.ndarray:
        """Stands; returns the joints (nq,) at the bottom of the squat with the palms at (2, 3) [m]."""
        self._lead(0.0)
        for _ in range(_FIRST_ITERATIONS):
            self._step()
        standing = self._configuration.q.copy()
        self._posture.set_target(self._holds)
        for share in np.linspace(0.0, 1.0, _FIRST_ITERATIONS):
            self._lead(share)
            self._aim(self._palms() + share * (palms - self._palms()))
            self._step()
        for _ in range(_FIRST_ITERATIONS):
            self._step()
        found = self._configuration.q.copy()
        self._tasks = self._body
        self._configuration.update(standing)
        return found

    def lowering(self, down: float, opening: float, open_arms: np.ndarray) -> np.ndarray:
        """(nq,) a share of the way down, the arms a share of their way to those of joints (nq,)."""
        wish = self._stand.copy()
        wish[self._arms] += opening * (open_arms - self._stand)[self._arms]
        self._posture.cost = posture_cost(self.model)
        self._posture.set_target(wish)
        self._lead(down)
        return self._settled()

    def holding(self, down: float, palms: np.ndarray) -> np.ndarray:
        """(nq,) the same with the palms at (2, 3) [m]."""
        self._posture.cost = _POSTURE_SHARE * posture_cost(self.model)
        self._posture.set_target(self._holds)
        self._lead(down)
        self._aim(palms)
        pose = self._settled()
        self.palm_error.append(float(np.abs(self._palms() - palms).max()))
        return pose

    def _settled(self) -> np.ndarray:
        for _ in range(_ITERATIONS):
            self._step()
        self.foot_error.append(max(float(np.linalg.norm(t.compute_error(self._configuration)[:3])) for t in self._feet))
        return self._configuration.q.copy()

    def _lead(self, down: float) -> None:
        """Centre of mass and trunk to where they are a share of the way down."""
        asked = self._asked
        height = asked.stand_com_m + down * (asked.squat_com_m - asked.stand_com_m)
        self._com.set_target(np.array([_COM_AHEAD_M, 0.0, height]))
        for task, lean in zip(self._trunk, (asked.lean_rad, asked.lean_rad + asked.bend_rad), strict=True):
            quat = quat_from_rotvec(np.array([0.0, down * lean, 0.0]))
            task.set_target(mink.SE3(np.concatenate([quat, np.zeros(3)])))

    def _aim(self, palms: np.ndarray) -> None:
        for task, place in zip(self._hands, palms, strict=True):
            task.set_target(mink.SE3(np.concatenate([[1.0, 0.0, 0.0, 0.0], place])))
        self._tasks = self._body + self._hands

    def _step(self) -> None:
        velocity = mink.solve_ik(
            self._configuration, self._tasks, 1.0, solver="daqp", damping=1e-4, limits=self._limits
        )
        self._configuration.integrate_inplace(np.clip(velocity, -0.3, 0.3), 1.0)

    def _palms(self) -> np.ndarray:
        return np.array([self._configuration.data.site(name).xpos for name in PALMS])
