"""The vertical from straight edges: found among clutter, left alone where few agree, weighed by how sure it is."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vm_reconstruction.geometry import vertical_lines
from vm_reconstruction.stages import body, gravity, straight_edges
from vm_reconstruction.stages.camera import CameraMotion

FOCAL, WIDTH, HEIGHT, FRAMES = 800.0, 540, 960, 20
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1.0]])
LEVEL = Rotation.from_matrix(np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]]))  # camera to world, z up
SEEDS = st.integers(0, 2**31 - 1)


def segments_of(rng, turn, directions):
    """Segments (N, 4) [px] of edges along directions (N, 3) [world], seen by a camera turned so, ends 0.5 px off."""
    found = []
    for direction in directions:
        seen = np.zeros(4)
        while np.hypot(*(seen[2:] - seen[:2])) < 40:
            a = np.append((rng.uniform([20, 20], [WIDTH - 20, HEIGHT - 20]) - K[:2, 2]) / FOCAL, 1) * rng.uniform(2, 6)
            ends = np.stack([a, a + turn.inv().apply(direction) * rng.uniform(0.3, 1.5)])
            if ends[1, 2] > 0.3:
                seen = (ends[:, :2] / ends[:, 2:] * FOCAL + K[:2, 2]).ravel()
        found.append(seen + rng.normal(0, 0.5, 4))
    return np.array(found).reshape(-1, 4)


def filmed(seed, upright=8, level=8, clutter=8):
    """Edges of each kind in every frame of a panning camera, and up in the first camera's axes."""
    rng = np.random.default_rng(seed)
    tilt = [rng.uniform(-20, 20), rng.uniform(-8, 8)]
    first = Rotation.from_euler("z", rng.uniform(0, 360), True) * LEVEL * Rotation.from_euler("xz", tilt, True)
    walls = Rotation.from_euler("z", rng.uniform(0, 90), True).as_matrix()[:2]
    segments, frame, turned = [], [], []
    for t in range(FRAMES):
        turn = first * Rotation.from_rotvec(rng.normal(0, 0.06, 3))
        any_way = rng.normal(size=(clutter, 3))
        kinds = [np.tile([0, 0, 1.0], (upright, 1)), walls[rng.integers(2, size=level)]]
        kinds.append(any_way / np.linalg.norm(any_way, axis=1, keepdims=True))
        segments.append(segments_of(rng, turn, np.concatenate(kinds)))
        frame.append(np.full(len(segments[-1]), t))
        turned.append((turn.inv() * first).as_matrix())
    camera = CameraMotion(
        K, np.array(turned), np.zeros(FRAMES), np.zeros(FRAMES), "", np.concatenate(segments), np.concatenate(frame)
    )
    up = first.inv().apply([0, 0, 1.0])
    return camera, up, tipped(up, rng, 10.0)


def tipped(up, rng, most_deg):
    axis = np.cross(up, rng.normal(size=3))
    return Rotation.from_rotvec(axis / np.linalg.norm(axis) * np.radians(rng.uniform(0, most_deg))).apply(up)


@settings(max_examples=12, deadline=None)
@given(SEEDS)
def test_up_is_found_among_level_edges_and_clutter(seed):
    camera, up, rough = filmed(seed)
    found = gravity.upright_edges(rough, camera)
    assert found is not None and gravity.angle_deg(found.up, up) < 0.5
    assert found.frames == FRAMES and found.count > 0.7 * 8 * FRAMES
    assert np.abs(found.information @ found.up).max() < 1e-6 * np.abs(found.information).max()


@settings(max_examples=12, deadline=None)
@given(SEEDS)
def test_the_blend_is_nearer_to_the_truth_than_the_rough_vertical(seed):
    camera, up, rough = filmed(seed)
    blend = vertical_lines.blended(rough, np.radians(3.0), gravity.upright_edges(rough, camera))
    before, after = gravity.angle_deg(rough, up), gravity.angle_deg(blend.up, up)
    assert after < max(0.5, 0.5 * before)
    assert 0.5 < blend.share < 1.0 and np.linalg.eigvalsh(blend.covariance).max() < np.radians(3.0) ** 2


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.sampled_from([(0, 8, 0), (0, 0, 0)]))
def test_where_nothing_is_upright_nothing_is_found(seed, kinds):
    camera, _, rough = filmed(seed, *kinds)
    if (found := gravity.upright_edges(rough, camera)) is not None:  # level edges may point at the camera by chance
        assert vertical_lines.blended(rough, np.radians(3.0), found).share < 0.95


def test_too_few_edges_leave_the_vertical_where_it_was():
    camera, up, rough = filmed(3, upright=8, level=0, clutter=0)
    few = np.arange(vertical_lines.FEWEST - 1)
    frame = camera.segment_frame[few]
    none = np.zeros(FRAMES)
    fewer = CameraMotion(K, camera.R_cam_first, none, none, "", camera.segments_px[few], frame)
    assert gravity.upright_edges(up, fewer) is None
    blend = vertical_lines.blended(rough, np.radians(3.0), None)
    np.testing.assert_array_equal(blend.up, rough)
    assert blend.share == 0.0


def test_edges_in_the_middle_of_the_picture_tell_roll_but_not_pitch():
    """They pass the centre whatever the pitch is: the vertical stays as rough there as it was."""
    x = WIDTH / 2 + np.linspace(-3, 3, 40)
    segments = np.column_stack([x, np.full(40, 100.0), x, np.full(40, 800.0)])
    found = vertical_lines.vertical(
        vertical_lines.plane_normals(segments, K), vertical_lines.turn_std(segments), np.arange(40),
        Rotation.from_euler("xz", [5.0, 5.0], True).apply([0, -1.0, 0]), np.array([0, 0, 1.0]),
    )  # fmt: skip
    assert found is not None
    best, worst = found.std_deg
    assert best < 1.0 and worst > 10.0
    rough = Rotation.from_euler("xz", [5.0, 5.0], True).apply([0, -1.0, 0])
    up = vertical_lines.blended(rough, np.radians(3.0), found).up
    pitch, roll = gravity.tilt_deg(up)
    assert abs(roll) < 1.0 and abs(pitch - gravity.tilt_deg(rough)[0]) < 1.5


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_segments_that_cross_the_person_are_left_out(share):
    picture = np.full((480, 640), 200, np.uint8)
    cv2.rectangle(picture, (300, 60), (360, 420), 40, -1)
    background = np.full(picture.shape, 255, np.uint8)
    background[100:380, 250 : 250 + int(60 + 60 * share)] = 0  # covers the left edge alone, or both
    found = straight_edges.straight_edges(picture, background)
    upright = found[np.abs(found[:, 0] - found[:, 2]) < 2]
    assert len(upright) == (0 if share else 1)
    assert share or abs(upright[0, 0] - 360) < 2


def test_a_picture_without_edges_and_frames_that_are_looked_at():
    edges = straight_edges.EdgeCollector(300)
    for t in range(300):
        edges.add(t, np.full((48, 64), 90, np.uint8), np.full((48, 64), 255, np.uint8))
    segments, frame = edges.found()
    assert segments.shape == (0, 4) and frame.shape == (0,)
    picture = np.full((480, 640), 200, np.uint8)
    cv2.rectangle(picture, (300, 60), (360, 420), 40, -1)
    edges = straight_edges.EdgeCollector(300)
    for t in range(300):
        edges.add(t, picture if t in (0, 7, 299) else picture[:48, :64], np.full(picture.shape, 255, np.uint8))
    assert set(edges.found()[1].tolist()) == {0, 299}


def test_edges_around_people_at_the_masks_size():
    """A post that somebody stands before is not seen; the other one is."""
    picture = np.full((480, 640, 3), 200, np.uint8)
    for left in (100, 400):
        cv2.rectangle(picture, (left, 60), (left + 60, 420), (40, 40, 40), -1)
    masks = np.zeros((1, 48, 64), bool)
    masks[0, 10:40, 8:18] = True
    segments, frame = straight_edges.around_people([picture], masks)
    upright = segments[np.abs(segments[:, 0] - segments[:, 2]) < 2]
    assert len(upright) == 2 and (upright[:, 0] > 390).all() and (frame == 0).all()


def test_what_told_the_vertical_is_kept_with_the_body(tmp_path):
    values = np.zeros((2, 21, 3)), np.zeros((2, 4, 4)), K, np.zeros(2), np.zeros(2), np.zeros(3), np.zeros(2)
    body.BodyTrack(*values, "upright edges 80 %").save(tmp_path / "body.npz")
    assert body.BodyTrack.load(tmp_path / "body.npz").vertical_source == "upright edges 80 %"
    body.BodyTrack(*values).save(tmp_path / "body.npz")
    assert body.BodyTrack.load(tmp_path / "body.npz").vertical_source == ""
