"""Where and when the feet stand: a plan over a scene's surfaces along a route."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_training.motions.foot_places import foot_places, places_as_seen
from vm_training.motions.route import Route, level_stretches

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
        soft_ends: begin and end with half a stride, as a body that gains and loses speed.
        as_seen: places depend only on what a walker sees half a metre ahead, not on the whole route; ends are soft.
        com_height_m: centre of mass above the feet.
        height_delay_s: how late the centre of mass rises; later bends the rear ankle less and works the knees more.
        drop_lead_s: how early it sinks before the foot stands below.
        drop_roll_s: how early, before that, the foot above begins to roll onto its toes.
        lean_rad: of pelvis and torso, forward; moves the pelvis back over bent ankles.
        stairs_lean_rad: the same at stairs; as on level ground if None.
        stairs_height_m: centre of mass above the feet at stairs; as on level ground if None.
        heel_off_rad: how far the trailing foot has rolled onto its toes when it lifts off.
        toe_down_rad: most pitch of a swinging foot; a flat one over a step needs more ankle flexion than the G1 has.
        drop_toe_down_rad: the same of a foot that comes to stand lower.
        drop_land_rad: pitch at which a foot comes to stand lower, on its toes; reaches deeper.
        drop_land_s: how long it then takes to lie flat.
        clearance_m: of a swinging foot over the highest surface on its way.
        own_surfaces: each foot's height is that of the surface under it, not of the way's middle.
    """

    step_s: float = 0.65
    double_support_s: float = 0.12
    stand_s: float = 1.0
    foot_spacing_m: float = 0.19
    stride_m: float = 0.25
    soft_ends: bool = False
    as_seen: bool = False
    com_height_m: float = 0.656
    height_delay_s: float = 0.12
    drop_lead_s: float = 0.2
    drop_roll_s: float = 0.3
    lean_rad: float = 0.0
    stairs_lean_rad: float | None = None
    stairs_height_m: float | None = None
    heel_off_rad: float = 0.48
    toe_down_rad: float = 0.58
    drop_toe_down_rad: float = 0.4
    drop_land_rad: float = 0.0
    drop_land_s: float = 0.15
    clearance_m: float = 0.06
    own_surfaces: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.double_support_s < self.step_s or self.stride_m <= 0 or self.stand_s < 0:
            raise VmError(f"{self}: expected 0 < double support < step time, a stride above 0, stand_s from 0")


@dataclass(frozen=True)
class Stance:
    """A foot at rest: side, sole centre (3,) [m], yaw [rad], from touch-down to lift-off [s], the ground's dz/dx."""

    side: str
    position_world: np.ndarray
    yaw: float
    start_s: float
    end_s: float
    slope: float = 0.0

    @property
    def level_m(self) -> float:
        """Height over the sloping ground [m]: what a step up or down changes."""
        return float(self.position_world[2] - self.slope * self.position_world[0])


def plan_steps(scene: SceneAsset, route: Route, gait: Gait) -> list[Stance]:
    """Steps from standing at a route's start to standing at its end, in order of touch-down.

    A foot never stands across an edge: it keeps clear of both ends of a level stretch, or takes the middle of a tread.

    Args:
        scene: what is walked on.
        route: way over it.
        gait: timing and widths.
    """
    apart = 0.5 * gait.foot_spacing_m if gait.own_surfaces else 0.0
    stretches = level_stretches(scene, route, apart)
    if gait.as_seen and len(stretches) > 1:
        along = places_as_seen(stretches, gait.stride_m)
    else:
        along = foot_places(stretches, gait.stride_m, soft_ends=gait.soft_ends)
    lift_off = [gait.stand_s + i * gait.step_s for i in range(len(along))]
    first = [_stance(scene, route, gait, side, along[0], 0.0) for side in SIDES]
    # the last step brings the other foot beside the first that came to the end
    places = [*along[1:], along[-1]]
    steps = [_stance(scene, route, gait, SIDES[i % 2], place, lift_off[i]) for i, place in enumerate(places)]
    return _with_lift_offs([*first, *steps], gait)


def _stance(scene: SceneAsset, route: Route, gait: Gait, side: str, distance: float, lift_off_s: float) -> Stance:
    middle, yaw = route.xy_at(distance), float(route.yaw_at(distance))
    sideways = gait.foot_spacing_m * (0.5 if side == "left" else -0.5)
    # the surface's height is taken on the route, for boxes reach no wider than the foot that touched them
    touch_down = lift_off_s + gait.step_s - gait.double_support_s if lift_off_s > 0 else 0.0
    xy = middle + sideways * np.array([-np.sin(yaw), np.cos(yaw)])
    height = float(scene.height_at((xy if gait.own_surfaces else middle)[None])[0])
    return Stance(side, np.array([*xy, height]), yaw, touch_down, np.inf, float(scene.ground[0]))


def _with_lift_offs(stances: list[Stance], gait: Gait) -> list[Stance]:
    done = []
    swing = gait.step_s - gait.double_support_s
    for i, stance in enumerate(stances):
        later = next((s for s in stances[i + 1 :] if s.side == stance.side and s.start_s > stance.start_s), None)
        end = later.start_s - swing if later else stances[-1].start_s + gait.double_support_s + gait.stand_s
        done.append(replace(stance, end_s=end))
    return done
