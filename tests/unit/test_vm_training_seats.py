"""Seats for walkers: plans, who commands at them, teachers of one for another, and who really sits."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import mujoco
import numpy as np
import pytest

from vm_core.errors import VmError
from vm_core.gait_clock import RAMP_S, STEPS_TO_REST, GaitClock
from vm_core.scene_asset import SceneAsset
from vm_training.benchmark.courses import Episode, chosen_courses
from vm_training.benchmark.seat_support import LEAST_SHARE, SeatSupport
from vm_training.make_motions import MakeMotions, make_motions
from vm_training.mdp.clip_tracking import StartNoise
from vm_training.mdp.feet import foot_poses
from vm_training.mdp.lane import Lane, LaneConfig, make_lane
from vm_training.mdp.operators import FADE_STEPS
from vm_training.mdp.randomization import DomainRanges
from vm_training.mdp.seat_operator import SeatOperator
from vm_training.motions import planned, seats
from vm_training.motions.courses import WALKING_GAIT
from vm_training.motions.planned import LEAVE, NO_SEAT, SIT, SIT_WALK, PlannedMotion, plan_motion
from vm_training.motions.seats import SitTimeline
from vm_training.tasks.motion_folder import Motion, load_motion, motion_names
from vm_training.teachers.sampled_lqr import LqrTeacher
from vm_training.teachers.seat_transfer import donor_frames, seat_transferred, standing_as_a_walk_does

GAIT = replace(WALKING_GAIT, stand_s=0.6)
CONFIG = LaneConfig(4, DomainRanges.none(), StartNoise(0.0, 0.0, 0.0, 0.0, 0.0, 0.0), threads=1)


@cache
def plan(kind: str, seed: int = 0) -> PlannedMotion:
    return plan_motion(kind, np.random.default_rng(seed), GAIT, 0.0)


def lane_at(kind: str, seed: int = 0) -> Lane:
    found = plan(kind)
    assert found.clip is not None
    motion = Motion("one", kind, found.clip, found.scene, found.gait, found.timeline)
    teacher = LqrTeacher(np.random.default_rng(0).normal(0.0, 0.01, (found.clip.num_frames, 23, 59)))
    return make_lane(motion, teacher, found.clip.joint_pos[0], CONFIG, seed)


def test_one_sits_down_rests_and_gets_up_in_time():
    found = plan(SIT)
    assert found.clip is not None and found.timeline is not None and found.feasibility.problems == ""
    (box,), times, height = found.scene.boxes, found.timeline, found.clip.root_pos_world[:, 2]
    on_seat = found.clip.contact[:, 2] > 0.5
    at = (np.array([times.down_s, times.seated_s, times.rise_s]) * found.clip.fps).round().astype(int)
    assert not on_seat[: at[0] + 50].any() and on_seat[at[1] : at[2]].all() and not on_seat[at[2] + 100 :].any()
    np.testing.assert_allclose(height[at[1] : at[2]], height[at[1]], atol=1e-3)
    assert 0.05 < height[at[1]] - box.top < 0.25
    np.testing.assert_allclose(found.clip.joint_pos[-1], found.clip.joint_pos[0], atol=1e-6)
    assert seats.REST_S[0] <= times.rise_s - times.seated_s <= seats.REST_S[1] + 0.05


def test_who_walks_away_lifts_a_foot_after_having_stood():
    found = plan(SIT_WALK)
    assert found.clip is not None and found.timeline is not None
    lift = found.timeline.walk_s
    at_rest = STEPS_TO_REST + 1 + 2.0 * RAMP_S / GAIT.step_s  # of the clock, at the latest, when nothing is asked
    assert lift - RAMP_S - found.timeline.rise_s > at_rest * GAIT.step_s
    feet = found.clip.contact[:, :2].min(axis=1)
    first = np.flatnonzero(feet < 0.5)[0] / found.clip.fps
    assert -1e-6 <= first - lift < 0.2
    assert np.abs(np.diff(found.clip.joint_pos, axis=0)).max() < 0.25  # one motion, without a jump


def test_where_nothing_is_to_sit_on_one_stands():
    texts = set()
    for seed in range(4):
        found = plan(NO_SEAT, seed)
        assert found.clip is not None and np.ptp(found.clip.joint_pos, axis=0).max() == 0.0
        texts.add(found.text)
        for box in found.scene.boxes:
            edge = -(box.center_world[0] + box.half_size[0])
            assert edge >= seats.TOO_FAR_M[0] or not seats.TOO_LOW_M[1] < box.top < seats.TOO_HIGH_M[0]
    assert len(texts) > 1


def test_what_cannot_be_sat_on_is_refused_with_the_reason(tmp_path):
    refused = make_motions(MakeMotions(tmp_path, count=1, kinds=(SIT,), gait=GAIT, seat_heights_m=(0.61, 0.615)))
    assert "no way to sit on a seat 0.6" in refused["sit_0000"]
    assert not (tmp_path / "sit_0000" / "clip.npz").exists()


@pytest.mark.parametrize("heights_m", [(0.5, 0.44), (0.2, 0.5), (0.44, 0.65)])
def test_seats_are_none_that_nobody_is_to_sit_on(tmp_path, heights_m):
    with pytest.raises(VmError, match="expected the lowest first, above 0.22 and below 0.62 m"):
        MakeMotions(tmp_path, seat_heights_m=heights_m)


@pytest.mark.parametrize("kind", [SIT, LEAVE])
def test_seats_are_as_high_as_one_asks_for(tmp_path, kind):
    make_motions(MakeMotions(tmp_path, count=3, kinds=(kind,), gait=GAIT, seat_heights_m=(0.44, 0.46)))
    for name in motion_names(tmp_path):
        (box,) = load_motion(tmp_path, name).scene.boxes
        assert 0.44 <= box.top <= 0.46


def test_a_seat_is_kept_with_its_times(tmp_path, monkeypatch):
    monkeypatch.setattr("vm_training.make_motions.plan_motion", lambda *_: plan(SIT))
    assert make_motions(MakeMotions(tmp_path, count=1, kinds=(SIT,), gait=GAIT, sit_spread=0.5)) == {}
    assert motion_names(tmp_path) == ["sit_0000"]
    assert load_motion(tmp_path, "sit_0000").timeline == plan(SIT).timeline
    assert json.loads((tmp_path / "sit_0000" / "motion.json").read_text())["kind"] == SIT


@pytest.mark.parametrize("kind", [SIT, SIT_WALK, NO_SEAT])
def test_commands_and_clock_are_those_of_the_node(kind):
    """The operator's closed form gives what the node's clock makes of the operator's own commands."""
    lane = lane_at(kind)
    operator, env = lane.observer.operator, lane.env
    assert isinstance(operator, SeatOperator)
    clocks = [GaitClock(GAIT.step_s, FADE_STEPS) for _ in range(4)]
    for frame in range(env.clip.num_frames + 200):
        env.frame[:] = frame
        command, phase = operator.command(), operator.phase()
        given = np.array([clock.update(row, 0.02) for clock, row in zip(clocks, command, strict=True)])
        np.testing.assert_allclose(phase, given, atol=0.12)  # a period earlier or later
        times = plan(kind).timeline
        assert times is not None
        back = times.down_s + 0.3 if np.isinf(times.rise_s) else times.rise_s
        if times.down_s + 0.1 < frame / 50.0 < back - 0.1:
            assert (command[:, 0] < -0.05).all()
        if times.rise_s + 0.1 < frame / 50.0 < times.walk_s - RAMP_S - 0.1:
            assert (np.abs(command[:, 0]) < 0.05).all()


def test_teachers_at_a_seat_are_told_of_balance_and_not_of_place():
    lane = lane_at(SIT)
    frames = np.full(4, 150)
    lane.env.reset(np.arange(4), frames)
    lane.env.physics.qpos[1, :2] += (0.05, -0.1)
    np.testing.assert_allclose(lane.knowable_error()[1], lane.knowable_error()[0], atol=1e-6)
    assert lane.upright().all() and not lane.fallen().any()
    lane.env.physics.qpos[2, 0] += 0.3
    assert lane.upright().tolist() == [True, True, False, True]


def test_feet_that_came_otherwise_stay_no_error_of_the_pelvis():
    lane = lane_at(SIT)
    for frame in (0, 100, 250):
        lane.reset(np.arange(4), np.full(4, frame))
        feet, _ = foot_poses(lane.env.physics.qpos)
        planned_feet, _ = foot_poses(lane.env.reference_qpos[[frame]])
        apart = np.linalg.norm(feet[:, 0] - feet[:, 1], axis=1) - np.linalg.norm(
            planned_feet[0, 0] - planned_feet[0, 1]
        )
        assert np.abs(apart).max() > 0.005 and np.abs(apart).max() < 0.12
        assert np.abs(lane.knowable_error()[:, :3]).max() < 0.01


def test_gains_of_one_seat_are_in_step_at_another():
    own, wanted = SitTimeline(0.6, 3.6, 5.0, np.inf), SitTimeline(0.6, 3.6, 6.0, np.inf)
    frames = donor_frames(own, wanted, 500, 50.0, 450)
    np.testing.assert_array_equal(frames[:250], np.arange(250))
    np.testing.assert_array_equal(frames[250:300], 250)  # a longer rest
    np.testing.assert_array_equal(frames[300:480], np.arange(250, 430))
    assert frames[-1] == 449
    donor = LqrTeacher(np.random.default_rng(0).normal(size=(450, 23, 59)))
    given = seat_transferred(donor, own, wanted, 500, 50.0)
    np.testing.assert_array_equal(given.gains[320, :, :-1], donor.gains[270, :, :-1])
    assert not given.gains[:, :, -1].any()


@pytest.mark.parametrize("rise_s", [6.0, np.inf])
def test_who_stands_at_a_seat_stands_by_a_walks_gains(rise_s):
    """Where nobody can sit, all the time; else until it is told to sit, and again when it stands."""
    seat = LqrTeacher(np.ones((600, 23, 59)), 0.4)
    walk = LqrTeacher(np.full((3, 23, 59), 5.0), 0.3)
    times = SitTimeline(0.6, 3.6 if np.isfinite(rise_s) else np.inf, rise_s, np.inf)
    gains = standing_as_a_walk_does(seat, walk, times, 50.0).gains[:, 0, 0]
    if np.isinf(rise_s):
        np.testing.assert_array_equal(gains, 5.0)
        return
    np.testing.assert_array_equal(gains[[0, 10, 40, 300, 445]], [5.0, 5.0, 1.0, 1.0, 1.0])
    assert gains[-1] == 5.0 and np.abs(np.diff(gains)).max() < 0.4  # no jump


class StillRobots:
    """As much of the benchmark's robots as tells who sits."""

    def __init__(self, model: mujoco.MjModel, scene: SceneAsset, qpos: np.ndarray, target: np.ndarray) -> None:
        self.models, self.num = [model], 1
        self.episodes = [Episode(scene, 0.5, 0.2, 20.0, seat_m=0.4)]
        self.physics = type("State", (), {"qpos": qpos[None], "qvel": np.zeros((1, model.nv))})()
        self.target = target[None]


def test_who_sits_is_borne_by_the_seat_and_still():
    lane = lane_at(SIT)
    times = plan(SIT).timeline
    assert times is not None
    seated = round((times.seated_s + 0.4) * 50)
    for frame, expected in ((seated, True), (10, False)):
        qpos, target = lane.env.reference_qpos[frame].copy(), lane.env.reference_target[frame]
        robots = StillRobots(lane.env.model, lane.motion.scene, qpos, target)
        support = SeatSupport(robots)  # type: ignore[arg-type]
        robots.physics.qpos[0, 2] -= 0.002 * expected  # settled into the contact
        assert bool(support.look(np.arange(1))[0][0]) == expected
        assert (support.share(0) > LEAST_SHARE) == expected
        robots.physics.qvel[0, 0] = 0.2
        assert not support.look(np.arange(1))[0][0]


def test_the_benchmarks_seats_are_behind_the_heels():
    for index, course in enumerate(chosen_courses(("sit_stand",))):
        way = course.make(index, np.random.default_rng(index))
        (box,) = way.scene.boxes
        assert box.top == pytest.approx((0.35, 0.40, 0.45, 0.50)[index]) == way.seat_m
        assert 0.11 <= 0.034 - (box.center_world[0] + box.half_size[0]) <= 0.15


def test_kinds_are_named(tmp_path: Path):
    assert planned.KINDS[:5] == ("flat", "arc", "stairs_up", "stairs_down", "kerb")  # seeds of motions count on it
