"""Contacts by two thresholds of motion and distance: feet, seat, and hands that rest on the scene and are held."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_reconstruction.body_model import rest_positions
from vm_reconstruction.datasets.make_dataset import DatasetConfig, make_dataset
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.frontends.noisy_oracle import observe
from vm_reconstruction.frontends.oracle_noise import OracleNoise
from vm_reconstruction.human_motion import CONTACT_NAMES, HAND_NAMES, HumanMotion, joint_index
from vm_reconstruction.retarget import targets
from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.solver.joint import contacts, solve, surfaces
from vm_reconstruction.solver.joint.skeleton import NECK_POINT, PELVIS, SOLES, TOTAL_POINTS
from vm_reconstruction.stages import contacts as stage
from vm_reconstruction.stages.stillness import hysteresis, stance

FPS, HEIGHT = 30.0, 1.75


def _leaning(gap_m: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (T, 19, 3) with the left hand's knuckles gap_m (T,) over a table at z = 0.8, the camera, the table."""
    frames = len(gap_m)
    points = np.zeros((frames, TOTAL_POINTS, 3))
    points[:, POINTS.index("left_wrist")] = [0.5, 0.3, 0.8 + contacts.FINGERS_SHARE * HEIGHT]
    points[:, POINTS.index("left_wrist"), 2] += gap_m
    points[:, POINTS.index("left_elbow")] = points[:, POINTS.index("left_wrist")] + [0.0, 0.0, 0.25]
    grid = np.mgrid[0.2:0.8:0.03, 0.0:0.6:0.03].reshape(2, -1)
    return points, np.tile([0.5, -4.0, 1.5], (frames, 1)), np.column_stack([*grid, np.full(grid.shape[1], 0.8)])


def test_a_resting_hand_is_kept_until_it_leaves() -> None:
    parts = np.linspace(0.5, 0.02, 20), np.full(30, 0.02), np.linspace(0.02, 0.08, 20), np.linspace(0.1, 0.6, 20)
    gap = np.concatenate(parts)
    points, camera, table = _leaning(gap)
    found = contacts.resting_hands(points, camera, FPS, table, HEIGHT)
    assert found[25:65, 0].all() and not found[:15, 0].any() and not found[75:, 0].any()
    assert not found[:, 1].any()
    assert not contacts.resting_hands(points, camera, FPS, table[:0], HEIGHT).any()
    only_near, camera, table = _leaning(np.full(60, 0.08))
    assert not contacts.resting_hands(only_near, camera, FPS, table, HEIGHT).any()


def _standing(frames: int = 60) -> np.ndarray:
    """Points (T, 19, 3) [m] of somebody who stands still at the origin."""
    rest, points = rest_positions(HEIGHT), np.zeros((frames, TOTAL_POINTS, 3))
    points[:, : len(POINTS)] = rest[[joint_index(name) for name in POINTS]]
    points[:, PELVIS], points[:, NECK_POINT] = rest[joint_index("pelvis")], rest[joint_index("neck")]
    return points


def _floor(z: float, half_m: float = 1.0) -> np.ndarray:
    grid = np.mgrid[-half_m:half_m:0.03, -half_m:half_m:0.03].reshape(2, -1)
    return np.column_stack([grid.T, np.full(grid.shape[1], z)])


def _flags(points: np.ndarray, cloud: np.ndarray) -> np.ndarray:
    above = np.append(np.zeros(4), solve.SEAT_SHARE * HEIGHT)
    over = surfaces.heights_over(points[:, [*SOLES, PELVIS]], above, cloud)
    return contacts.still_points(points, np.tile([-4.0, 0.0, 1.5], (len(points), 1)), FPS, over=over)


@given(st.floats(-0.04, 0.04), st.floats(0.18, 0.4), st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_a_foot_held_in_the_air_does_not_rest_where_the_ground_is_seen(wrong: float, lifted: float, seed: int) -> None:
    """However the floor's seen height errs; it rests again where it comes down, and where no ground was seen."""
    points, left = _standing(), [POINTS.index("left_heel"), POINTS.index("left_toe")]
    points[:20, left, 2] += lifted
    ground = _floor(wrong) + 0.01 * np.random.default_rng(seed).standard_normal((1, 3)) * [1, 1, 0]
    flags = _flags(points, ground)
    assert not flags[:18, :2].any() and flags[25:, :2].all() and flags[:, 2:4].all()
    assert _flags(points, ground[:0])[:15, :2].all()
    beside = ground[ground[:, 1] < points[0, left[0], 1] - 0.15]  # the left foot's ground is hidden
    assert _flags(points, beside)[:15, :2].all()


def test_contact_with_the_ground_lasts_farther_than_it_begins() -> None:
    points, left = _standing(), [POINTS.index("left_heel"), POINTS.index("left_toe")]
    points[:, left, 2] += 0.10  # between the two limits
    assert not _flags(points, _floor(0.0))[:, :2].any()
    points[:30, left, 2] -= 0.10
    for gap in (0.0, 0.05):  # a slow rise from the ground to there
        points[30:, left, 2] = points[0, left, 2] + np.linspace(0.0, 0.10 - gap, 30)[:, None]
        assert _flags(points, _floor(0.0))[:, :2].all()


@pytest.mark.parametrize(("seat_m", "sits"), [(0.0, True), (0.05, True), (-0.2, False), (-0.6, False)])
def test_who_squats_over_the_floor_does_not_sit(seat_m: float, sits: bool) -> None:
    """The pelvis is low and still both times; what is seen under it decides, and unseen it is believed."""
    points = _standing(120)
    points[70:, PELVIS] -= [0.3, 0.0, 0.45]
    under = points[-1, PELVIS, 2] - solve.SEAT_SHARE * HEIGHT + seat_m
    bench = _floor(under, 0.3) + np.array([points[-1, PELVIS, 0], 0.0, 0.0])
    floor = _floor(0.0)
    seen = _flags(points, np.concatenate([floor[np.abs(floor[:, 0] - bench[:, 0].mean()) > 0.3], bench]))
    assert bool(seen[80:, 4].all()) == sits == bool(seen[:, 4].any()) and not seen[:68, 4].any()
    assert _flags(points, floor[:0])[80:, 4].all()


def test_hysteresis_begins_at_one_threshold_and_ends_at_another() -> None:
    begins, lasts = np.array([[0, 1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 1, 1]], bool)
    np.testing.assert_array_equal(hysteresis(begins, lasts), np.array([1, 1, 1, 0, 0, 0, 0], bool))


def test_a_foot_that_only_slows_down_does_not_rest() -> None:
    """A stance begins below one speed and lasts below a higher one; what never gets below the first is none."""
    slowing = np.concatenate([np.full(20, 1.5), np.full(12, 0.3), np.full(20, 1.5)])
    resting = slowing.copy()
    resting[20:26] = 0.05
    assert not stance(slowing, (0.25, 0.35), FPS).any()
    np.testing.assert_array_equal(np.flatnonzero(stance(resting, (0.25, 0.35), FPS)), np.arange(20, 32))


@pytest.mark.parametrize(("shoulder_m", "wrist_m", "held"), [(0.4, 0.0, True), (0.0, 0.0, False), (0.4, 0.4, False)])
def test_without_depth_a_hand_is_held_if_the_body_moves_past_it(shoulder_m: float, wrist_m: float, held: bool) -> None:
    """A rail that is walked past; not arms that hang while somebody stands, nor arms that go along."""
    joints, share = np.tile(rest_positions(HEIGHT), (60, 1, 1)), np.linspace(0.0, 1.0, 60)
    joints[..., 0] += shoulder_m * share[:, None]
    joints[:, joint_index("left_wrist"), 0] += (wrist_m - shoulder_m) * share
    left, right = stage.hand_contacts(joints, FPS)
    assert bool(left.all()) == held == bool(left.any()) and not right.any()


def test_a_held_hand_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a hand rests the solver keeps it where it is."""
    folder = make_dataset(DatasetConfig(tmp_path, videos=1, fps=15.0, pictures=False, depth_px=64))[0]
    seen = observe(VideoTruth.load(folder), OracleNoise(), seed=3)
    free = solve.solve(seen).people[0]
    assert free.contact_names[-2:] == ("left_hand", "right_hand") and not free.touches("left_hand").any()
    rests = np.zeros((seen.num_frames, 2))
    rests[:8, 0] = 1.0
    monkeypatch.setattr(contacts, "resting_hands", lambda *_: rests)
    held = solve.solve(seen).people[0]
    assert held.touches("left_hand")[:8].all() and not held.touches("left_hand")[8:].any()
    way = [np.linalg.norm(np.diff(motion.joint("left_wrist")[:8], axis=0), axis=1).sum() for motion in (held, free)]
    assert way[0] < 0.5 * way[1]


def test_the_robot_leans_where_the_motion_says() -> None:
    """Retargeting believes the motion about hands, and looks for slow ones if it does not tell."""
    joints = np.tile(rest_positions(HEIGHT), (6, 1, 1))
    flags = np.zeros((6, 5))
    flags[2:4, 3] = 1.0
    quats = np.tile([1.0, 0.0, 0.0, 0.0], (6, joints.shape[1], 1))
    told = HumanMotion(FPS, HEIGHT, joints, quats, flags, np.ones(6), contact_names=(*CONTACT_NAMES, *HAND_NAMES))
    untold = HumanMotion(FPS, HEIGHT, joints, quats, flags[:, :3], np.ones(6))
    knuckles = told.joint("left_wrist")
    assert targets.lies_still(told, "left", knuckles).tolist() == [False, False, True, True, False, False]
    assert targets.lies_still(untold, "left", knuckles).all()
