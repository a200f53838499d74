"""Plans of lifting a box: a squat on standing feet, palms that close on its sides, and up again with it.

Planned with the feet abreast at the origin and the box ahead of them. Slow enough to be in balance at every moment: the
centre of mass stays over the soles, and the zero moment point with it. All plans take the same time, phase for phase,
so one schedule of gains serves them all (`shared_teacher`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import mujoco
import numpy as np

from vm_sim.g1_model import joint_addresses
from vm_training.motions.clip import KP, motion_clip
from vm_training.motions.feasibility import Feasibility
from vm_training.motions.footsteps import Gait
from vm_training.motions.swing import quintic
from vm_training.motions.whole_body import reference_model, with_dynamics
from vm_training.visual.lift_body import PALMS, LiftBody, LiftPosture
from vm_training.visual.loaded_tracking import HeldBox
from vm_training.visual.planned_motion import PlannedMotion

DT_S = 0.02
STANDS_S, LOWERS_S, CLOSES_S, RISES_S, HOLDS_S = 0.5, 2.2, 0.8, 2.4, 2.5
LIFT_S = STANDS_S + LOWERS_S + CLOSES_S + RISES_S + HOLDS_S
KEYFRAMES_S = np.cumsum([STANDS_S, LOWERS_S, CLOSES_S, RISES_S])
"""When it goes down, when the palms close, when it comes up, when it holds."""
OPENS_S = 1.3
"""Arms are apart before the body comes down, and their palms never between it and the box."""
PALM_ERROR_M = 0.015


@dataclass(frozen=True)
class LiftPlan:
    """What is asked of a lift; places from the middle between the soles, ahead and up.

    Attributes:
        grasp_m: (2,) of the palms' keypoints when they close, ahead and above the ground.
        hold_m: (2,) of the same when the box is up.
        half_width_m: of the palms' keypoints from the middle, closed: the box's, its palms', less how deep they press.
        open_m: farther aside than that before they close.
        posture: how the body squats.
    """

    grasp_m: tuple[float, float] = (0.42, 0.40)
    hold_m: tuple[float, float] = (0.27, 1.13)
    half_width_m: float = 0.25
    open_m: float = 0.11
    posture: LiftPosture = LiftPosture()

    def motion(self, source: str) -> tuple[PlannedMotion, str]:
        """The motion and what rules it out, empty if nothing does."""
        times = np.arange(0.0, LIFT_S, DT_S)
        body = LiftBody(self.posture)
        open_arms = body.arms_at_the_bottom(self._palms(0.0, 0.0))
        qpos = np.array([self._pose(body, float(time_s), open_arms) for time_s in times])
        planted = {side: np.ones(len(times), dtype=bool) for side in ("left", "right")}
        moved = with_dynamics(body.model, qpos, planted, np.array(body.foot_error), DT_S)
        contact = {f"{side}_foot": on for side, on in planted.items()}
        clip = motion_clip(moved, contact, DT_S, source)
        missed = max(body.palm_error)
        problems = [Feasibility.of_motion(moved).problems]
        problems += [f"palms off by {1e3 * missed:.0f} mm"] if missed > PALM_ERROR_M else []
        return PlannedMotion(clip, np.zeros(len(times)), 0, lift=True), "; ".join(filter(None, problems))

    def _pose(self, body: LiftBody, time_s: float, open_arms: np.ndarray) -> np.ndarray:
        stands, lowered, closed, _ = KEYFRAMES_S
        lowering, rising = (_eased(time_s - stands, LOWERS_S), _eased(time_s - closed, RISES_S))
        if time_s < lowered:
            return body.lowering(lowering, _eased(time_s - stands, OPENS_S), open_arms)
        return body.holding(1.0 - rising, self._palms(_eased(time_s - lowered, CLOSES_S), rising))

    def _palms(self, closed: float, risen: float) -> np.ndarray:
        """(2, 3) [m] a share of the way in, and of the way up."""
        ahead, up = np.array(self.grasp_m) + risen * (np.array(self.hold_m) - np.array(self.grasp_m))
        aside = self.half_width_m + (1.0 - closed) * self.open_m
        return np.array([[ahead, aside, up], [ahead, -aside, up]])


def _eased(time_s: float, whole_s: float) -> float:
    return float(quintic(np.array(time_s / whole_s)))


def random_lift(rng: np.random.Generator) -> LiftPlan:
    """A lift of any box of the task's sizes, from where a walk may have ended before it."""
    half_width_m = rng.uniform(0.17, 0.28)
    posture = LiftPosture(
        foot_spacing_m=Gait().foot_spacing_m + rng.uniform(-0.02, 0.02),
        lean_rad=rng.uniform(0.7, 0.8),
        bend_rad=rng.uniform(0.38, 0.46),
    )
    return LiftPlan(
        grasp_m=(rng.uniform(0.35, 0.47), rng.uniform(0.36, 0.44)),
        hold_m=(rng.uniform(0.25, 0.31), rng.uniform(1.03, 1.15)),
        half_width_m=half_width_m,
        open_m=rng.uniform(0.35, 0.40) - half_width_m,
        posture=posture,
    )


@cache
def common_lift() -> PlannedMotion:
    """The lift that common gains are found for."""
    return LiftPlan().motion("common lift")[0]


def held_box(motion: PlannedMotion) -> HeldBox:
    """What the box of a lift means to it."""
    clip, model = motion.clip, reference_model()
    data, jacobian, target = mujoco.MjData(model), np.zeros((3, model.nv)), np.zeros(clip.joint_pos.shape)
    joints, speeds = joint_addresses(model, clip.joint_names)
    for frame in range(clip.num_frames):
        data.qpos[:7] = np.concatenate([clip.root_pos_world[frame], clip.root_quat_wxyz[frame]])
        data.qpos[joints] = clip.joint_pos[frame]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        for name, inwards in zip(PALMS, (-1.0, 1.0), strict=True):
            mujoco.mj_jacSite(model, data, jacobian, None, model.site(name).id)
            target[frame] += inwards * jacobian[1, speeds] / KP
    times = DT_S * np.arange(clip.num_frames)
    share = np.asarray(quintic((times - KEYFRAMES_S[1] - 0.5 * CLOSES_S) / (0.5 * CLOSES_S)))
    return HeldBox(share, target)
