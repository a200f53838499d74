"""Depth pictures: MuJoCo's renderer, the CPU's kernel and the array version see the same."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core import frames
from vm_core.depth_image import DepthSpec
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_sim.depth_camera import DepthScene, depth_images, trace
from vm_sim.depth_shapes import DepthCamera, camera_pose
from vm_sim.g1_model import load_g1_spec, stand_qpos
from vm_sim.objects import OBJECT_SCENES, ObjectSpec, add_object, object_qpos_address
from vm_sim.terrain import add_scene

SPEC = DepthSpec()
STEPS = SceneAsset(
    boxes=(SceneBox((1.2, 0.2, 0.1), (0.3, 0.5, 0.1), 0.4), SceneBox((0.4, -0.7, 0.3), (0.2, 0.2, 0.3), 0.0)),
    ground=(0.02, -0.03, 0.0),
)


def model_with(thing: ObjectSpec, scene: SceneAsset = STEPS) -> mujoco.MjModel:
    spec = load_g1_spec(wrists=False)
    add_scene(spec, scene)
    add_object(spec, thing)
    look = frames.quat_multiply(SPEC.quat_in_torso, frames.quat_from_rotvec(np.array([np.pi, 0.0, 0.0])))
    spec.body("torso_link").add_camera(name="depth", pos=SPEC.pos_in_torso, quat=look, fovy=SPEC.fov_deg)
    spec.visual.map.znear = 0.005
    return spec.compile()


def some_pose(model: mujoco.MjModel, seed: int) -> np.ndarray:
    """The robot bends, leans and lifts its arms; the object lies near its start, turned anyhow."""
    rng = np.random.default_rng(seed)
    qpos = stand_qpos(model)
    qpos[3:7] = frames.quat_from_rotvec(rng.normal(0.0, 0.15, 3))
    qpos[7:30] += rng.normal(0.0, 0.3, 23)
    at = object_qpos_address(model)
    qpos[at : at + 7] = model.qpos0[at : at + 7]
    qpos[at : at + 2] += rng.normal(0.0, 0.15, 2)
    qpos[at + 3 : at + 7] = frames.quat_from_rotvec(rng.normal(0.0, 1.0, 3))
    return qpos


def rendered(model: mujoco.MjModel, qpos: np.ndarray) -> np.ndarray:
    """MuJoCo's own depth (45, 80), of the same shapes."""
    data, options = mujoco.MjData(model), mujoco.MjvOption()
    data.qpos[:] = qpos
    mujoco.mj_forward(model, data)
    options.geomgroup[:] = [0, 0, 1, 1, 0, 0]
    hidden = model.geom("head_collision").id
    model.geom_group[hidden] = 5
    with mujoco.Renderer(model, SPEC.height, SPEC.width) as renderer:
        renderer.enable_depth_rendering()
        renderer.update_scene(data, "depth", options)
        return np.minimum(renderer.render(), SPEC.far_m)


def away_from_edges(depth: np.ndarray) -> np.ndarray:
    """Pixels whose neighbours lie on the same smooth surface."""
    steep = np.zeros(depth.shape, dtype=bool)
    for axis in (0, 1):
        step = np.abs(np.diff(depth, axis=axis)) > 0.05
        steep |= np.concatenate([step, np.zeros_like(depth.take([0], axis), bool)], axis=axis)
        steep |= np.concatenate([np.zeros_like(depth.take([0], axis), bool), step], axis=axis)
    return ~steep


@pytest.mark.parametrize("task", ["push_box", "kick_ball", "push_cube"])
def test_mujoco_renders_the_same(task):
    scene = OBJECT_SCENES[task]
    model = model_with(scene.thing, replace(STEPS, boxes=(*STEPS.boxes, *scene.furniture)))
    camera = DepthCamera([model])
    seen = set()
    for seed in range(4):
        qpos = some_pose(model, seed)
        ours, theirs = camera.render(qpos[None])[0], rendered(model, qpos)
        inner = away_from_edges(theirs) & away_from_edges(ours)
        assert inner.mean() > 0.6
        assert np.abs(ours - theirs)[inner].max() < 0.01, (task, seed)
        assert np.mean(np.abs(ours - theirs) > 0.01) < 0.04  # silhouettes: half a pixel of rasterization
        seen.update(np.round(ours[inner], 1))
    assert len(seen) > 5  # near arms, the object, the floor


def random_scene(seed: int, worlds: int = 3) -> tuple[np.ndarray, np.ndarray, DepthScene]:
    rng = np.random.default_rng(seed)

    def turns(*shape: int) -> np.ndarray:
        return frames.quat_from_rotvec(rng.normal(0.0, 1.5, (*shape, 3)))

    middle = rng.normal(0.0, 0.8, (worlds, 6, 1, 3))
    ends = middle + rng.normal(0.0, 0.25, (worlds, 6, 2, 3))
    ends[:, 0, 1] = ends[:, 0, 0]  # a ball
    return (
        rng.normal(0.0, 1.0, (worlds, 3)) + [0.0, 0.0, 1.5],
        turns(worlds),
        DepthScene(
            ends,
            rng.uniform(0.02, 0.2, (worlds, 6)),
            rng.normal(0.0, 1.0, (worlds, 4, 3)),
            turns(worlds, 4),
            rng.uniform(0.05, 0.6, (worlds, 4, 3)),
            rng.normal(0.0, 1.0, (worlds, 2, 3)),
            rng.uniform(0.05, 0.4, (worlds, 2)),
            np.concatenate([rng.normal(0.0, 0.1, (worlds, 2)), rng.normal(-1.0, 0.3, (worlds, 1))], axis=1),
        ),
    )


def outside(pos: np.ndarray, scene: DepthScene) -> np.ndarray:
    """(N,) cameras that sit in no shape; inside one, the two versions need not agree on what cannot happen."""
    box = frames.quat_rotate_inverse(scene.box_quat, pos[:, None] - scene.box_pos)
    free = ~np.any(np.all(np.abs(box) < scene.box_half + 1e-3, axis=-1), axis=1)
    free &= ~np.any(np.linalg.norm(pos[:, None] - scene.ball_pos, axis=-1) < scene.ball_radius + 1e-3, axis=1)
    axis = scene.capsule_ends[:, :, 1] - scene.capsule_ends[:, :, 0]
    away = pos[:, None] - scene.capsule_ends[:, :, 0]
    share = np.clip((away * axis).sum(-1) / np.maximum((axis * axis).sum(-1), 1e-12), 0.0, 1.0)
    return free & ~np.any(np.linalg.norm(away - share[..., None] * axis, axis=-1) < scene.capsule_radius + 1e-3, axis=1)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_the_kernel_and_the_array_version_agree(seed):
    pos, quat, scene = random_scene(seed)
    free = outside(pos, scene)
    fast, every_ray = depth_images(pos, quat, scene, SPEC)[free], trace(pos, quat, scene, SPEC)[free]
    differ = np.abs(fast - every_ray) > 1e-4
    assert differ.mean() < 2e-4, differ.sum()  # rays that graze a shape


def test_torch_sees_what_numpy_sees():
    pos, quat, scene = random_scene(5)
    wanted = trace(pos, quat, scene, SPEC)
    tensors = DepthScene(*(torch.from_numpy(values) for values in scene.arrays()))
    np.testing.assert_allclose(trace(torch.from_numpy(pos), torch.from_numpy(quat), tensors, SPEC).numpy(), wanted,
                               atol=1e-6)  # fmt: skip
    fast = depth_images(torch.from_numpy(pos), torch.from_numpy(quat), tensors, SPEC)
    assert isinstance(fast, torch.Tensor) and fast.dtype == torch.float32
    np.testing.assert_array_equal(fast.numpy(), depth_images(pos, quat, scene, SPEC))


def test_a_wall_is_as_far_as_it_is():
    """A camera looking level at a wall 1.5 m ahead: every pixel of the wall has this depth along the axis."""
    spec = replace(SPEC, tilt_rad=0.0, pos_in_torso=(0.0, 0.0, 0.0))
    pos, quat = camera_pose(np.array([[0.0, 0.0, 1.0]]), np.array([[1.0, 0.0, 0.0, 0.0]]), spec)
    empty = {"capsule_ends": np.zeros((1, 0, 2, 3)), "capsule_radius": np.zeros((1, 0)),
             "ball_pos": np.zeros((1, 0, 3)), "ball_radius": np.zeros((1, 0))}  # fmt: skip
    wall = DepthScene(box_pos=np.array([[[2.0, 0.0, 1.0]]]), box_quat=np.array([[[1.0, 0.0, 0.0, 0.0]]]),
                      box_half=np.array([[[0.5, 5.0, 0.3]]]), ground=np.array([[0.0, 0.0, -9.0]]), **empty)  # fmt: skip
    depth = depth_images(pos, quat, wall, spec)[0]
    rows = np.abs(spec.rays[:, 0, 1]) * 1.5 < 0.3
    np.testing.assert_allclose(depth[rows], 1.5, atol=1e-6)
    np.testing.assert_array_equal(depth[~rows], spec.far_m)
    # a camera rolled by 180 degrees sees the floor above
    low = replace(wall, ground=np.array([[0.0, 0.0, 0.0]]))
    assert depth_images(pos, quat, low, spec)[0, -1].mean() < depth_images(pos, quat, low, spec)[0, 0].mean()


def test_scaled_depths_have_the_networks_range():
    np.testing.assert_allclose(SPEC.scaled(np.array([0.0, 0.1, 1.05, 2.0, 9.0])), [-0.5, -0.5, 0.0, 0.5, 0.5],
                               atol=1e-9)  # fmt: skip
