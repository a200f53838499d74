"""Does a found scene carry what is put on it: cubes dropped on every box and on the ground, in MuJoCo."""

from __future__ import annotations

import mujoco
import numpy as np

from vm_core.scene_asset import SceneAsset
from vm_sim.terrain import add_scene

CUBE_HALF_M, FALL_M, SETTLE_S = 0.02, 0.03, 1.0
LARGEST_MM = 1000.0  # a cube that falls through is that far off


def drop_test(scene: SceneAsset) -> tuple[int, float]:
    """Pieces that MuJoCo loads (boxes, ground), and how far [mm] a resting cube is from the height said, at worst.

    Cubes fall on the middle of each box, where no higher one covers it, and beside them all.
    """
    middles = np.array([box.center_world[:2] for box in scene.boxes]).reshape(-1, 2)
    places = np.concatenate([middles, [_beside(scene)]])
    heights = scene.height_at(places)
    spec = mujoco.MjSpec()
    add_scene(spec, scene)
    for k, (xy, z) in enumerate(zip(places, heights, strict=True)):
        body = spec.worldbody.add_body(name=f"cube_{k}", pos=[*xy, z + CUBE_HALF_M + FALL_M])
        body.add_freejoint()
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[CUBE_HALF_M] * 3, mass=0.1, contype=0, conaffinity=1)
    model = spec.compile()
    data = mujoco.MjData(model)
    while data.time < SETTLE_S:
        mujoco.mj_step(model, data)
    rest = data.qpos.reshape(-1, 7)[:, :3]
    off = np.abs(rest[:, 2] - CUBE_HALF_M - scene.height_at(rest[:, :2]))
    return len(scene.boxes) + 1, float(min(1000.0 * off.max(), LARGEST_MM))


def _beside(scene: SceneAsset) -> np.ndarray:
    """A place (2,) on the bare ground [m]."""
    reach = [np.hypot(*box.center_world[:2]) + np.hypot(*box.half_size[:2]) for box in scene.boxes]
    return np.array([max(reach, default=0.0) + 1.0, 0.0])
