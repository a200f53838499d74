"""The ego view: depth is metric and where the camera looks, hidden robots are not seen, meshes are."""

import os

os.environ.setdefault("MUJOCO_GL", "egl")

import numpy as np
import pytest
import trimesh
from test_vm_reconstruction_retarget import motion_of, standing

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.render.ego_video import write_ego
from vm_reconstruction.render.ego_view import EgoConfig, Place, camera_poses, ego_frames
from vm_reconstruction.retarget import retarget


@pytest.fixture(scope="module")
def clip():
    joints, contact = standing(3)
    return retarget(motion_of(joints, contact), SceneAsset()).clip


def plane_depth(T: np.ndarray, config: EgoConfig, height_m: float) -> np.ndarray:
    """Depth (h, w) [m] of a level plane along the optical axis; only for rays that go down."""
    v, u = np.mgrid[: config.height, : config.width] + 0.5
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(config.matrix).T @ T[:3, :3].T
    return (height_m - T[2, 3]) / np.minimum(rays[..., 2], -1e-6)


def test_depth_is_metric_with_the_robot_hidden(clip):
    config = EgoConfig(160, 120, robot=False)
    box = SceneBox((1.0, 0.0, 0.1), (0.3, 3.0, 0.1), label="step")
    picture, depth = next(ego_frames(clip, SceneAsset(boxes=(box,)), config))
    T = camera_poses(clip)[0]
    ground = plane_depth(T, config, 0.0)
    assert picture.shape == (120, 160, 3)
    lower = np.s_[100:, :]  # just before the feet, the ground
    np.testing.assert_allclose(depth[lower], ground[lower], rtol=0.01)
    on_top = plane_depth(T, config, 0.2)
    assert (np.abs(depth - on_top) < 0.01).mean() > 0.15  # and the step's top further up
    assert T[2, 3] > 1.0 and T[2, 2] < -0.5  # the camera is high and looks down


def test_arms_are_seen_only_when_shown(clip):
    shown, hidden = (
        next(ego_frames(clip, SceneAsset(), EgoConfig(160, 120, 100.0, robot)))[1] for robot in (True, False)
    )
    assert ((hidden - shown) > 0.2).mean() > 0.02


def test_a_mesh_of_the_place_is_drawn(clip, tmp_path):
    trimesh.creation.box((4.0, 4.0, 0.1), trimesh.transformations.translation_matrix([0, 0, 0.35])).export(
        tmp_path / "place.ply"
    )
    config = EgoConfig(160, 120, robot=False)
    depth = next(ego_frames(clip, SceneAsset(), config, Place(tmp_path / "place.ply")))[1]
    np.testing.assert_allclose(depth[100:], plane_depth(camera_poses(clip)[0], config, 0.4)[100:], rtol=0.01)
    smaller = next(ego_frames(clip, SceneAsset(), config, Place(tmp_path / "place.ply", 0.5)))[1]
    np.testing.assert_allclose(smaller[100:], plane_depth(camera_poses(clip)[0], config, 0.2)[100:], rtol=0.01)
    (tmp_path / "bad.ply").write_text("no mesh")
    with pytest.raises(VmError, match="no readable mesh"):
        next(ego_frames(clip, SceneAsset(), config, Place(tmp_path / "bad.ply")))


def test_files(clip, tmp_path):
    write_ego(tmp_path, clip, SceneAsset(), EgoConfig(64, 48))
    with np.load(tmp_path / "ego.npz", allow_pickle=False) as data:
        assert data["rgb"].shape == (3, 48, 64, 3) and data["depth"].dtype == np.float16
        assert data["T_world_camera"].shape == (3, 4, 4)
    assert (tmp_path / "ego.mp4").stat().st_size > 500
