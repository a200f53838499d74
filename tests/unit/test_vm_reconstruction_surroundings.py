"""The whole place from depth: a room whose walls and table are known, filmed by a camera that moves sideways."""

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
import trimesh

from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.body_model import rest_positions, segment_quats
from vm_reconstruction.geometry import fusion, pieces, planes, surface_nets
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.observations import Observations
from vm_reconstruction.stages import surroundings as stage

FRAMES, WIDTH, HEIGHT, FOCAL = 8, 160, 108, 100.0
MATRIX = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1.0]])
TABLE = SceneBox((2.4, 0.6, 0.35), (0.4, 0.5, 0.35), 0.0, "table")
WALL_X = 4.0


def poses() -> np.ndarray:
    """Looks along x and 20 degrees down, from 1.6 m, while it moves along y."""
    c, s = np.cos(np.radians(20.0)), np.sin(np.radians(20.0))
    T = np.tile(np.eye(4), (FRAMES, 1, 1))
    T[:, :3, :3] = np.stack([[0.0, -1.0, 0.0], [-s, 0.0, -c], [c, 0.0, -s]], axis=1)
    T[:, :3, 3] = np.column_stack([np.zeros(FRAMES), np.linspace(-0.6, 0.6, FRAMES), np.full(FRAMES, 1.6)])
    return T


def depth_of(T: np.ndarray) -> np.ndarray:
    """(h, w) [m]: the nearest of floor, wall and table."""
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(MATRIX).T @ T[:3, :3].T
    eye = T[:3, 3]
    with np.errstate(divide="ignore"):
        floor = np.where(rays[..., 2] < 0, -eye[2] / rays[..., 2], np.inf)
        wall = np.where(rays[..., 0] > 0, (WALL_X - eye[0]) / rays[..., 0], np.inf)
        sides = (np.array(TABLE.center_world) + np.array([[-1], [1]]) * TABLE.half_size - eye)[:, None, None] / rays
    enter, leave = sides.min(axis=0).max(axis=-1), sides.max(axis=0).min(axis=-1)
    table = np.where((enter < leave) & (enter > 0), enter, np.inf)
    return np.minimum(np.minimum(floor, wall), table)


@pytest.fixture(scope="module")
def observed() -> Observations:
    T = poses()
    depth = np.stack([depth_of(pose) for pose in T]).astype(np.float16)
    return Observations(
        30.0, (WIDTH, HEIGHT), MATRIX, T[:, :3, :3], T[:, :3, 3], depth, np.zeros(depth.shape, np.uint8),
        np.array([0.0, -1.0, 0.0]), (),
    )  # fmt: skip


def standing_at(x: float, y: float) -> HumanMotion:
    joints = np.tile(rest_positions(1.75), (FRAMES, 1, 1)) + [x, y, 0.0]
    return HumanMotion(30.0, 1.75, joints, segment_quats(joints), np.ones((FRAMES, 3)), np.ones(FRAMES))


def off_the_room(points: np.ndarray) -> np.ndarray:
    """How far points (N, 3) are from the nearest surface of floor, wall and table [m]."""
    away = np.abs(points - TABLE.center_world) - TABLE.half_size
    table = np.abs(np.linalg.norm(np.maximum(away, 0.0), axis=1) + np.minimum(away.max(axis=1), 0.0))
    return np.minimum.reduce([np.abs(points[:, 2]), np.abs(points[:, 0] - WALL_X), table])


def test_the_mesh_lies_on_what_was_seen_and_faces_the_cameras(observed: Observations) -> None:
    found = stage.surroundings(observed, 1.0, poses(), [standing_at(2.0, -0.8)], SceneAsset())
    off = off_the_room(found.vertices)
    assert len(found.faces) > 3000 and np.median(off) < 0.01 and np.percentile(off, 95) < 0.05
    mesh = trimesh.Trimesh(found.vertices, found.faces, process=False)
    toward = poses()[0, :3, 3] - mesh.triangles_center
    assert np.mean(np.sum(mesh.face_normals * toward, axis=1) > 0) > 0.9


def test_what_flies_in_one_frame_leaves_nothing(observed: Observations) -> None:
    low, high = np.array([1.0, -1.0, -0.3]), np.array([3.5, 1.2, 1.5])
    maps = observed.depth.astype(np.float32)
    flying = maps.copy()
    flying[4, 34:50, 68:84] *= 0.6
    with_it, without = (
        surface_nets.surface(fusion.fused(m, MATRIX, poses(), low, high))[0] for m in (flying, maps)
    )  # fmt: skip
    assert off_the_room(with_it).max() < off_the_room(without).max() + 0.03


def test_pieces_are_few_convex_and_carry_what_is_put_on_them(observed: Observations, tmp_path: Path) -> None:
    scene = SceneAsset()
    found = stage.surroundings(observed, 1.0, poses(), [standing_at(2.0, -0.8)], scene)
    assert 2 <= len(found.pieces) <= 10
    for piece in found.pieces:
        assert trimesh.convex.convex_hull(piece.corners).is_watertight
        assert off_the_room(piece.corners).max() < 0.2
    stage.save(found, scene, tmp_path / "surroundings")
    spec = mujoco.MjSpec.from_file(str(tmp_path / "surroundings" / "scene.xml"))
    cube = spec.worldbody.add_body(name="cube", pos=[2.4, 0.6, 0.80])
    cube.add_freejoint()
    cube.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.02] * 3, mass=0.1)
    model = spec.compile()
    data = mujoco.MjData(model)
    while data.time < 1.0:
        mujoco.mj_step(model, data)
    assert data.qpos[2] - 0.02 == pytest.approx(TABLE.top, abs=0.02)


def test_what_the_scene_has_is_not_told_twice(observed: Observations) -> None:
    person = [standing_at(2.0, -0.8)]
    over_table = np.array([[2.4, 0.6, TABLE.top - 0.04]])
    free = stage.surroundings(observed, 1.0, poses(), person, SceneAsset())
    known = stage.surroundings(observed, 1.0, poses(), person, SceneAsset(boxes=(TABLE,)))
    assert max(piece.depth_of(over_table)[0] for piece in free.pieces) > 0.0
    assert max(piece.depth_of(over_table)[0] for piece in known.pieces) < 0.0


def test_a_floor_that_bends_far_away_is_no_slab() -> None:
    points = np.array([[0.0, 0.0, 0.12], [0.0, 0.0, 0.12], [0.0, 0.0, 0.05], [0.0, 0.0, 0.5]])
    found = stage._unknown(points, np.array([1.5, 4.0, 1.5, 4.0]), SceneAsset())
    assert found.tolist() == [True, False, False, True]


def test_nothing_stands_where_somebody_walked(observed: Observations) -> None:
    beside = standing_at(2.0, -0.8)
    joints = beside.joint_pos_world.copy()
    joints[3, 0] = 2.4, 0.6, TABLE.top - 0.5 * pieces.THICK_M  # once, in the middle of the table's top
    through = replace(beside, joint_pos_world=joints)
    found = [stage.surroundings(observed, 1.0, poses(), [person], SceneAsset()) for person in (beside, through)]
    deepest = [max(piece.depth_of(joints[3, :1])[0] for piece in one.pieces) for one in found]
    assert deepest[0] > pieces.DEEP_M > deepest[1]


def test_a_surface_told_twice_becomes_one() -> None:
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(0, 2, (2000, 2)), np.zeros(2000)])
    ghost, shelf = floor[:800] + [0.0, 0.0, 0.06], floor[:800] * [0.5, 0.5, 0.0] + [0.0, 0.0, 0.4]
    cloud = np.concatenate([floor, ghost, shelf])
    found = planes.find_planes(cloud, np.full(len(cloud), 0.02), 0.05, 5)
    assert len(found) == 3
    kept = pieces.without_ghosts(cloud, found)
    assert sorted(int(plane.members.sum()) for plane in kept) == [800, 2800]


def test_an_angle_is_not_filled() -> None:
    rng = np.random.default_rng(0)
    flat = rng.uniform(0, 3, (6000, 2))
    flat = flat[(flat < 0.8).any(axis=1)]
    angle = np.column_stack([flat, np.zeros(len(flat))])
    cameras = np.tile([1.0, 1.0, 2.0], (len(angle), 1))
    found = pieces.pieces(angle, cameras, np.full(len(angle), 0.02))
    assert len(found) >= 2 and max(piece.depth_of(np.array([[2.2, 2.2, -0.02]]))[0] for piece in found) < 0.0
    assert all(piece.corners[:, 2].max() < 0.01 < 0.05 < -piece.corners[:, 2].min() for piece in found)


def test_without_depth_there_is_nothing(observed: Observations, tmp_path: Path) -> None:
    blind = replace(observed, depth=np.zeros_like(observed.depth))
    found = stage.surroundings(blind, 1.0, poses(), [standing_at(0.0, 0.0)], SceneAsset())
    assert not found.pieces and not len(found.faces)
    stage.save(found, SceneAsset(), tmp_path / "surroundings")
    assert (tmp_path / "surroundings" / "scene.xml").is_file()
