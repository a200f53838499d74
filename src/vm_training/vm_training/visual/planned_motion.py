"""A motion that physics can follow, with load, timing and keypoints."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vm_core.keypoint_command import keypoints_of_joints
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_training.mdp.operators import Timing
from vm_training.motions.footsteps import Gait
from vm_training.visual.motions import FLAT, SLOW_STEP_S

TIMING_FPS = 50.0


@dataclass(frozen=True)
class PlannedMotion:
    """A motion that physics can follow.

    Attributes:
        clip: with feed-forward targets.
        load_n: (F,) force against the hands that the motion expects, from ahead.
        steps: with the closing one; 0: it stands.
        step_s: time of each.
        halt: of a walk that is told to halt: the frame, the one at which the last foot then lands, its place in SIDES.
        walked_on: (n, 30) where the pelvis and joints of a halted walk would have been from the halt on.
        lift: whether it lifts a box, see `lift_plans`.
    """

    clip: MotionClip
    load_n: np.ndarray
    steps: int
    step_s: float = SLOW_STEP_S
    halt: tuple[int, int, int] | None = None
    walked_on: np.ndarray = field(default_factory=lambda: np.zeros((0, 30)))
    lift: bool = False

    @property
    def scene(self) -> SceneAsset:
        """Level ground."""
        return FLAT

    @property
    def timing(self) -> Timing:
        """When it steps."""
        return Timing(Gait().stand_s, self.steps * self.step_s, self.step_s, 0.0, 0.0)

    def keypoints(self) -> np.ndarray:
        """(F, 5, 3) in the world [m]."""
        clip = self.clip
        return keypoints_of_joints(clip.root_pos_world, clip.root_quat_wxyz, clip.joint_pos)

    def ahead(self, frames: int) -> np.ndarray:
        """(F, 30) where pelvis and joints are to be so many frames later; nothing foresees a halt."""
        clip = self.clip
        qpos = np.hstack([clip.root_pos_world, clip.root_quat_wxyz, clip.joint_pos])
        later = qpos[np.minimum(np.arange(len(qpos)) + frames, len(qpos) - 1)]
        if self.halt is not None:
            unforeseen = min(frames, self.halt[0])
            later[self.halt[0] - unforeseen : self.halt[0]] = self.walked_on[frames - unforeseen : frames]
        return later
