"""Whether a planned motion can be: feet in place, forces that explain it, joints and motors inside limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core import g1
from vm_training.motions.clip import MOTORS
from vm_training.motions.reference import Reference
from vm_training.motions.whole_body import WholeBodyMotion

MAX_FOOT_ERROR_M, MAX_ROOT_RESIDUAL, MAX_ZMP_ERROR_M = 0.005, 4.0, 0.01  # of force: a hundredth of the robot's weight
_TORQUE_LIMIT, _VELOCITY_LIMIT = g1.TORQUE_LIMIT[MOTORS], g1.VELOCITY_LIMIT[MOTORS]


@dataclass(frozen=True)
class Feasibility:
    """How well physics agrees with a plan.

    Attributes:
        foot_error_m: worst distance of a sole from its plan.
        root_residual: what contact forces leave unexplained at the root [N, Nm], root mean square over time.
        zmp_error_m: root mean square of the zero moment point's error, the worse of forward and sideways.
        torque_share: largest joint torque over its motor's limit.
        velocity_share: largest joint velocity over its motor's limit.
        joints_at_limit: joints that touch a limit of position.
    """

    foot_error_m: float
    root_residual: float
    zmp_error_m: float
    torque_share: float
    velocity_share: float
    joints_at_limit: tuple[str, ...]

    @staticmethod
    def of(reference: Reference) -> Feasibility:
        """Judges a reference."""
        return Feasibility.of_motion(reference.motion, float(reference.zmp_error_m.max()))

    @staticmethod
    def of_motion(motion: WholeBodyMotion, zmp_error_m: float = 0.0) -> Feasibility:
        """Judges a motion of the 23-joint model, whose joints follow the policy's order."""
        return Feasibility(
            float(motion.foot_error.max()),
            float(np.sqrt(np.mean(motion.root_residual**2))),
            zmp_error_m,
            float((np.abs(motion.torque) / _TORQUE_LIMIT).max()),
            float((np.abs(motion.qvel[:, 6:]) / _VELOCITY_LIMIT).max()),
            motion.joints_at_limit,
        )

    @property
    def problems(self) -> str:
        """What rules the plan out, in words; empty if nothing does."""
        found = []
        if self.foot_error_m > MAX_FOOT_ERROR_M:
            found.append(f"feet off by {1e3 * self.foot_error_m:.0f} mm")
        if self.root_residual > MAX_ROOT_RESIDUAL:
            found.append(f"{self.root_residual:.0f} N at the root without a contact that gives them")
        if self.zmp_error_m > MAX_ZMP_ERROR_M:
            found.append(f"zero moment point off by {1e3 * self.zmp_error_m:.0f} mm")
        if self.joints_at_limit:
            found.append(f"joints at their limit: {', '.join(self.joints_at_limit)}")
        if self.torque_share > 1.0:
            found.append(f"a motor asked for {self.torque_share:.1f} times its torque")
        if self.velocity_share > 1.0:
            found.append(f"a motor asked for {self.velocity_share:.1f} times its speed")
        return "; ".join(found)
