"""The G1's links as light meshes: the convex hull of what each link looks like."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
import trimesh

from vm_sim.g1_model import load_g1_spec

_MESH = int(mujoco.mjtGeom.mjGEOM_MESH)


@dataclass(frozen=True)
class LinkShape:
    """One mesh in its body's frame [m]."""

    body: str
    vertices: np.ndarray
    faces: np.ndarray


def link_shapes() -> list[LinkShape]:
    """Hulls of all visual meshes."""
    model = load_g1_spec(meshes=True).compile()
    shapes = []
    for geom in range(model.ngeom):
        if int(model.geom_type[geom]) != _MESH:
            continue
        mesh = int(model.geom_dataid[geom])
        start, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
        vertices = model.mesh_vert[start : start + count] @ rotation.reshape(3, 3).T + model.geom_pos[geom]
        hull = trimesh.convex.convex_hull(np.asarray(vertices, np.float64))
        body = model.body(int(model.geom_bodyid[geom])).name
        shapes.append(LinkShape(body, np.asarray(hull.vertices, np.float32), np.asarray(hull.faces, np.uint32)))
    return shapes
