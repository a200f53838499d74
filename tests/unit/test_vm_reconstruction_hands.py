"""Contacts by two thresholds: feet, and hands that rest on the scene and are held in the joint optimization."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vm_reconstruction.body_model import rest_positions
from vm_reconstruction.datasets.make_dataset import DatasetConfig, make_dataset
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.frontends.noisy_oracle import observe
from vm_reconstruction.frontends.oracle_noise import OracleNoise
from vm_reconstruction.human_motion import CONTACT_NAMES, HAND_NAMES, HumanMotion, joint_index
from vm_reconstruction.retarget import targets
from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.solver.joint import contacts, solve
from vm_reconstruction.solver.joint.skeleton import TOTAL_POINTS
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
