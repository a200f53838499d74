"""Layers of a result in viser's scene: made once, moved to a frame by `show`."""

from __future__ import annotations

import numpy as np
import trimesh
import viser

from vm_core.frames import quat_from_matrix
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.human_motion import PARENTS, HumanMotion
from vm_reconstruction.viewer.result import Result
from vm_reconstruction.viewer.robot_shapes import link_shapes

LAYERS = ("video", "cameras", "points", "mesh", "terrain", "human", "robot", "contacts")
HUMANS = ((230, 120, 40), (60, 130, 220), (60, 170, 90), (170, 80, 190))
COMPARED = ((40, 190, 190), (190, 60, 90))
TERRAIN, SEEN, ROBOT, CONTACT, GROUND_HALF_M = (190, 180, 165), (150, 165, 180), (95, 100, 110), (40, 220, 60), 2.5
CONTACT_JOINTS = {"left_foot": "left_toe", "right_foot": "right_toe", "seat": "pelvis"} | {
    f"{side}_hand": f"{side}_wrist" for side in ("left", "right")
}
ROBOT_GAP_M = 0.8  # between the people's scene and the robot's beside it


class ResultLayers:
    """All layers of one result under one name; `compared` draws people only, in other colours."""

    def __init__(self, scene: viser.SceneApi, result: Result, compared: bool = False) -> None:
        self._scene, self._result, self._compared = scene, result, compared
        self._root = f"/{'compared' if compared else 'result'}"
        self._roots = {name: scene.add_frame(f"{self._root}/{name}", show_axes=False) for name in LAYERS}
        self._colors = COMPARED if compared else HUMANS
        self._people = [self._add_person(k, person) for k, person in enumerate(result.people)]
        self._contacts = [self._add_contacts(k, person) for k, person in enumerate(result.people)]
        self._links: list[tuple[int, viser.MeshHandle]] = []
        self._camera: viser.CameraFrustumHandle | None = None
        self._beside = self._robot_place()
        if not compared:
            self._add_places()
            self._add_robot()
            self._add_camera()
        self.show(0)

    def set_visible(self, layer: str, visible: bool) -> None:
        """Shows or hides a layer."""
        self._roots[layer].visible = visible

    def show(self, frame: int) -> None:
        """Moves everything to a frame of the timeline."""
        for person, (joints, bones), marks in zip(self._result.people, self._people, self._contacts, strict=True):
            at = min(frame, person.num_frames - 1)
            pos = person.joint_pos_world[at]
            joints.batched_positions = pos.astype(np.float32)
            bones.points = _bones(pos)
            for mark, name in zip(marks, person.contact_names, strict=True):
                mark.visible = bool(person.contact[at, person.contact_names.index(name)] > 0.5)
                mark.position = pos[person.joint_names.index(CONTACT_JOINTS[name])]
        self._show_robot(frame)
        self._show_camera(frame)

    def _name(self, layer: str, part: str) -> str:
        return f"{self._root}/{layer}/{part}"

    def _add_person(self, k: int, person: HumanMotion) -> tuple[viser.BatchedMeshHandle, viser.LineSegmentsHandle]:
        color = self._colors[k % len(self._colors)]
        ball = trimesh.creation.icosphere(subdivisions=1, radius=0.03)
        count = len(person.joint_names)
        joints = self._scene.add_batched_meshes_simple(
            self._name("human", f"{k}/joints"),
            np.asarray(ball.vertices, np.float32), np.asarray(ball.faces, np.uint32),
            np.tile([1.0, 0, 0, 0], (count, 1)), person.joint_pos_world[0].astype(np.float32), batched_colors=color,
            lod="off",
        )  # fmt: skip
        bones = self._scene.add_line_segments(
            self._name("human", f"{k}/bones"), _bones(person.joint_pos_world[0]), np.array(color), thickness=0.035
        )
        return joints, bones

    def _add_contacts(self, k: int, person: HumanMotion) -> list[viser.IcosphereHandle]:
        return [
            self._scene.add_icosphere(self._name("contacts", f"{k}/{name}"), radius=0.07, color=CONTACT, opacity=0.6)
            for name in person.contact_names
        ]

    def _add_places(self) -> None:
        if self._result.scene is not None:
            self._add_terrain(self._result.scene, "people", np.zeros(3))
        if self._result.robot_scene is not None:
            self._add_terrain(self._result.robot_scene, "robot", self._beside)
        self._add_mesh()
        points = self._result.points
        if len(points):
            height = np.clip((points[:, 2] - points[:, 2].min()) / max(float(np.ptp(points[:, 2])), 1e-6), 0, 1)
            colors = (np.column_stack([height, 0.5 + 0 * height, 1.0 - height]) * 200 + 30).astype(np.uint8)
            self._scene.add_point_cloud(
                self._name("points", "static"), points, colors, point_size=0.008, point_shape="rounded"
            )

    def _add_mesh(self) -> None:
        mesh = self._result.mesh
        if mesh is not None:
            vertices, faces = np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32)
            self._scene.add_mesh_simple(self._name("mesh", "seen"), vertices, faces, color=SEEN, side="double")

    def _add_terrain(self, asset: SceneAsset, part: str, shift: np.ndarray) -> None:
        for k, box in enumerate(asset.boxes):
            turn = (np.cos(box.yaw / 2), 0.0, 0.0, np.sin(box.yaw / 2))
            size = 2.0 * np.array(box.half_size)
            place = np.array(box.center_world) + shift
            name = self._name("terrain", f"{part}/{k}")
            self._scene.add_box(name, color=TERRAIN, dimensions=size, wxyz=turn, position=place)
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * GROUND_HALF_M
        middle = self._middle()
        xy = corners + middle * (asset.scale if part == "robot" else 1.0)
        vertices = np.column_stack([xy, asset.ground_height_at(xy)]) + shift
        name = self._name("terrain", f"{part}/ground")
        faces = np.array([[0, 1, 2], [0, 2, 3]])
        self._scene.add_mesh_simple(name, vertices, faces, color=(215, 220, 215), side="double", opacity=0.8)

    def _middle(self) -> np.ndarray:
        lead = self._result.people[0].joint("pelvis") if self._result.people else self._clip_root()
        return 0.5 * (lead[:, :2].min(axis=0) + lead[:, :2].max(axis=0))

    def _clip_root(self) -> np.ndarray:
        assert self._result.clip is not None
        return self._result.clip.root_pos_world

    def _robot_place(self) -> np.ndarray:
        """Where the robot's world stands: beside the people's, for they differ in size."""
        if not self._result.people or self._result.clip is None:
            return np.zeros(3)
        people = self._result.people[0].joint("pelvis")[:, 1]
        return np.array([0.0, float(people.max() - self._clip_root()[:, 1].min()) + ROBOT_GAP_M + 1.0, 0.0])

    def _add_robot(self) -> None:
        clip = self._result.clip
        if clip is None:
            return
        for k, shape in enumerate(link_shapes()):
            name = self._name("robot", f"{k}")
            mesh = self._scene.add_mesh_simple(name, shape.vertices, shape.faces, color=ROBOT, flat_shading=True)
            self._links.append((clip.body_names.index(shape.body), mesh))

    def _show_robot(self, frame: int) -> None:
        clip = self._result.clip
        if clip is None or not self._links:
            return
        at = min(round(frame * clip.fps / self._result.fps), clip.num_frames - 1)
        for body, mesh in self._links:
            mesh.position = clip.body_pos_world[at, body] + self._beside
            mesh.wxyz = clip.body_quat_wxyz[at, body]

    def _add_camera(self) -> None:
        track = self._result.track
        if track is None:
            return
        width, height = 2.0 * track.K[0, 2], 2.0 * track.K[1, 2]
        fov = 2.0 * np.arctan(0.5 * height / track.K[1, 1])
        self._camera = self._scene.add_camera_frustum(
            self._name("video", "plane"), fov=float(fov), aspect=float(width / height), scale=0.6, color=(40, 40, 40)
        )
        path = track.T_world_camera[:, :3, 3]
        if len(path) > 1:
            segments = np.stack([path[:-1], path[1:]], axis=1)
            name = self._name("cameras", "path")
            self._scene.add_line_segments(name, segments, np.array((30, 60, 160)), thickness=0.02)
        for k in range(0, len(path), max(1, len(path) // 12)):
            name = self._name("cameras", f"{k}")
            wxyz = quat_from_matrix(track.T_world_camera[k, :3, :3])
            self._scene.add_frame(name, axes_length=0.12, axes_radius=0.006, wxyz=wxyz, position=path[k])

    def _show_camera(self, frame: int) -> None:
        track, pictures = self._result.track, self._result.pictures
        if self._camera is None or track is None:
            return
        at = min(frame, len(track.T_world_camera) - 1)
        self._camera.position = track.T_world_camera[at, :3, 3]
        self._camera.wxyz = quat_from_matrix(track.T_world_camera[at, :3, :3])
        if pictures is not None:
            self._camera.image = pictures[min(at, len(pictures) - 1)]


def _bones(pos: np.ndarray) -> np.ndarray:
    """(B, 2, 3) from every joint to its parent."""
    child = [j for j, parent in enumerate(PARENTS) if parent >= 0]
    return np.stack([pos[child], pos[[PARENTS[j] for j in child]]], axis=1).astype(np.float32)
