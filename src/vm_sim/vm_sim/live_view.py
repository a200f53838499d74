"""The robot, its scan and its height grid as a page in the browser (viser). No ROS: plain arrays in, buttons out."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
import trimesh
import viser

from vm_core import g1
from vm_core.errors import VmError
from vm_core.g1_kinematics import JOINT_OFFSET
from vm_core.height_grid import CellSource
from vm_sim.g1_model import load_g1_spec
from vm_sim.light_meshes import lighten_meshes
from vm_sim.link_frames import LINK_NAMES, PARENT_NAMES, link_quats

BUTTONS = ("stand", "run", "damp", "release")
_CELL_COLORS = {
    CellSource.UNKNOWN: (230, 25, 25),
    CellSource.SEEN: (25, 205, 50),
    CellSource.FILLED: (230, 205, 25),
    CellSource.SEEDED: (50, 100, 230),
}
_BUTTON_COLORS = {"stand": (44, 123, 229), "run": (31, 157, 85), "damp": (217, 72, 15), "release": (85, 85, 85)}


@dataclass(frozen=True)
class LinkMesh:
    """What one link looks like, in its own frame: vertices (V, 3) [m], faces (F, 3), colour 0–255."""

    body: str
    vertices: np.ndarray
    faces: np.ndarray
    color: tuple[int, int, int]


def link_meshes() -> list[LinkMesh]:
    """The G1's visual meshes, coarser than their files.

    Raises:
        VmError: no model of the G1.
    """
    spec = load_g1_spec(meshes=True)
    lighten_meshes(spec)
    model = spec.compile()
    found = []
    for geom in np.flatnonzero(model.geom_type == int(mujoco.mjtGeom.mjGEOM_MESH)):
        mesh = int(model.geom_dataid[geom])
        vertices = model.mesh_vert[model.mesh_vertadr[mesh] :][: model.mesh_vertnum[mesh]]
        faces = model.mesh_face[model.mesh_faceadr[mesh] :][: model.mesh_facenum[mesh]]
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, model.geom_quat[geom])
        placed = vertices @ turn.reshape(3, 3).T + model.geom_pos[geom]
        rgba = model.geom_rgba[geom] if model.geom_matid[geom] < 0 else model.mat_rgba[model.geom_matid[geom]]
        red, green, blue = (int(255 * value) for value in rgba[:3])
        body = model.body(int(model.geom_bodyid[geom])).name
        found.append(LinkMesh(body, placed.astype(np.float32), faces.astype(np.uint32), (red, green, blue)))
    return found


class LiveView:
    """A page that shows what it is told; its buttons call back from a thread of the server."""

    def __init__(self, host: str, port: int, on_button: Callable[[str], str]) -> None:
        """Starts the server.

        Args:
            host, port: to listen at.
            on_button: takes one of BUTTONS, returns what to show.

        Raises:
            VmError: the port is taken.
        """
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # its banner
                self.server = viser.ViserServer(host=host, port=port, label="G1", verbose=False)
        except OSError as error:
            raise VmError(f"cannot listen at {host}:{port}: {error.strerror or error}") from None
        self._scene = self.server.scene
        self._cells: viser.BatchedMeshHandle | None = None
        self._object: viser.IcosphereHandle | viser.BoxHandle | None = None
        self._object_size = np.zeros(3)
        self._scene.set_up_direction("+z")
        self._scene.add_grid("/ground", width=20.0, height=20.0, cell_size=1.0)
        self._add_robot()
        self._add_panel(on_button)
        self.server.initial_camera.position = (1.6, -1.9, 1.4)
        self.server.initial_camera.look_at = (0.0, 0.0, 0.6)

    def _add_robot(self) -> None:
        paths = {g1.PELVIS_BODY: f"/{g1.PELVIS_BODY}"}
        self._pelvis = self._scene.add_frame(paths[g1.PELVIS_BODY], show_axes=False)
        self._links = []
        for link, parent, offset in zip(LINK_NAMES, PARENT_NAMES, JOINT_OFFSET, strict=True):
            paths[link] = f"{paths[parent]}/{link}"  # a child moves with its parent
            self._links.append(self._scene.add_frame(paths[link], show_axes=False, position=offset))
        lidar = self._scene.add_frame(f"{paths[g1.TORSO_BODY]}/lidar", show_axes=False)
        lidar.position, lidar.wxyz = g1.LIDAR_POS_IN_TORSO, g1.LIDAR_QUAT_IN_TORSO_WXYZ
        self._scan_path = f"{paths[g1.TORSO_BODY]}/lidar/scan"
        for number, mesh in enumerate(link_meshes()):
            path = f"{paths[mesh.body]}/mesh_{number}"
            self._scene.add_mesh_simple(path, mesh.vertices, mesh.faces, color=mesh.color, flat_shading=True)
        self._command = self._scene.add_line_segments(
            f"{paths[g1.PELVIS_BODY]}/command", np.zeros((3, 2, 3)), np.array([255, 140, 0]), thickness=0.03
        )

    def _add_panel(self, on_button: Callable[[str], str]) -> None:
        gui = self.server.gui
        gui.configure_theme(control_width="medium", show_share_button=False)  # nothing of a robot goes elsewhere
        self._status = gui.add_markdown("no policy node heard")
        self._answer = gui.add_markdown("")
        for name in BUTTONS:
            button = gui.add_button(name.upper(), color=_BUTTON_COLORS[name])
            button.on_click(lambda _, name=name: self.press(name, on_button))

    def press(self, name: str, on_button: Callable[[str], str]) -> None:
        """What a click on a button does: calls, and shows the answer."""
        self._answer.content = f"{name}: …"
        self._answer.content = f"{name}: {on_button(name)}"

    def show_pelvis(self, pos: np.ndarray, quat_wxyz: np.ndarray) -> None:
        """Places the robot in the map: (3,) [m], (4,) wxyz."""
        self._pelvis.position, self._pelvis.wxyz = pos, quat_wxyz

    def show_joints(self, joint_pos: np.ndarray) -> None:
        """Moves the links; (29,) [rad] in motor order."""
        for handle, quat in zip(self._links, link_quats(joint_pos), strict=True):
            handle.wxyz = quat

    def show_cloud(self, points: np.ndarray) -> None:
        """The last scan's points (N, 3) [m] in the LiDAR's frame, which moves with the torso."""
        self._scene.add_point_cloud(self._scan_path, points.astype(np.float32), (90, 120, 220), point_size=0.012)

    def show_grid(self, points: np.ndarray, source: np.ndarray, size_m: float) -> None:
        """Cells as tiles of size_m: centres (N, 3) [m] in the map, unknown ones without height at the ground.

        Args:
            points: NaN heights are drawn at the lowest known cell.
            source: (N,) of CellSource; decides the colour.
            size_m: of a cell.
        """
        known = points[np.isfinite(points[:, 2]), 2]
        heights = np.nan_to_num(points[:, 2], nan=float(known.min()) if len(known) else 0.0)
        centres = np.column_stack([points[:, :2], heights]).astype(np.float32)
        colors = np.array([_CELL_COLORS[CellSource(int(cell))] for cell in source], dtype=np.uint8)
        if self._cells is not None and len(self._cells.batched_positions) == len(centres):
            self._cells.batched_positions, self._cells.batched_colors = centres, colors
            return
        tile = trimesh.creation.box((0.8 * size_m, 0.8 * size_m, 0.02))
        corners, faces = np.asarray(tile.vertices, np.float32), np.asarray(tile.faces, np.uint32)
        turn = np.tile(np.array([1.0, 0.0, 0.0, 0.0], dtype=np.float32), (len(centres), 1))
        self._cells = self._scene.add_batched_meshes_simple(
            "/height_grid", corners, faces, turn, centres, batched_colors=colors, lod="off", cast_shadow=False
        )

    def show_object(self, ball: bool, size: np.ndarray, color: np.ndarray, pose: np.ndarray) -> None:
        """Places a box or a ball of size (3,) [m] and colour (3,) 0–1 in the map: position [m] and wxyz (7,)."""
        if self._object is None or not np.array_equal(size, self._object_size):
            add, paint = self._scene, (255 * color).astype(np.uint8)
            self._object = (
                add.add_icosphere("/object", radius=0.5 * float(size[0]), color=paint)
                if ball
                else add.add_box("/object", dimensions=size, color=paint)
            )
            self._object_size = size
        self._object.position, self._object.wxyz = pose[:3], pose[3:]

    def show_status(self, text: str, command: np.ndarray) -> None:
        """State as text, and the command (vx, vy [m/s], yaw rate [rad/s]) as an arrow over the pelvis."""
        self._status.content = text
        tip = np.array([command[0], command[1], 0.35])
        start, side = np.array([0.0, 0.0, 0.35]), 0.15 * np.array([-command[1], command[0], 0.0])
        back = 0.2 * np.array([command[0], command[1], 0.0])
        self._command.points = np.array([[start, tip], [tip, tip - back + side], [tip, tip - back - side]])

    def stop(self) -> None:
        """Closes the page."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.server.stop()
