"""Footstep plans and the centre of mass."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vm_core.errors import VmError
from vm_core.frames import quat_from_rotvec, quat_from_yaw, quat_multiply, quat_rotate
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_sim.g1_model import stand_qpos
from vm_training.motions.center_of_mass import com_from_zmp, zmp_of_com
from vm_training.motions.foot_places import EDGE_MARGIN_M, SIGHT_M, foot_places, places_as_seen
from vm_training.motions.footsteps import Gait, plan_steps
from vm_training.motions.route import Route, climb_line, climb_route, level_stretches
from vm_training.motions.swing import TOE_FROM_SOLE_CENTER, feet_path
from vm_training.motions.whole_body import reference_model, with_dynamics
from vm_training.motions.zmp_reference import support_height, zmp_reference


def stairs(yaw: float, rise: float = 0.11, run: float = 0.3, sideways: float = 0.05) -> SceneAsset:
    """Three steps along a heading, each touched a little left or right of the line."""
    forward, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    boxes = []
    for i in range(3):
        xy = forward * (1.0 + run * i) + left * sideways * (-1) ** i
        boxes.append(SceneBox((*xy, rise * (i + 1) / 2), (run / 2, 0.4, rise * (i + 1) / 2), yaw, "step"))
    return SceneAsset(boxes=tuple(boxes))


@given(st.floats(-3.1, 3.1))
def test_line_leads_up(yaw):
    start, heading, steps = climb_line(stairs(yaw))
    assert abs(np.angle(np.exp(1j * (heading - yaw)))) < 1e-6
    assert [box.top for box in steps] == sorted(box.top for box in steps)
    assert np.linalg.norm(start) == pytest.approx(0.85, abs=0.03)


def test_plan_ends_with_both_feet_on_top():
    gait = Gait()
    scene = stairs(0.4)
    stances = plan_steps(scene, climb_route(scene, 0.5), gait)
    assert {s.side for s in stances[:2]} == {"left", "right"}
    assert [s.position_world[2] for s in stances[-2:]] == pytest.approx([0.33, 0.33])
    assert {s.side for s in stances[-2:]} == {"left", "right"}
    for side in ("left", "right"):
        own = [s for s in stances if s.side == side]
        for before, after in zip(own, own[1:], strict=False):
            assert after.start_s - before.end_s == pytest.approx(gait.step_s - gait.double_support_s)
    for time in np.linspace(0, stances[-1].end_s, 200):
        assert any(s.start_s <= time <= s.end_s for s in stances)  # some foot always stands


def test_scene_without_steps_is_refused():
    with pytest.raises(VmError, match="0 boxes labelled step"):
        climb_line(SceneAsset())


@given(st.integers(0, 1000))
def test_com_has_the_zmp_that_was_asked_for(seed):
    rng = np.random.default_rng(seed)
    zmp = np.repeat(rng.uniform(-0.1, 0.1, 8), 25)
    height, acceleration = np.full(200, 0.65), np.zeros(200)
    com = com_from_zmp(zmp, height, acceleration, 0.02)
    np.testing.assert_allclose(zmp_of_com(com, height, acceleration, 0.02), zmp, atol=1e-9)
    assert np.abs(com).max() <= np.abs(zmp).max() + 1e-9  # the centre of mass stays within its support


@given(st.floats(-1.5, 1.5), st.floats(-3.1, 3.1), st.floats(0.1, 4.0))
def test_points_of_an_arc(curvature, yaw, length):
    route = Route((0.3, -0.2), yaw, length, curvature)
    along = np.linspace(0.0, length, 400)
    points, step = route.xy_at(along), length / 399
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(lengths, step, rtol=1e-3)
    np.testing.assert_allclose(points[0], route.start_xy)
    headings = np.arctan2(*np.diff(points, axis=0).T[::-1])
    turned = np.angle(np.exp(1j * (headings - 0.5 * (route.yaw_at(along[1:]) + route.yaw_at(along[:-1])))))
    assert np.abs(turned).max() < 1e-6


@given(st.lists(st.floats(0.25, 1.5), min_size=1, max_size=6), st.floats(0.15, 0.4), st.booleans())
def test_feet_keep_clear_of_edges(lengths, stride, soft):
    borders = np.concatenate([[0.0], np.cumsum(lengths)])
    places = np.array(foot_places(list(zip(borders, borders[1:], strict=False)), stride, soft_ends=soft))
    assert places[0] == 0.0 and places[-1] == pytest.approx(borders[-1])
    gaps = np.diff(places)
    assert np.all(gaps > 0.0) and gaps.max() < stride + 2 * EDGE_MARGIN_M
    if len(borders) == 2 and len(gaps) > 2:  # one level way
        ends = 0.5 if soft else 1.0
        np.testing.assert_allclose(gaps, gaps[1] * np.array([ends, *np.ones(len(gaps) - 2), ends]))
    clear = (
        np.abs(places[1:-1, None] - borders[1:-1]).min(axis=1) if len(borders) > 2 and len(places) > 2 else np.ones(1)
    )
    assert clear.min() >= 0.125 - 1e-9  # the middle of the shortest tread


@given(st.lists(st.floats(0.26, 1.5), min_size=2, max_size=6), st.floats(0.15, 0.27), st.integers(1, 5))
def test_nobody_steps_by_what_lies_out_of_sight(lengths, stride, changed):
    """The way beyond an edge changes no place from which that edge is farther than one sees."""
    borders = np.concatenate([[0.0], np.cumsum(lengths)])
    other = borders + np.where(np.arange(len(borders)) > changed, 0.37, 0.0)
    whole, altered = (np.array(places_as_seen(list(zip(b, b[1:], strict=False)), stride)) for b in (borders, other))
    same = whole[whole < borders[min(changed + 1, len(lengths))] - SIGHT_M]
    np.testing.assert_allclose(altered[: len(same)], same)
    inner = whole[(whole > 0.0) & (whole < borders[-2] + EDGE_MARGIN_M)]
    assert np.abs(inner[:, None] - borders[1:-1]).min() >= 0.13 - 1e-9
    gaps = np.diff(whole)
    assert gaps.min() >= 0.0 and gaps.max() < 1.1 * stride + 2 * EDGE_MARGIN_M + 0.031
    assert whole[-1] <= borders[-1] + stride  # it ends where there is room for half a stride


def test_stretches_lie_between_edges():
    scene = stairs(0.0)
    stretches = level_stretches(scene, climb_route(scene, 0.5))
    assert len(stretches) == 4
    np.testing.assert_allclose([b for _, b in stretches], [0.5, 0.8, 1.1, 1.25], atol=0.001)


def test_feet_roll_onto_their_toes_before_the_other_stands_lower():
    down = SceneAsset(boxes=(SceneBox((-1.0, 0.0, 0.05), (1.0, 0.6, 0.05), label="kerb"),))
    gait = Gait(drop_roll_s=0.2)
    stances = plan_steps(down, Route((-0.6, 0.0), 0.0, 1.2), gait)
    times = np.arange(0.0, stances[-1].end_s, 0.02)
    feet = feet_path(stances, times, down, gait)
    lower = next(s for s in stances if s.position_world[2] < 0.05)
    upper = next(s for s in stances if s.side != lower.side and s.start_s < lower.start_s <= s.end_s)
    landing = np.searchsorted(times, lower.start_s)
    assert feet.planted[upper.side][landing] and feet.pitch[upper.side][landing] > 0.05
    forward = feet.pressure_world[upper.side][landing] - upper.position_world
    assert forward[0] > 0.05 and abs(forward[1]) < 1e-9
    height = support_height(stances, times, gait)
    assert height[landing] < 0.09  # it sinks before


def test_swings_clear_the_steps_and_stances_hold():
    scene, gait = stairs(0.4), Gait()
    stances = plan_steps(scene, climb_route(scene, 0.5), gait)
    times = np.arange(0.0, stances[-1].end_s, 0.02)
    feet = feet_path(stances, times, scene, gait)
    for side in ("left", "right"):
        attitude = quat_multiply(
            quat_from_yaw(feet.yaw[side]), quat_from_rotvec(feet.pitch[side][:, None] * np.array([0.0, 1.0, 0.0]))
        )
        toe = feet.position_world[side] + quat_rotate(attitude, np.tile(TOE_FROM_SOLE_CENTER, (len(times), 1)))
        surface = np.array([scene.height_at(p[None, :2])[0] for p in toe])
        assert (toe[:, 2] - surface).min() > -1e-6
        both = feet.planted[side][1:] & feet.planted[side][:-1]
        assert np.abs(np.diff(toe, axis=0))[both].max() < 1e-9  # a foot on the ground may roll, its toes stay
        assert np.abs(np.diff(feet.position_world[side], axis=0)).max() < 0.05  # 2.5 m/s
        assert feet.pitch[side].max() > gait.heel_off_rad
    assert np.all(feet.planted["left"] | feet.planted["right"])


def test_zmp_lies_on_the_standing_foot():
    scene = stairs(0.0)
    stances = plan_steps(scene, climb_route(scene, 0.5), Gait())
    times = np.arange(0.0, stances[-1].end_s, 0.02)
    feet = feet_path(stances, times, scene, Gait())
    zmp = zmp_reference(feet)
    single = ~feet.planted["left"]
    inner = single & np.roll(single, 5) & np.roll(single, -5)
    np.testing.assert_allclose(zmp[inner], feet.position_world["right"][inner][:, :2], atol=1e-3)
    height = support_height(stances, times, Gait())
    assert height[0] == pytest.approx(0.0, abs=1e-3) and height[-1] == pytest.approx(0.33, abs=1e-3)
    assert np.abs(np.diff(height)).max() < 0.02


def test_standing_torques_explain_the_weight():
    """At rest on both feet the contact forces carry the whole weight and the root needs nothing more."""
    model = reference_model()
    qpos = np.tile(stand_qpos(model), (5, 1))
    planted = {side: np.ones(5, dtype=bool) for side in ("left", "right")}
    motion = with_dynamics(model, qpos, planted, np.zeros(5), 0.02)
    assert motion.root_residual.max() < 1.0
    assert 1.0 < np.abs(motion.torque).max() < 60.0
    airborne = with_dynamics(model, qpos, {side: np.zeros(5, dtype=bool) for side in planted}, np.zeros(5), 0.02)
    assert airborne.root_residual.max() > 100.0  # without ground nothing carries it
