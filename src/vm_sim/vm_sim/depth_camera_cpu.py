"""The CPU's depth pictures: each shape is met by the rays of its rectangle of the picture only; compiled by numba."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np

from vm_core.depth_image import DepthSpec

_BEHIND_M = 0.01  # a shape that reaches nearer to the camera's plane may cover any part of the picture


def depth_images(
    camera_pos: np.ndarray, camera_quat: np.ndarray, arrays: Sequence[np.ndarray], spec: DepthSpec
) -> np.ndarray:
    """What `vm_sim.depth_camera.depth_images` gives: (N, height, width) float32 [m].

    Args:
        camera_pos, camera_quat: (N, 3), (N, 4) wxyz.
        arrays: of a DepthScene, in its order.
        spec: picture and range.
    """
    ends, radius, box_pos, box_quat, box_half, ball_pos, ball_radius, ground = (_plain(values) for values in arrays)
    boxes, balls = (box_pos, box_quat, box_half), (ball_pos, ball_radius)
    out = np.empty((len(camera_pos), spec.height, spec.width), dtype=np.float32)
    pos, quat = _plain(camera_pos), _plain(camera_quat)
    _render(pos, quat, ends, radius, boxes, balls, ground, spec.focal_px, spec.far_m, out)
    return out


def _plain(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float64)


@numba.njit(cache=True, error_model="numpy", inline="always")
def _matrix(q, m):
    w, x, y, z = q[0], q[1], q[2], q[3]
    m[0, 0], m[0, 1], m[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    m[1, 0], m[1, 1], m[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    m[2, 0], m[2, 1], m[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)


@numba.njit(cache=True, error_model="numpy", inline="always")
def _to_camera(turn, at, point, out):
    x, y, z = point[0] - at[0], point[1] - at[1], point[2] - at[2]
    for k in range(3):
        out[k] = turn[0, k] * x + turn[1, k] * y + turn[2, k] * z


@numba.njit(cache=True, error_model="numpy", inline="always")
def _include(rect, x, y, z, r):
    """Widens the rectangle (least and greatest x, then y, at depth 1) by a ball; False: all of the picture."""
    near, far = z - r, z + r
    if near < _BEHIND_M:
        return False
    rect[0] = min(rect[0], (x - r) / (near if x - r < 0 else far))
    rect[1] = max(rect[1], (x + r) / (near if x + r > 0 else far))
    rect[2] = min(rect[2], (y - r) / (near if y - r < 0 else far))
    rect[3] = max(rect[3], (y + r) / (near if y + r > 0 else far))
    return True


@numba.njit(cache=True, error_model="numpy", inline="always")
def _pixels(rect, clear, focal, width, height, span):
    """The rectangle in pixels: first and last column, first and last row, the last not included."""
    if not clear:
        span[0], span[1], span[2], span[3] = 0, width, 0, height
        return
    span[0] = max(int(np.ceil(rect[0] * focal + 0.5 * width - 0.5)), 0)
    span[1] = min(int(np.floor(rect[1] * focal + 0.5 * width - 0.5)) + 1, width)
    span[2] = max(int(np.ceil(rect[2] * focal + 0.5 * height - 0.5)), 0)
    span[3] = min(int(np.floor(rect[3] * focal + 0.5 * height - 0.5)) + 1, height)


@numba.njit(cache=True, error_model="numpy", inline="always")
def _reset(rect):
    rect[0] = rect[2] = np.inf
    rect[1] = rect[3] = -np.inf


@numba.njit(cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _ground(turn, at, plane, focal, far, image):
    height, width = image.shape
    a, b, c = plane
    nx = turn[2, 0] - a * turn[0, 0] - b * turn[1, 0]
    ny = turn[2, 1] - a * turn[0, 1] - b * turn[1, 1]
    nz = turn[2, 2] - a * turn[0, 2] - b * turn[1, 2]
    above = at[2] - a * at[0] - b * at[1] - c
    for v in range(height):
        row = ny * (v + 0.5 - 0.5 * height) / focal + nz
        for u in range(width):
            towards = row + nx * (u + 0.5 - 0.5 * width) / focal
            t = -above / towards if towards < 0.0 else far
            image[v, u] = t if 0.0 < t < far else far


@numba.njit(cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _ball(p, r, focal, image, span):
    height, width = image.shape
    less = p[0] * p[0] + p[1] * p[1] + p[2] * p[2] - r * r
    for v in range(span[2], span[3]):
        y = (v + 0.5 - 0.5 * height) / focal
        for u in range(span[0], span[1]):
            x = (u + 0.5 - 0.5 * width) / focal
            middle, length = p[0] * x + p[1] * y + p[2], x * x + y * y + 1.0
            inside = middle * middle - length * less
            if inside > 0.0:
                t = (middle - np.sqrt(inside)) / length
                if 0.0 < t < image[v, u]:
                    image[v, u] = t


@numba.njit(cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _capsule(p, q, r, focal, image, span):
    height, width = image.shape
    ax, ay, az = q[0] - p[0], q[1] - p[1], q[2] - p[2]
    long = ax * ax + ay * ay + az * az
    before = -(ax * p[0] + ay * p[1] + az * p[2])
    start = p[0] * p[0] + p[1] * p[1] + p[2] * p[2]
    end = q[0] * q[0] + q[1] * q[1] + q[2] * q[2]
    c = long * start - before * before - r * r * long
    for v in range(span[2], span[3]):
        y = (v + 0.5 - 0.5 * height) / focal
        for u in range(span[0], span[1]):
            x = (u + 0.5 - 0.5 * width) / focal
            length, forward = x * x + y * y + 1.0, ax * x + ay * y + az
            along = p[0] * x + p[1] * y + p[2]
            a, b = long * length - forward * forward, -long * along - before * forward
            inside = b * b - a * c
            if inside <= 0.0 and a > 1e-12:
                continue
            t = (-b - np.sqrt(max(inside, 0.0))) / a if a > 1e-12 else 0.0
            place = before + t * forward
            if not 0.0 < place < long or a <= 1e-12:
                late = place >= long if a > 1e-12 else forward < 0.0
                middle, less = (q[0] * x + q[1] * y + q[2], end - r * r) if late else (along, start - r * r)
                inside = middle * middle - length * less
                if inside <= 0.0:
                    continue
                t = (middle - np.sqrt(inside)) / length
            if 0.0 < t < image[v, u]:
                image[v, u] = t


@numba.njit(cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _box(origin, m, half, focal, image, span):
    """`m` (3, 3): the camera's axes in the box, one a column; `origin`: the camera in the box."""
    height, width = image.shape
    for v in range(span[2], span[3]):
        y = (v + 0.5 - 0.5 * height) / focal
        for u in range(span[0], span[1]):
            x = (u + 0.5 - 0.5 * width) / focal
            low, high = -np.inf, np.inf
            for k in range(3):
                slope = m[k, 0] * x + m[k, 1] * y + m[k, 2]
                slope = slope if abs(slope) > 1e-9 else 1e-9
                one, other = (-half[k] - origin[k]) / slope, (half[k] - origin[k]) / slope
                low, high = max(low, min(one, other)), min(high, max(one, other))
            if low <= high and 0.0 < low < image[v, u]:
                image[v, u] = low


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _render(pos, quat, ends, radius, boxes, balls, ground, focal, far, out):
    height, width = out.shape[1:]
    box_pos, box_quat, box_half = boxes
    ball_pos, ball_radius = balls
    turn, box_turn, m = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    p, q, corner = np.empty(3), np.empty(3), np.empty(3)
    rect, span = np.empty(4), np.empty(4, dtype=np.int64)
    for n in range(len(pos)):
        image, at = out[n], pos[n]
        _matrix(quat[n], turn)
        _ground(turn, at, ground[n], focal, far, image)
        for i in range(box_pos.shape[1]):
            half = box_half[n, i]
            _matrix(box_quat[n, i], box_turn)
            _reset(rect)
            clear, ahead = True, False
            for sign in range(8):
                for k in range(3):
                    corner[k] = box_pos[n, i, k]
                    for j in range(3):
                        corner[k] += box_turn[k, j] * (half[j] if sign >> j & 1 else -half[j])
                _to_camera(turn, at, corner, p)
                ahead |= p[2] > 0.0
                clear &= _include(rect, p[0], p[1], p[2], 0.0)
            if not ahead:
                continue
            _pixels(rect, clear, focal, width, height, span)
            for k in range(3):
                p[k] = 0.0
                for j in range(3):
                    p[k] += box_turn[j, k] * (at[j] - box_pos[n, i, j])
                    m[k, j] = 0.0
                    for h in range(3):
                        m[k, j] += box_turn[h, k] * turn[h, j]
            _box(p, m, half, focal, image, span)
        for i in range(ball_pos.shape[1]):
            _to_camera(turn, at, ball_pos[n, i], p)
            r = ball_radius[n, i]
            if p[2] + r <= 0.0 or p[2] - r > far:
                continue
            _reset(rect)
            _pixels(rect, _include(rect, p[0], p[1], p[2], r), focal, width, height, span)
            _ball(p, r, focal, image, span)
        for i in range(ends.shape[1]):
            _to_camera(turn, at, ends[n, i, 0], p)
            _to_camera(turn, at, ends[n, i, 1], q)
            r = radius[n, i]
            if max(p[2], q[2]) + r <= 0.0 or min(p[2], q[2]) - r > far:
                continue
            _reset(rect)
            clear = _include(rect, p[0], p[1], p[2], r)
            clear &= _include(rect, q[0], q[1], q[2], r)
            _pixels(rect, clear, focal, width, height, span)
            _capsule(p, q, r, focal, image, span)
