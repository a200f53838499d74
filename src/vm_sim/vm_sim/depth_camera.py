"""Depth pictures of many worlds at once by rays against capsules, boxes, balls and the ground; numpy and torch alike.

All is computed in the camera's frame, where the rays are the same for every world: a ray's direction has z = 1, so that
the distance along it is the depth along the optical axis. On the CPU `vm_sim.depth_camera_cpu` does the same, pixel by
pixel and only inside each shape's rectangle of the picture (a test holds the two against each other).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array, is_torch_array

from vm_core.depth_image import DepthSpec
from vm_core.frames import Array, matrix_from_quat, quat_conjugate, quat_rotate, quat_rotate_inverse
from vm_sim import depth_camera_cpu

_TINY = 1e-9


@dataclass
class DepthScene:
    """Shapes of N worlds in world coordinates [m].

    Attributes:
        capsule_ends: (N, C, 2, 3).  capsule_radius: (N, C).
        box_pos: (N, B, 3).  box_quat: (N, B, 4).  box_half: (N, B, 3).
        ball_pos: (N, K, 3).  ball_radius: (N, K).
        ground: (N, 3) a, b, c of z = a x + b y + c.
    """

    capsule_ends: Array
    capsule_radius: Array
    box_pos: Array
    box_quat: Array
    box_half: Array
    ball_pos: Array
    ball_radius: Array
    ground: Array

    def arrays(self) -> list[Any]:
        """All arrays in the order of the attributes."""
        return [getattr(self, item.name) for item in fields(self)]


def depth_images(camera_pos: Array, camera_quat: Array, scene: DepthScene, spec: DepthSpec) -> Array:
    """Depths (N, height, width) along the optical axis [m], at most the far end of the range.

    Args:
        camera_pos: (N, 3) optical centres in the world.
        camera_quat: (N, 4) optical frames (x right, y down, z forward) in the world.
        scene: what there is to be seen.
        spec: picture and range.
    """
    if is_numpy_array(camera_pos):
        return depth_camera_cpu.depth_images(camera_pos, camera_quat, scene.arrays(), spec)
    if is_torch_array(camera_pos) and str(device(camera_pos)) == "cpu":  # the same memory, seen by numpy
        arrays = [np.from_dlpack(values) for values in (camera_pos, camera_quat, *scene.arrays())]
        depth = depth_camera_cpu.depth_images(arrays[0], arrays[1], arrays[2:], spec)
        return array_namespace(camera_pos).asarray(depth)
    return trace(camera_pos, camera_quat, scene, spec)


def trace(camera_pos: Array, camera_quat: Array, scene: DepthScene, spec: DepthSpec) -> Array:
    """What `depth_images` does where there is no faster way: every ray against every shape."""
    xp = array_namespace(camera_pos)
    rays = xp.asarray(spec.rays.reshape(-1, 3), dtype=camera_pos.dtype, device=device(camera_pos))
    view = _View(xp, camera_pos, camera_quat, rays)
    depth = xp.zeros((camera_pos.shape[0], rays.shape[0]), dtype=camera_pos.dtype, device=device(camera_pos))
    depth = xp.minimum(depth + spec.far_m, view.ground(scene.ground))
    for i in range(scene.capsule_ends.shape[1]):
        depth = xp.minimum(depth, view.capsule(scene.capsule_ends[:, i], scene.capsule_radius[:, i, None]))
    for i in range(scene.box_pos.shape[1]):
        depth = xp.minimum(depth, view.box(scene.box_pos[:, i], scene.box_quat[:, i], scene.box_half[:, i]))
    for i in range(scene.ball_pos.shape[1]):
        depth = xp.minimum(depth, view.ball(view.seen(scene.ball_pos[:, i]), scene.ball_radius[:, i, None]))
    return xp.reshape(depth, (-1, spec.height, spec.width))


class _View:
    """Rays (P, 3) of N cameras; every method gives depths (N, P), infinite where it is missed."""

    def __init__(self, xp: Any, pos: Array, quat: Array, rays: Array) -> None:
        self._xp, self._pos, self._quat, self._rays = xp, pos, quat, rays
        self._length = xp.sum(rays * rays, axis=-1)[None]  # squared

    def seen(self, point: Array) -> Array:
        """Points (N, 3) of the world in the cameras' frames."""
        return quat_rotate_inverse(self._quat, point - self._pos)

    def ground(self, plane: Array) -> Array:
        normal = self._xp.stack([-plane[:, 0], -plane[:, 1], self._xp.ones_like(plane[:, 0])], axis=-1)
        above = self._xp.sum(normal * self._pos, axis=-1) - plane[:, 2]
        towards = self._along(quat_rotate_inverse(self._quat, normal))
        return self._if(towards < -_TINY, -above[:, None] / self._nonzero(towards))

    def ball(self, center: Array, radius: Array) -> Array:
        middle = self._along(center)
        inside = middle**2 - self._length * (self._xp.sum(center**2, axis=-1)[:, None] - radius**2)
        near = (middle - self._xp.sqrt(self._xp.clip(inside, 0.0, None))) / self._length
        return self._if(inside > 0.0, near)

    def capsule(self, ends: Array, radius: Array) -> Array:
        """Quilez' intersection of a ray with a cylinder, else with the ball at the end that the ray passes beyond."""
        xp, start, end = self._xp, self.seen(ends[:, 0]), self.seen(ends[:, 1])
        axis = end - start
        long = xp.sum(axis**2, axis=-1)[:, None]
        forward, before = self._along(axis), -xp.sum(axis * start, axis=-1)[:, None]
        a = long * self._length - forward**2
        b = -long * self._along(start) - before * forward
        c = long * xp.sum(start**2, axis=-1)[:, None] - before**2 - radius**2 * long
        inside = b**2 - a * c
        near = (-b - xp.sqrt(xp.clip(inside, 0.0, None))) / self._nonzero(a)
        place = before + near * forward
        caps = xp.minimum(self.ball(start, radius), self.ball(end, radius))
        return xp.minimum(self._if((inside > 0.0) & (place > 0.0) & (place < long), near), caps)

    def box(self, center: Array, quat: Array, half: Array) -> Array:
        xp = self._xp
        turn = matrix_from_quat(self._quat)
        origin = quat_rotate_inverse(quat, self._pos - center)
        axes = [quat_rotate(quat_conjugate(quat), turn[:, :, k]) for k in range(3)]  # the camera's axes in the box
        low = xp.zeros_like(half[:, :1]) - float("inf")
        high = xp.zeros_like(half[:, :1]) + float("inf")
        for k in range(3):
            slope = self._nonzero(self._along(xp.stack([axis[:, k] for axis in axes], axis=-1)))
            one = (-half[:, k] - origin[:, k])[:, None] / slope
            other = (half[:, k] - origin[:, k])[:, None] / slope
            entry, leave = xp.minimum(one, other), xp.maximum(one, other)
            low, high = xp.maximum(low, entry), xp.minimum(high, leave)
        return self._if(low <= high, low)

    def _along(self, vector: Array) -> Array:
        """Products (N, P) of vectors (N, 3) with the rays."""
        return vector @ self._rays.T

    def _nonzero(self, value: Array) -> Array:
        return self._xp.where(abs(value) < _TINY, self._xp.ones_like(value) * _TINY, value)

    def _if(self, hit: Array, depth: Array) -> Array:
        return self._xp.where(hit & (depth > 0.0), depth, self._xp.ones_like(depth) * float("inf"))
