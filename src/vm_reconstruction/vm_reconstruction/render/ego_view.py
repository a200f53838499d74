"""What the robot's own camera would see along a motion: colour and metric depth, the robot hidden or shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
import trimesh

from vm_core import g1
from vm_core.errors import VmError
from vm_core.frames import matrix_from_quat
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_sim.render import RenderConfig, build_visual_model

_SCENE_GROUP = 2
NEAREST_M, FARTHEST_M = 0.1, 10.0  # nearer is inside the lens; farther the sensor tells nothing


@dataclass(frozen=True)
class Place:
    """A mesh file of the place; `scale` brings its metres to those of the clip's scene."""

    path: Path
    scale: float = 1.0


@dataclass(frozen=True)
class EgoConfig:
    """The camera.

    Attributes:
        width, height: of the picture, even [px].
        fov_deg: vertical angle of view [deg]; 58 is the D435's depth picture.
        robot: the robot's own arms and legs are seen.
    """

    width: int = 320
    height: int = 240
    fov_deg: float = 58.0
    robot: bool = True

    def __post_init__(self) -> None:
        RenderConfig(width=self.width, height=self.height)
        if not 10.0 <= self.fov_deg <= 150.0:
            raise VmError(f"--fov-deg {self.fov_deg}: expected 10 to 150")

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) intrinsics [px]."""
        focal = 0.5 * self.height / np.tan(np.radians(self.fov_deg) / 2)
        return np.array([[focal, 0, self.width / 2], [0, focal, self.height / 2], [0, 0, 1.0]])


def camera_poses(clip: MotionClip) -> np.ndarray:
    """T_world_camera (T, 4, 4) of the head camera; axes x right, y down, z forward."""
    torso = clip.body_names.index(g1.TORSO_BODY)
    turn = matrix_from_quat(clip.body_quat_wxyz[:, torso])
    c, s = np.cos(g1.CAMERA_TILT_RAD), np.sin(g1.CAMERA_TILT_RAD)
    forward, right = np.array([c, 0.0, -s]), np.array([0.0, -1.0, 0.0])
    axes = np.stack([right, np.cross(forward, right), forward], axis=-1)
    T = np.tile(np.eye(4), (clip.num_frames, 1, 1))
    T[:, :3, :3] = turn @ axes
    T[:, :3, 3] = clip.body_pos_world[:, torso] + turn @ g1.CAMERA_POS_IN_TORSO
    return T


def ego_frames(
    clip: MotionClip, scene: SceneAsset, config: EgoConfig, place: Place | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pictures (h, w, 3) uint8 and depths (h, w) float32 along the optical axis [m], 0 where the sensor tells nothing.

    Args:
        clip: the robot's motion in the scene's world.
        scene: boxes and ground.
        config: the camera.
        place: a mesh of the place in the same world, drawn too.
    """
    model = _model(scene, config, place)
    data = mujoco.MjData(model)
    options = mujoco.MjvOption()
    if not config.robot:
        _hide_robot(model)
    qpos = np.column_stack([clip.root_pos_world, clip.root_quat_wxyz, clip.joint_pos])
    address = [int(model.joint(name).qposadr[0]) for name in clip.joint_names]
    with mujoco.Renderer(model, config.height, config.width) as renderer:
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        for frame in qpos:
            data.qpos[:7], data.qpos[address] = frame[:7], frame[7:]
            mujoco.mj_kinematics(model, data)
            mujoco.mj_camlight(model, data)
            renderer.update_scene(data, "ego", options)
            picture = renderer.render()
            renderer.enable_depth_rendering()
            depth = renderer.render()
            renderer.disable_depth_rendering()
            yield picture, np.where((depth > NEAREST_M) & (depth < FARTHEST_M), depth, 0.0).astype(np.float32)


def _model(scene: SceneAsset, config: EgoConfig, place: Place | None) -> mujoco.MjModel:
    """The visual model with the head camera, and the place's mesh."""
    half = 0.5 * g1.CAMERA_TILT_RAD
    look = _look_quat(half)

    def add(spec: mujoco.MjSpec) -> None:
        spec.body(g1.TORSO_BODY).add_camera(name="ego", pos=g1.CAMERA_POS_IN_TORSO, quat=look, fovy=config.fov_deg)
        spec.visual.map.znear = 0.5 * NEAREST_M / spec.stat.extent
        if place is not None:
            _add_mesh(spec, place)

    return build_visual_model(scene, RenderConfig(width=config.width, height=config.height), add)


def _look_quat(half_tilt: float) -> np.ndarray:
    """MuJoCo's camera (looks along its -z, y up) in the torso: forward and down by the tilt."""
    tilt = np.array([np.cos(half_tilt), 0.0, np.sin(half_tilt), 0.0])
    forward = np.array([0.5, 0.5, -0.5, -0.5])  # -z onto x, y onto z
    result = np.zeros(4)
    mujoco.mju_mulQuat(result, tilt, forward)
    return result


def _add_mesh(spec: mujoco.MjSpec, place: Place) -> None:
    try:
        loaded = trimesh.load(place.path, force="mesh", process=False)
        assert isinstance(loaded, trimesh.Trimesh) and len(loaded.faces)
    except Exception as error:  # trimesh raises whatever its parser meets
        raise VmError(f"{place.path} is no readable mesh ({type(error).__name__})") from None
    vertices, faces = place.scale * np.asarray(loaded.vertices, np.float64), np.asarray(loaded.faces, np.int32)
    shell = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # a place's mesh is open: it has no volume
    spec.add_mesh(name="place", uservert=vertices.ravel(), userface=faces.ravel(), inertia=shell)
    spec.worldbody.add_geom(
        name="place", type=mujoco.mjtGeom.mjGEOM_MESH, meshname="place", contype=0, conaffinity=0, group=_SCENE_GROUP
    )


def _hide_robot(model: mujoco.MjModel) -> None:
    model.geom_rgba[model.geom_bodyid > 0, 3] = 0.0
