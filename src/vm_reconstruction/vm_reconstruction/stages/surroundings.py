"""Stage after the joint solver's scene: the whole place from depth, for pictures and for contact.

What feet and seat prove (ground and boxes of stages/scene) stays as it is; convex pieces from depth are added where it
says nothing. Both are at the people's size, in the people's world.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
import trimesh

from vm_core.atomic_files import atomic_folder
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.geometry import clouds, fusion, pieces, surface_nets
from vm_reconstruction.geometry.pieces import Piece
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.observations import Observations
from vm_reconstruction.stages import joint, observe
from vm_reconstruction.stages.body import BodyTrack
from vm_reconstruction.stages.stances import STEP_MIN_M
from vm_sim.terrain import add_scene

HUMAN_SCENE = "stages/scene"
FOLDER, MESH_FILE, MODEL_FILE, RECORD_FILE = "surroundings", "mesh.ply", "scene.xml", "surroundings.json"
FRAMES, REACH_M = 24, 3.0  # depth pictures used; farther from the people's ways depth says little
POINT_STEP = 3  # of the pixels that become pieces
TOLERANCE_SHARE, TOLERANCE_M = 0.015, 0.03  # of planes: depth errs by a share of itself
KNOWN_M = 0.08  # points so near to the boxes are of them
GROUND_SHARE = 0.04  # of its depth: what is less high over the ground may be the ground, for depth errs by as much
MOST_PIECES = 63  # with the ground 64
COLOR = (0.55, 0.60, 0.66, 1.0)


@dataclass(frozen=True)
class Surroundings:
    """What stands around people: mesh of all that was seen, solids of what the scene does not have yet."""

    vertices: np.ndarray
    faces: np.ndarray
    pieces: tuple[Piece, ...]


def run(out: Path) -> Surroundings:
    """Reads observations, cameras, people and scene; writes surroundings/."""
    observed = Observations.load(out / observe.FILE)
    scale = float(json.loads((out / joint.RECORD_FILE).read_text())["scale_m_per_unit"])
    people = [HumanMotion.load(path) for path in sorted((out / joint.PEOPLE).glob("person_*.npz"))]
    scene = SceneAsset.load(out / HUMAN_SCENE)
    found = surroundings(observed, scale, BodyTrack.load(out / "stages" / "body.npz").T_world_camera, people, scene)
    save(found, scene, out / FOLDER)
    return found


def surroundings(
    observed: Observations, scale: float, T_world_camera: np.ndarray, people: list[HumanMotion], scene: SceneAsset
) -> Surroundings:
    """From depth [units] times scale, poses (T, 4, 4), and where people went [m, world]."""
    pixels = clouds.static_pixels(observed, scale, max(1, observed.num_frames // FRAMES), 1)
    if not len(pixels.depth):
        return Surroundings(np.zeros((0, 3)), np.zeros((0, 3), int), ())
    pixels = clouds.agreed(pixels, observed, scale, T_world_camera, rounds=1)
    ways = np.concatenate([person.joint_pos_world.reshape(-1, 3) for person in people])
    low, high = ways.min(axis=0) - REACH_M, ways.max(axis=0) + REACH_M
    low[2] = ways[:, 2].min() - 0.5
    points = pixels.points(observed.depth_matrix, T_world_camera)
    inside = np.all((points > low) & (points < high), axis=1)
    if inside.sum() < 50:
        return Surroundings(np.zeros((0, 3)), np.zeros((0, 3), int), ())
    low, high = np.percentile(points[inside], [0.5, 99.5], axis=0) + np.array([[-0.15], [0.15]])
    frames, maps = fusion.depth_maps(pixels, observed.depth.shape[1:])
    volume = fusion.fused(maps, observed.depth_matrix, T_world_camera[frames], low, high)
    mesh = surface_nets.surface(volume)
    return Surroundings(*mesh, tuple(_pieces(points, pixels, inside, T_world_camera, ways, scene)))


def _pieces(
    points: np.ndarray, pixels: clouds.StaticPixels, inside: np.ndarray, T_world_camera: np.ndarray, ways: np.ndarray,
    scene: SceneAsset,
) -> list[Piece]:  # fmt: skip
    some = np.flatnonzero(inside)[::POINT_STEP]
    some = some[_unknown(points[some], pixels.depth[some], scene)]
    cameras = T_world_camera[pixels.frame[some], :3, 3]
    tolerance = np.maximum(TOLERANCE_SHARE * pixels.depth[some], TOLERANCE_M)
    found = pieces.free_of(pieces.pieces(points[some], cameras, tolerance), ways[:: max(1, len(ways) // 20_000)])
    return found[: MOST_PIECES - len(scene.boxes)]


def _unknown(points: np.ndarray, depth_m: np.ndarray, scene: SceneAsset) -> np.ndarray:
    """(N,) which points, seen from a depth (N,), are above what the scene has already."""
    box = np.zeros(len(points), bool)
    for one in scene.boxes:
        c, s = np.cos(one.yaw), np.sin(one.yaw)
        away = points - np.array(one.center_world)
        local = np.column_stack([away[:, :2] @ np.array([[c, -s], [s, c]]), away[:, 2]])
        box |= np.all(np.abs(local) < np.array(one.half_size) + KNOWN_M, axis=1)
    over_ground = points[:, 2] - scene.ground_height_at(points[:, :2])
    return (over_ground > np.maximum(STEP_MIN_M, GROUND_SHARE * depth_m)) & ~box


def model_of(scene: SceneAsset, found: tuple[Piece, ...]) -> mujoco.MjSpec:
    """The scene's ground and boxes, and the pieces as `piece_0`, `piece_1`, …"""
    spec = mujoco.MjSpec()
    add_scene(spec, scene)
    for k, piece in enumerate(found):
        name = f"piece_{k}"
        spec.add_mesh(name=name, uservert=piece.corners.ravel())
        spec.worldbody.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, rgba=COLOR)
    return spec


def save(found: Surroundings, scene: SceneAsset, folder: Path) -> None:
    """Writes mesh.ply, scene.xml (MuJoCo) and surroundings.json; the folder appears whole or not at all."""
    spec = model_of(scene, found.pieces)
    spec.compile()
    record = {
        "pieces": [{"label": p.label, "size_m2": p.size_m2, "corners": p.corners.tolist()} for p in found.pieces],
        "mesh_vertices": len(found.vertices),
        "mesh_faces": len(found.faces),
    }
    with atomic_folder(folder) as temporary:
        trimesh.Trimesh(found.vertices, found.faces, process=False).export(temporary / MESH_FILE)
        (temporary / MODEL_FILE).write_text(spec.to_xml())
        (temporary / RECORD_FILE).write_text(json.dumps(record))
