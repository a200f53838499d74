"""What the depth camera sees in MuJoCo models: the robot's capsules, static boxes, the object and the ground."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from array_api_compat import array_namespace, device

from vm_core import g1
from vm_core.depth_image import DepthSpec
from vm_core.frames import Array, quat_multiply, quat_rotate
from vm_sim.batch_kinematics import BatchKinematics
from vm_sim.depth_camera import DepthScene, depth_images
from vm_sim.objects import OBJECT_BODY, OBJECT_GEOM, object_qpos_address
from vm_sim.terrain import GROUND_GEOM

_HOUSING = "head_collision"  # the camera sits in it
_SMALLEST_M = 0.01  # the soles' spheres are smaller
_BOX, _BALL, _CAPSULE = (
    int(kind) for kind in (mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_CAPSULE)
)


class RobotShapes:
    """The robot's capsules (balls are capsules without length) by the bodies that carry them.

    Attributes:
        body_names: bodies with shapes, in the order in which `ends_world` wants their poses.
        radius: (C,) [m].
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        picked = [geom for geom in range(model.ngeom) if _is_robot_shape(model, geom)]
        owners = [model.body(int(model.geom_bodyid[geom])).name for geom in picked]
        self.body_names = tuple(dict.fromkeys(owners))
        self.radius = model.geom_size[picked, 0].copy()
        self._body = [self.body_names.index(owner) for owner in owners]
        half = np.where(model.geom_type[picked] == _CAPSULE, model.geom_size[picked, 1], 0.0)
        along = quat_rotate(model.geom_quat[picked], half[:, None] * np.array([0.0, 0.0, 1.0]))
        self._ends = np.stack([model.geom_pos[picked] - along, model.geom_pos[picked] + along], axis=1)

    def ends_world(self, body_pos: Array, body_quat: Array) -> Array:
        """Ends (N, C, 2, 3) of the capsules' axes for poses (N, B, 3), (N, B, 4) of `body_names`; numpy or torch."""
        xp = array_namespace(body_pos)
        ends = xp.asarray(self._ends, dtype=body_pos.dtype, device=device(body_pos), copy=True)
        pos, quat = body_pos[:, self._body, None], body_quat[:, self._body, None]
        return pos + quat_rotate(quat, ends[None])


class DepthCamera:
    """Depth pictures of many worlds from their MuJoCo states, on the CPU.

    Attributes:
        spec: picture and range.
        shapes: the robot's.
    """

    def __init__(self, models: Sequence[mujoco.MjModel], spec: DepthSpec | None = None) -> None:
        """Takes one model a world, all of one structure; the object's and the boxes' sizes may differ."""
        self.spec = DepthSpec() if spec is None else spec
        self._models, first = list(models), models[0]
        self.shapes = RobotShapes(first)
        self._has_object = OBJECT_BODY in [first.body(body).name for body in range(first.nbody)]
        self._is_ball = self._has_object and int(first.geom(OBJECT_GEOM).type[0]) == _BALL
        names = self.shapes.body_names
        names = names if g1.TORSO_BODY in names else (*names, g1.TORSO_BODY)
        self._kinematics, self._torso = BatchKinematics(first, names), names.index(g1.TORSO_BODY)
        self._boxes = [i for i in range(first.ngeom) if not first.geom_bodyid[i] and first.geom_type[i] == _BOX]
        count, boxes = len(self._models), len(self._boxes) + (self._has_object and not self._is_ball)
        self._box_pos, self._box_half = np.zeros((count, boxes, 3)), np.ones((count, boxes, 3))
        self._box_quat = np.tile([1.0, 0.0, 0.0, 0.0], (count, boxes, 1))
        self._ball_radius, self._ground = np.ones((count, int(self._is_ball))), np.zeros((count, 3))
        self.refresh(np.arange(count))

    def refresh(self, worlds: np.ndarray) -> None:
        """Reads sizes and places of what stands still anew, for worlds (W,) whose models have changed."""
        still = len(self._boxes)
        for n in worlds:
            model = self._models[n]
            self._box_pos[n, :still] = model.geom_pos[self._boxes]
            self._box_quat[n, :still] = model.geom_quat[self._boxes]
            self._box_half[n, :still] = model.geom_size[self._boxes]
            self._ground[n] = _plane(model)
            if self._has_object:
                size = model.geom_size[model.geom(OBJECT_GEOM).id]
                self._ball_radius[n, :] = size[0]
                self._box_half[n, still:] = size

    def render(self, qpos: np.ndarray, tilt: np.ndarray | None = None) -> np.ndarray:
        """Depths (N, height, width) [m], at most the far end of the range.

        Args:
            qpos: (N, nq) of the worlds.
            tilt: (N, 4) wxyz, how the camera's optical frame is turned in its mount; None: not at all.
        """
        scene, torso_pos, torso_quat = self.scene(qpos)
        return depth_images(*camera_pose(torso_pos, torso_quat, self.spec, tilt), scene, self.spec)

    def scene(self, qpos: np.ndarray) -> tuple[DepthScene, np.ndarray, np.ndarray]:
        """What there is to be seen, and the torso's positions (N, 3) and orientations (N, 4)."""
        qpos = np.ascontiguousarray(qpos, dtype=np.float64)
        pos, quat, _, _ = self._kinematics.compute(qpos, np.zeros((len(qpos), self._models[0].nv)))
        ends = self.shapes.ends_world(pos, quat)
        ball_pos = np.zeros((len(qpos), int(self._is_ball), 3))
        if self._has_object:
            at = object_qpos_address(self._models[0])
            if self._is_ball:
                ball_pos[:, 0] = qpos[:, at : at + 3]
            else:
                self._box_pos[:, -1], self._box_quat[:, -1] = qpos[:, at : at + 3], qpos[:, at + 3 : at + 7]
        radius = np.broadcast_to(self.shapes.radius, ends.shape[:2])
        boxes = (self._box_pos, self._box_quat, self._box_half)
        scene = DepthScene(ends, radius, *boxes, ball_pos, self._ball_radius, self._ground)
        return scene, pos[:, self._torso], quat[:, self._torso]


def camera_pose(torso_pos: Array, torso_quat: Array, spec: DepthSpec, tilt: Array | None = None) -> tuple[Array, Array]:
    """Optical centres (N, 3) and optical frames (N, 4) in the world of torsos (N, 3), (N, 4)."""
    xp = array_namespace(torso_pos)
    place = {"dtype": torso_pos.dtype, "device": device(torso_pos)}
    offset, turn = xp.asarray(np.array(spec.pos_in_torso), **place), xp.asarray(spec.quat_in_torso, **place)
    quat = quat_multiply(torso_quat, turn + xp.zeros_like(torso_quat))
    pos = torso_pos + quat_rotate(torso_quat, offset + xp.zeros_like(torso_pos))
    return pos, quat if tilt is None else quat_multiply(quat, tilt)


def _is_robot_shape(model: mujoco.MjModel, geom: int) -> bool:
    body = int(model.geom_bodyid[geom])
    round_ = int(model.geom_type[geom]) in (_CAPSULE, _BALL)
    ours = body > 0 and model.body(body).name != OBJECT_BODY and model.geom(geom).name != _HOUSING
    return bool(round_ and ours and model.geom_size[geom, 0] >= _SMALLEST_M)


def _plane(model: mujoco.MjModel) -> tuple[float, float, float]:
    """a, b, c of the ground, z = a x + b y + c."""
    ground = model.geom(GROUND_GEOM).id
    x, y, z = quat_rotate(model.geom_quat[ground], np.array([0.0, 0.0, 1.0]))
    at = model.geom_pos[ground]
    return -x / z, -y / z, float(at[2] + (x * at[0] + y * at[1]) / z)
