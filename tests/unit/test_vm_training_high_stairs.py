"""Stairs higher than 14 cm: leant forward, the ankle of who steps up stays within its limit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core.scene_asset import SceneAsset, SceneBox
from vm_training.motions.courses import ITS_OWN, WALKING_GAIT
from vm_training.motions.feasibility import Feasibility
from vm_training.motions.foot_places import SIGHT_M
from vm_training.motions.footsteps import plan_steps
from vm_training.motions.reference import plan_reference
from vm_training.motions.route import Route
from vm_training.motions.stairs_posture import at_stairs

GAIT = replace(WALKING_GAIT, stride_m=0.22)


def stairs(rise: float, run: float) -> SceneAsset:
    """Two steps up from x = 0, or down to it if the rise is below 0."""
    levels = [rise, 2.0 * rise] if rise > 0 else [-rise]
    edges = [0.0, run, run + 3.0] if rise > 0 else [-3.0, 0.0]
    boxes = [
        SceneBox((0.5 * (start + end), 0.0, 0.5 * level), (0.5 * (end - start), 1.0, 0.5 * level), label="step")
        for level, start, end in zip(levels, edges, edges[1:], strict=False)
    ]
    return SceneAsset(boxes=tuple(boxes), source="test")


def test_a_rise_of_twenty_centimetres_can_be_climbed_leant_forward_only():
    scene, route = stairs(0.2, 0.28), Route((-0.3, 0.0), 0.0, 0.3 + 0.28 + 0.35)
    leant = Feasibility.of(plan_reference(scene, route, replace(GAIT, **ITS_OWN["steep_up"])))
    assert leant.problems == ""
    upright = Feasibility.of(plan_reference(scene, route, GAIT, corrections=1))
    assert any("ankle_pitch" in joint for joint in upright.joints_at_limit)


def test_a_drop_of_sixteen_centimetres_is_met_on_the_toes_with_the_upper_heel_off():
    scene, route = stairs(-0.16, 0.3), Route((-0.3, 0.0), 0.0, 0.75)
    gait = replace(GAIT, **ITS_OWN["steep_down"])
    reference = plan_reference(scene, route, gait)
    assert Feasibility.of(reference).problems == ""
    feet = reference.feet
    landings = [
        (side, frame)
        for side in ("left", "right")
        for frame in np.flatnonzero(np.diff(feet.planted[side].astype(int)) == 1) + 1
        if feet.pressure_world[side][frame, 2] < 0.01 < feet.pressure_world[side][0, 2]
    ]
    first_landing = min(landings, key=lambda landing: landing[1])
    assert feet.pitch[first_landing[0]][first_landing[1]] == pytest.approx(gait.drop_land_rad, abs=0.05)
    heel_down = Feasibility.of(plan_reference(scene, route, replace(gait, drop_roll_s=0.0), corrections=1))
    assert any("ankle_pitch" in joint for joint in heel_down.joints_at_limit)


@given(st.floats(-0.12, 0.2).filter(lambda rise: abs(rise) > 0.03), st.floats(0.26, 0.36), st.floats(0.5, 2.0))
@settings(max_examples=30, deadline=None)
def test_nobody_leans_before_the_edge_is_in_sight(rise, run, approach):
    """A walker knows no more than half a metre of what is ahead."""
    steps = plan_steps(stairs(rise, run), Route((-approach, 0.0), 0.0, approach + run + 0.6), GAIT)
    times = np.arange(0.0, steps[-1].end_s, 0.02)
    share = at_stairs(steps, times, GAIT)
    assert share.max() == pytest.approx(1.0, abs=0.02) and share.min() >= 0.0
    assert share[0] < 0.02 or steps[0].position_world[0] > -SIGHT_M
    begins_s = times[np.argmax(share > 0.02)]
    farthest = max(step.position_world[0] for step in steps if step.start_s <= begins_s + GAIT.step_s)
    assert farthest > -SIGHT_M
    last_s = max(step.start_s for step in steps if step.start_s > 0.0)
    assert share[-1] < 0.02 or times[-1] - last_s < 3.0 * GAIT.step_s


def test_level_ground_changes_nothing():
    steps = plan_steps(SceneAsset(source="test"), Route((0.0, 0.0), 0.0, 1.0), GAIT)
    assert not at_stairs(steps, np.arange(0.0, 4.0, 0.02), GAIT).any()
