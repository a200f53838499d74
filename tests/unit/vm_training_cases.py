"""Scenes and clips that several tests of vm_training share; planned once a test run."""

from functools import cache

import numpy as np

from vm_core import g1
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_sim.g1_model import stand_qpos
from vm_training.mdp.clip_tracking import ClipTracking, StartNoise
from vm_training.mdp.randomization import DomainRanges
from vm_training.motions.clip import KP, reference_clip
from vm_training.motions.footsteps import Gait
from vm_training.motions.reference import Reference, plan_reference
from vm_training.motions.route import climb_route
from vm_training.motions.whole_body import reference_model, with_dynamics

JOINTS = len(g1.POLICY_JOINT_NAMES)
GAIT = Gait(stand_s=0.5)
APPROACH_M = 0.3
YAW = 0.4
EXACT = StartNoise(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def stairs(yaw: float = YAW, rise: float = 0.1, steps: int = 2) -> SceneAsset:
    """Steps 0.3 m deep along a heading, the first edge 0.85 m from the origin."""
    forward = np.array([np.cos(yaw), np.sin(yaw)])
    boxes = []
    for i in range(steps):
        half_height = rise * (i + 1) / 2
        boxes.append(SceneBox((*forward * (1.0 + 0.3 * i), half_height), (0.15, 0.4, half_height), yaw, "step"))
    return SceneAsset(boxes=tuple(boxes))


@cache
def planned() -> Reference:
    """A climb of two steps, 5 s."""
    return plan_reference(stairs(), climb_route(stairs(), APPROACH_M), GAIT)


@cache
def climb_clip() -> MotionClip:
    """The same as a clip."""
    return reference_clip(planned(), "test")


@cache
def standing_clip(frames: int = 25) -> MotionClip:
    """The bent-knee stand with the targets that carry its weight."""
    model = reference_model()
    qpos = np.tile(stand_qpos(model), (frames, 1))
    planted = {side: np.ones(frames, dtype=bool) for side in ("left", "right")}
    motion = with_dynamics(model, qpos, planted, np.zeros(frames), 0.02)
    target = qpos[:, 7:] + motion.torque / KP
    return MotionClip(50.0, g1.POLICY_JOINT_NAMES, qpos[:, 7:], qpos[:, :3], qpos[:, 3:7], joint_target=target)


def tracking(clip: MotionClip | None = None, scene: SceneAsset | None = None, envs: int = 3, **changes) -> ClipTracking:
    """Robots on a clip (the climb, if none is given) without noise or variation."""
    scene = stairs() if clip is None and scene is None else scene or SceneAsset()
    settings = {"ranges": DomainRanges.none(), "noise": EXACT, "threads": 1} | changes
    return ClipTracking(climb_clip() if clip is None else clip, scene, envs, **settings)
