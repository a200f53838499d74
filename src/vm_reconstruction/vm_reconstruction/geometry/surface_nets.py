"""The surface where a signed distance vanishes, as a mesh: one corner a voxel cell, after Gibson, Constrained Elastic
Surface Nets, 1998, without the relaxation."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from vm_reconstruction.geometry.fusion import Volume

_CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))
_EDGES = [(a, b) for a, b in itertools.combinations(range(8), 2) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1]
LEAST_FACES = 60  # of a connected part; fewer are what flies


def surface(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) [m, world] and triangles (F, 3) whose normals point to where the cameras were."""
    corner = _corner_views(volume.distance)
    crossed = np.logical_and.reduce(_corner_views(volume.weight > 0))
    inside = [c < 0 for c in corner]
    crossed &= np.logical_or.reduce(inside) & ~np.logical_and.reduce(inside)
    index = np.full(crossed.shape, -1)
    index[crossed] = np.arange(crossed.sum())
    vertices = volume.low + volume.voxel_m * (np.argwhere(crossed) + _crossings([c[crossed] for c in corner]))
    faces = np.concatenate([_quads(volume.distance, index, axis) for axis in range(3)])
    return without_crumbs(vertices, np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]]))


def _corner_views(values: np.ndarray) -> list[np.ndarray]:
    """Of each cell its eight corners' values (X - 1, Y - 1, Z - 1)."""
    return [values[tuple(slice(c, n - 1 + c) for c, n in zip(at, values.shape, strict=True))] for at in _CORNERS]


def _crossings(values: list[np.ndarray]) -> np.ndarray:
    """The mean (N, 3) of the places where edges of unit cells cross zero; values: (N,) of each corner."""
    total, count = np.zeros((len(values[0]), 3)), np.zeros(len(values[0]))
    for a, b in _EDGES:
        cross = (values[a] < 0) != (values[b] < 0)
        share = values[a] / np.where(cross, values[a] - values[b], 1.0)
        total += np.where(cross[:, None], _CORNERS[a] + share[:, None] * (_CORNERS[b] - _CORNERS[a]), 0.0)
        count += cross
    return total / np.maximum(count, 1)[:, None]


def _quads(distance: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    """(Q, 4) cells around every voxel edge along `axis` that crosses zero."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    inner = [slice(None)] * 3
    inner[first] = inner[second] = slice(1, -1)
    start, end = list(inner), list(inner)
    start[axis], end[axis] = slice(None, -1), slice(1, None)
    a, b = distance[tuple(start)] < 0, distance[tuple(end)] < 0
    around = []
    for i, j in ((0, 0), (1, 0), (1, 1), (0, 1)):
        cell = [slice(None)] * 3
        cell[first] = slice(i, index.shape[first] - 1 + i)
        cell[second] = slice(j, index.shape[second] - 1 + j)
        around.append(index[tuple(cell)])
    quads = np.stack(around, axis=-1)
    whole = np.all(quads >= 0, axis=-1)
    forward, backward = a & ~b & whole, b & ~a & whole
    return np.concatenate([quads[forward], quads[backward][:, ::-1]])


def without_crumbs(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mesh without connected parts of few triangles and without corners that nothing uses."""
    if not len(faces):
        return np.zeros((0, 3)), np.zeros((0, 3), int)
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(vertices),) * 2)
    part = connected_components(graph, directed=False)[1][faces[:, 0]]
    kept = faces[np.bincount(part)[part] >= LEAST_FACES]
    used, renamed = np.unique(kept, return_inverse=True)
    return vertices[used], renamed.reshape(-1, 3)
