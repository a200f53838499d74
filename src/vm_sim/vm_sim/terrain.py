"""Puts a scene into a MuJoCo model: the ground as a plane, every box as a box."""

from __future__ import annotations

import mujoco
import numpy as np

from vm_core.frames import quat_from_yaw
from vm_core.scene_asset import SceneAsset

GROUND_GEOM = "ground"
SCENE_GROUP = 2
_GROUND_COLOR = (0.62, 0.63, 0.60, 1.0)
_BOX_COLORS = {"step": (0.72, 0.55, 0.38, 1.0), "seat": (0.45, 0.55, 0.68, 1.0)}
_OTHER_COLOR = (0.6, 0.6, 0.65, 1.0)


def add_scene(spec: mujoco.MjSpec, scene: SceneAsset, *, friction: float = 1.0) -> None:
    """Adds the scene's ground and boxes as static geoms named `ground`, `scene_0`, `scene_1`, …

    Args:
        spec: model specification to be changed.
        scene: ground plane and boxes [m].
        friction: sliding friction of the surfaces; the soles' own has priority in contacts with them.
    """
    contact = {"contype": 1, "conaffinity": 1, "condim": 3, "friction": [friction, 0.005, 0.0001], "group": SCENE_GROUP}
    spec.option.gravity = list(scene.gravity_world)
    spec.worldbody.add_geom(
        name=GROUND_GEOM,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0.0, 0.0, 0.05],
        pos=[0.0, 0.0, scene.ground[2]],
        quat=_plane_quat(scene.ground),
        rgba=_GROUND_COLOR,
        **contact,
    )
    for i, box in enumerate(scene.boxes):
        spec.worldbody.add_geom(
            name=f"scene_{i}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=box.half_size,
            pos=box.center_world,
            quat=quat_from_yaw(np.array(box.yaw)),
            rgba=_BOX_COLORS.get(box.label.split("_")[0], _OTHER_COLOR),
            **contact,
        )


def _plane_quat(ground: tuple[float, float, float]) -> np.ndarray:
    """Turns z onto the plane's normal by the shortest way."""
    normal = np.array([-ground[0], -ground[1], 1.0])
    normal /= np.linalg.norm(normal)
    half = np.array([1.0 + normal[2], -normal[1], normal[0], 0.0])
    return half / np.linalg.norm(half)
