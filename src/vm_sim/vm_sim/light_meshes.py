"""Coarser visual meshes: software rendering spends its time on the G1's 20 MB of triangles."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np

_CELL_M = 0.005
_STL_TRIANGLE = np.dtype([("normal", "<f4", (3,)), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def lighten_meshes(spec: mujoco.MjSpec, cell_m: float = _CELL_M) -> None:
    """Replaces the specification's binary STL meshes by ones with vertices merged in cubes of `cell_m` [m]."""
    folder = Path(spec.modelfiledir) / spec.meshdir
    for mesh in spec.meshes:
        path = folder / mesh.file
        if not mesh.file.lower().endswith(".stl") or not path.is_file():
            continue
        vertices, faces = _merged(_read_stl(path), cell_m)
        if len(faces) < 4:  # smaller than the cells: keep it as it is
            continue
        mesh.file = ""
        mesh.uservert = vertices.ravel()
        mesh.userface = faces.ravel()


def _read_stl(path: Path) -> np.ndarray:
    """Corners (F, 3, 3) [m] of a binary STL."""
    content = path.read_bytes()
    count = int.from_bytes(content[80:84], "little")
    return np.frombuffer(content, dtype=_STL_TRIANGLE, count=count, offset=84)["corners"]


def _merged(corners: np.ndarray, cell_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and faces (F, 3) with all corners of a cell at their mean; flat triangles are gone."""
    flat = corners.reshape(-1, 3).astype(np.float64)
    _, owner, count = np.unique(np.floor(flat / cell_m), axis=0, return_inverse=True, return_counts=True)
    owner = owner.ravel()
    vertices = np.stack([np.bincount(owner, weights=flat[:, i]) for i in range(3)], axis=-1) / count[:, None]
    faces = owner.reshape(-1, 3)
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
    return vertices, np.unique(faces[distinct], axis=0).astype(np.int32)
