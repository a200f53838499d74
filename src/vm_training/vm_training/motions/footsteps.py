"""Where and when the feet stand: a plan over a scene's surfaces along a straight line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset, SceneBox

SIDES = ("left", "right")


@dataclass(frozen=True)
class Gait:
    """How a plan is walked.

    Attributes:
        step_s: from one touch-down to the next [s].
        double_support_s: share of that with both feet down [s].
        stand_s: standing before the first and after the last step [s].
        foot_spacing_m: distance between the feet's centre lines.
        stride_m: length of a step on level ground.
        com_height_m: centre of mass above the feet.
        height_delay_s: how late the centre of mass rises; later bends the rear ankle less and works the knees more.
        heel_off_rad: how far the trailing foot has rolled onto its toes when it lifts off.
        toe_down_rad: most pitch of a swinging foot; a flat one over a step needs more ankle flexion than the G1 has.
        clearance_m: of a swinging foot over the highest surface on its way.
        approach_m: how far before the first edge the robot starts.
    """

    step_s: float = 0.8
    double_support_s: float = 0.2
    stand_s: float = 1.0
    foot_spacing_m: float = 0.19
    stride_m: float = 0.25
    com_height_m: float = 0.656
    height_delay_s: float = 0.12
    heel_off_rad: float = 0.48
    toe_down_rad: float = 0.58
    clearance_m: float = 0.06
    approach_m: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 < self.double_support_s < self.step_s or self.stride_m <= 0 or self.stand_s < 0:
            raise VmError(f"{self}: expected 0 < double support < step time, a stride above 0, stand_s from 0")


@dataclass(frozen=True)
class Stance:
    """A foot at rest: side, sole centre (3,) [m], yaw [rad], from touch-down to lift-off [s]."""

    side: str
    position_world: np.ndarray
    yaw: float
    start_s: float
    end_s: float


def climb_line(scene: SceneAsset) -> tuple[np.ndarray, float, list[SceneBox]]:
    """The line up a scene's steps: a point below the lowest, the heading [rad], the steps from low to high.

    Raises:
        VmError: the scene has no steps, or they do not rise along one direction.
    """
    steps = sorted((box for box in scene.boxes if box.label.startswith("step")), key=lambda box: box.top)
    if len(steps) < 2:
        raise VmError(f"scene has {len(steps)} boxes labelled step; climbing needs at least 2")
    centers = np.array([box.center_world[:2] for box in steps])
    # Treads that a person touched with one foot each lie left and right of the line, so the boxes' own yaw tells its
    # direction better than their centres; the centres tell which way is up.
    axis = np.array([np.cos(steps[0].yaw), np.sin(steps[0].yaw)])
    side = np.array([-axis[1], axis[0]])
    forward = max((axis, -axis, side, -side), key=lambda d: float(np.diff(centers @ d).min()))
    if np.diff(centers @ forward).min() <= 0.05:
        raise VmError("the scene's steps do not rise along one direction")
    middle = centers.mean(axis=0)
    along = (centers - middle) @ forward
    start = middle + forward * (along[0] - _half_depth(steps[0], forward))
    return start, float(np.arctan2(forward[1], forward[0])), steps


def plan_climb(scene: SceneAsset, gait: Gait) -> list[Stance]:
    """Steps from standing on the ground up all steps to standing on the highest, in order of touch-down.

    Args:
        scene: boxes labelled step, on the ground.
        gait: timing and widths.
    """
    edge, yaw, steps = climb_line(scene)
    forward = np.array([np.cos(yaw), np.sin(yaw)])
    along = _places(scene, edge, forward, steps, gait)
    stances: list[Stance] = []
    lift_off = [gait.stand_s + i * gait.step_s for i in range(len(along))]
    for i, distance in enumerate(along[1:]):
        stances.append(_stance(scene, edge, forward, yaw, gait, SIDES[i % 2], distance, lift_off[i]))
    first = [_stance(scene, edge, forward, yaw, gait, side, along[0], 0.0) for side in SIDES]
    # the last step brings the other foot beside the first that reached the top
    side = SIDES[(len(along) - 1) % 2]
    stances.append(_stance(scene, edge, forward, yaw, gait, side, along[-1], lift_off[-1]))
    return _with_lift_offs([*first, *stances], gait)


def _places(scene: SceneAsset, edge: np.ndarray, forward: np.ndarray, steps: list[SceneBox], gait: Gait) -> list[float]:
    """Distances [m] from the first edge of the sole centres, one a step, the start first."""
    tread = [float((np.array(box.center_world[:2]) - edge) @ forward) for box in steps]
    last_on_ground = -0.14  # the toe, 0.12 m ahead of the ankle, stays clear of the riser
    count = max(int(np.ceil((gait.approach_m + last_on_ground) / gait.stride_m)), 1)
    ground = list(np.linspace(-gait.approach_m, last_on_ground, count + 1))
    return [*ground, *tread]


def _stance(
    scene: SceneAsset,
    edge: np.ndarray,
    forward: np.ndarray,
    yaw: float,
    gait: Gait,
    side: str,
    distance: float,
    lift_off_s: float,
) -> Stance:
    left = np.array([-forward[1], forward[0]])
    xy = edge + forward * distance + left * gait.foot_spacing_m * (0.5 if side == "left" else -0.5)
    # the tread's height is taken on the line, for boxes reach no wider than the foot that touched them
    height = float(scene.height_at((edge + forward * distance)[None])[0])
    touch_down = lift_off_s + gait.step_s - gait.double_support_s if lift_off_s > 0 else 0.0
    return Stance(side, np.array([*xy, height]), yaw, touch_down, np.inf)


def _with_lift_offs(stances: list[Stance], gait: Gait) -> list[Stance]:
    done = []
    swing = gait.step_s - gait.double_support_s
    for i, stance in enumerate(stances):
        later = next((s for s in stances[i + 1 :] if s.side == stance.side and s.start_s > stance.start_s), None)
        end = later.start_s - swing if later else stances[-1].start_s + gait.double_support_s + gait.stand_s
        done.append(Stance(stance.side, stance.position_world, stance.yaw, stance.start_s, end))
    return done


def _half_depth(box: SceneBox, forward: np.ndarray) -> float:
    axis = np.array([np.cos(box.yaw), np.sin(box.yaw)])
    return float(box.half_size[0] if abs(axis @ forward) > 0.7 else box.half_size[1])
