"""The first guess: people placed on their rays, the scene's scale in closed form, rotations from points."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from vm_core.errors import VmError
from vm_core.frames import matrix_from_quat
from vm_reconstruction import mapped_arrays
from vm_reconstruction.body_model import segment_quats
from vm_reconstruction.human_motion import joint_index
from vm_reconstruction.observations import Observations, PersonObservation
from vm_reconstruction.solver.body_problem import BONES, POINTS
from vm_reconstruction.solver.joint.problem import INSIDE_SHARE, SPREAD
from vm_reconstruction.solver.joint.rows import windows
from vm_reconstruction.solver.joint.skeleton import ROTATION_PARENT, ROTATIONS, SHAPES
from vm_reconstruction.solver.joint.state import JointState, PersonState
from vm_reconstruction.stages.body import all_joints

MIN_CONFIDENCE = 0.3
POINT_M = 0.028  # standard deviation of image points at the person's distance
MIN_FRAMES = 5
EDGE_SHARE = 0.08  # depth that jumps by more around a joint belongs to two things
THICK_SHARE, NEARER_SHARE = 0.045, 0.045  # half a trunk's width; closer parts are the same limb [of the height]
_MIRRORED = [POINTS.index(n.replace("left", "right") if "left" in n else n.replace("right", "left")) for n in POINTS]
# The segment whose orientation a rotation is, in human_motion's joints.
_SEGMENT = {"pelvis": "pelvis", "trunk": "chest", "head": "neck"}


def world_axes(up: np.ndarray) -> np.ndarray:
    """R (3, 3) from the first camera's axes to the world: z up, x horizontally where the camera looked."""
    up = up / np.linalg.norm(up)
    forward = np.array([0.0, 0.0, 1.0])
    if abs(forward @ up) > 0.99:
        forward = np.array([0.0, -1.0, 0.0])
    x = forward - up * (forward @ up)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(up, x), up])


def unswapped(person: PersonObservation, R_world_camera: np.ndarray, fps: float) -> PersonObservation:
    """Frames whose left and right are exchanged against their neighbours are turned back."""
    world = np.einsum("tij,tnj->tni", R_world_camera, person.points_camera)
    steady = filled(world, person.found)
    typical = median_filter(steady, size=(2 * round(0.3 * fps) + 1, 1, 1), mode="nearest")
    as_is = np.linalg.norm(steady - typical, axis=-1).mean(axis=1)
    mirrored = np.linalg.norm(steady[:, _MIRRORED] - typical, axis=-1).mean(axis=1)
    swapped = person.found & (mirrored < 0.7 * as_is)
    values = {}
    for name in ("xy_px", "confidence", "points_camera"):
        value = getattr(person, name).copy()
        value[swapped] = value[swapped][:, _MIRRORED]
        values[name] = value
    return PersonObservation(person.height_m, found=person.found, **values)


def placed(person: PersonObservation, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root (T, 3) [m, camera] that puts the pose network's points on their rays, and which frames can.

    Noise of the image points widens the body in the picture and would bring it nearer; the squares that it adds on
    average are taken out again (errors in variables; Fuller, Measurement Error Models, 1987, 1.2).
    """
    u = (person.xy_px - matrix[:2, 2]) / matrix[[0, 1], [0, 1]]
    points = person.points_camera
    rows = np.zeros((*u.shape, 3))
    rows[..., 0, 0] = rows[..., 1, 1] = 1.0
    rows[..., 2] = -u
    right = u * points[..., 2:] - points[..., :2]
    weight = np.where(person.confidence > MIN_CONFIDENCE, person.confidence, 0.0)
    good = person.found & ((weight > 0).sum(axis=1) >= 6)
    root = np.tile([0.0, 0.0, 3.0], (len(u), 1))
    for _ in range(4):
        normal = np.einsum("tn,tnab,tnac->tbc", weight, rows, rows) + 1e-9 * np.eye(3)
        goal = np.einsum("tn,tnab,tna->tb", weight, rows, right)
        noise = 2.0 * weight * (POINT_M * SPREAD / np.maximum(root[:, 2:], 1.0)) ** 2  # of u and v, per unit of depth
        normal[:, 2, 2] -= np.minimum(noise.sum(axis=1), 0.2 * normal[:, 2, 2])
        goal[:, 2] += np.sum(noise * points[..., 2], axis=1)
        root = np.linalg.solve(normal, goal[..., None])[..., 0]
        error = np.linalg.norm(np.einsum("tnab,tb->tna", rows, root) - right, axis=-1)
        weight = np.where(person.confidence > MIN_CONFIDENCE, person.confidence, 0.0) / (1 + (error / 0.06) ** 2)
    return root, good & (root[:, 2] > 0.3)


def behind_itself(person: PersonObservation, focal: float) -> np.ndarray:
    """(T, 17) bool: another part of the same body is in front of the joint, so depth there is that part's."""
    share = np.linspace(0.0, 1.0, 5)[:, None]
    a, b = (np.array([POINTS.index(bone[i]) for bone in BONES]) for i in (0, 1))
    result = np.zeros(person.confidence.shape, bool)
    for t in range(len(result)):
        xy, z = person.xy_px[t], person.points_camera[t, :, 2]
        part_xy = (xy[a, None] * (1 - share) + xy[b, None] * share).reshape(-1, 2)
        part_z = (z[a, None] * (1 - share[:, 0]) + z[b, None] * share[:, 0]).ravel()
        radius = THICK_SHARE * max(float(np.ptp(xy[:, 1])), 0.05 * focal)  # of the height in the picture, nearly
        close = np.sum((part_xy - xy[:, None]) ** 2, axis=-1) < radius**2
        result[t] = np.any(close & (z[:, None] - part_z > NEARER_SHARE * person.height_m), axis=1)
    return result


def joint_depths(observed: Observations, person: int) -> np.ndarray:
    """(T, 17) depth [units] at the joints; 0 where it is unknown, hidden, or at an edge."""
    data = observed.people[person]
    hidden = behind_itself(data, observed.matrix[0, 0])
    result = np.zeros(data.confidence.shape, np.float32)
    for start, end in windows(len(result)):
        at = slice(start, end)
        good = (data.confidence[at] > MIN_CONFIDENCE) & ~hidden[at]
        own = np.asarray(observed.mask[at]) == person + 1
        result[at] = _depths_at(data.xy_px[at] / observed.size, good, np.asarray(observed.depth[at]), own)
        for array in (observed.depth, observed.mask):
            mapped_arrays.release(array)
    return result


def _depths_at(place: np.ndarray, good: np.ndarray, depth: np.ndarray, own_mask: np.ndarray) -> np.ndarray:
    """(n, 17) nearest depth of the pixels around places (n, 17, 2), shares of the picture, that are the person's.

    0 where it is not good (n, 17), or at an edge; depth and own_mask: (n, h, w).
    """
    height, width = depth.shape[1:]
    column, row = (place[..., 0] * width).astype(int), (place[..., 1] * height).astype(int)
    good = good & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    beside = np.array([(0, 0), *((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)])  # the pixel itself first
    rows = np.clip(row[..., None] + beside[:, 0], 0, height - 1)
    columns = np.clip(column[..., None] + beside[:, 1], 0, width - 1)
    frames = np.arange(len(row))[:, None, None]
    around, own = depth[frames, rows, columns].astype(np.float32), own_mask[frames, rows, columns]
    low, high = np.where(own, around, np.inf).min(axis=-1), np.where(own, around, 0.0).max(axis=-1)
    here = around[..., 0]
    good &= own[..., 0] & (here > 0)
    good &= high - low < EDGE_SHARE * np.maximum(here, 1e-6)
    return np.where(good, low, 0.0)  # what flies between body and background lies behind the body


def closed_form_scale(roots: list[np.ndarray], seen: list[np.ndarray], observed: Observations, depths: list) -> float:
    """Metres per unit: median over people, frames and joints of metric depth over observed depth."""
    ratios = []
    for root, good, person, depth in zip(roots, seen, observed.people, depths, strict=True):
        metric = root[:, 2:] + person.points_camera[..., 2] - INSIDE_SHARE * person.height_m
        known = (depth > 0) & good[:, None]
        ratios.append(metric[known] / depth[known])
    every = np.concatenate(ratios)
    if len(every) < 20:
        raise VmError(f"depth is known at {len(every)} joints of all frames; expected at least 20 to find the scale")
    return float(np.median(every))


def first_guess(
    observed: Observations, people: tuple[PersonObservation, ...], R_world_camera: np.ndarray,
    center_units: np.ndarray, depths: list[np.ndarray],
) -> JointState:  # fmt: skip
    """A state for the solver; `people` are unswapped, R_world_camera (T, 3, 3) and center_units (T, 3) in the world."""
    places = [placed(person, observed.matrix) for person in people]
    for k, (_, good) in enumerate(places):
        if good.sum() < MIN_FRAMES:
            raise VmError(f"person {k + 1} is seen well in {int(good.sum())} frames; expected at least {MIN_FRAMES}")
    told = Observations(**{**observed.__dict__, "people": people})
    scale = closed_form_scale([root for root, _ in places], [good for _, good in places], told, depths)
    states, frames = [], observed.num_frames
    zero = np.zeros((frames, 3))
    for person, (root, good) in zip(people, places, strict=True):
        world = np.einsum("tij,tj->ti", R_world_camera, root) + scale * center_units
        points = filled(np.einsum("tij,tnj->tni", R_world_camera, person.points_camera), person.found)
        smooth = gaussian_filter1d(points, 1.5, axis=0, mode="nearest")
        states.append(
            PersonState(filled(world, good), rotations_from_points(smooth), np.zeros(len(SHAPES)), zero.copy())
        )
    return JointState(tuple(states), zero, zero.copy(), np.zeros(frames), float(np.log(scale)))


def rotations_from_points(points: np.ndarray) -> np.ndarray:
    """Rotations (T, 13, 3, 3) relative to the parents, from points (T, 17, 3) [world]."""
    R = matrix_from_quat(segment_quats(all_joints(points)))
    world = np.stack([R[:, joint_index(_SEGMENT.get(name, name))] for name in ROTATIONS], axis=1)
    relative = world.copy()
    for k, parent in enumerate(ROTATION_PARENT):
        if parent >= 0:
            relative[:, k] = world[:, parent].transpose(0, 2, 1) @ world[:, k]
    return relative


def filled(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Frames that are not seen: straight lines between those that are."""
    index = np.arange(len(values))
    flat = values.reshape(len(values), -1)
    return np.stack([np.interp(index, index[seen], c[seen]) for c in flat.T], axis=1).reshape(values.shape)
