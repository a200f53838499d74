"""The scene: what the robot can stand on. A folder with `scene.json`, `terrain.npz` and `mesh.ply`; metric, z up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vm_core.atomic_files import atomic_folder
from vm_core.errors import VmError
from vm_core.motion_clip import read_npz

FORMAT = "videomimic_scene"
FORMAT_VERSION = 1
SEAT = "seat"
"""Label of a box that is sat on, and name of a clip's contact with it."""
BESIDE_POLICY = ".scene"
"""In place of a policy file's suffix: the folder of the one place that it is for."""
BESIDE_CLIP = "scene"
"""Beside a clip's file: the folder of the place that it is for."""
_HEIGHT_FIELD_RESOLUTION_M = 0.05
_HEIGHT_FIELD_MARGIN_M = 2.0


@dataclass(frozen=True)
class SceneBox:
    """An upright box, turned about z.

    Attributes:
        center_world: (3,) [m].
        half_size: (3,) along the box's own x, y, z [m].
        yaw: turn about z [rad].
        label: what it is: step, seat, …
        height_std_m: standard deviation of its top's height.
    """

    center_world: tuple[float, float, float]
    half_size: tuple[float, float, float]
    yaw: float = 0.0
    label: str = "box"
    height_std_m: float = 0.0

    def __post_init__(self) -> None:
        numbers = (*self.center_world, *self.half_size, self.yaw, self.height_std_m)
        if len(numbers) != 8 or not np.all(np.isfinite(numbers)) or min(self.half_size) <= 0:
            raise VmError(f"scene box {self.label!r} needs finite numbers and positive sizes; got {numbers}")

    @property
    def top(self) -> float:
        """Height of the upper face [m]."""
        return self.center_world[2] + self.half_size[2]

    def contains_xy(self, xy: np.ndarray) -> np.ndarray:
        """Which of the points (N, 2) [m] lie over the box; (N,) bool."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        local = (xy - np.array(self.center_world[:2])) @ np.array([[c, -s], [s, c]])
        return np.all(np.abs(local) <= np.array(self.half_size[:2]), axis=-1)


@dataclass(frozen=True)
class SceneAsset:
    """Ground plane and boxes.

    Attributes:
        boxes: what stands on the ground.
        ground: (a, b, c) of z = a x + b y + c [m].
        ground_std_m: standard deviation of the ground's height.
        gravity_world: (3,) [m/s²].
        scale: robot scene's size divided by the real one (1: as seen).
        source: where the scene comes from, for people.
        details: further provenance, JSON values.
    """

    boxes: tuple[SceneBox, ...] = ()
    ground: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ground_std_m: float = 0.0
    gravity_world: tuple[float, float, float] = (0.0, 0.0, -9.81)
    scale: float = 1.0
    source: str = ""
    details: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = (*self.ground, self.ground_std_m, *self.gravity_world, self.scale)
        if len(numbers) != 8 or not np.all(np.isfinite(numbers)) or self.scale <= 0:
            raise VmError(f"scene needs finite ground, gravity and a positive scale; got {numbers}")

    def ground_height_at(self, xy: np.ndarray) -> np.ndarray:
        """Height (N,) [m] of the ground plane at points (N, 2)."""
        return xy @ np.array(self.ground[:2]) + self.ground[2]

    def height_at(self, xy: np.ndarray) -> np.ndarray:
        """Height (N,) [m] of the uppermost surface at points (N, 2)."""
        height = self.ground_height_at(xy)
        for box in self.boxes:
            height = np.where(box.contains_xy(xy), np.maximum(height, box.top), height)
        return height

    def save(self, folder: Path | str) -> None:
        """Writes the folder; it appears whole or not at all."""
        header = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "up": "z",
            "unit": "m",
            "ground_plane_z_from_xy": self.ground,
            "ground_std_m": self.ground_std_m,
            "gravity_world": self.gravity_world,
            "scale": self.scale,
            "source": self.source,
            "boxes": [vars(box) for box in self.boxes],
            "details": self.details,
        }
        x, y, heights = self.height_field()
        with atomic_folder(folder) as temporary:
            (temporary / "scene.json").write_text(json.dumps(header, indent=1))
            np.savez_compressed(temporary / "terrain.npz", x=x, y=y, height=heights, boxes=_box_table(self.boxes))
            _write_ply(temporary / "mesh.ply", *self.mesh())

    @staticmethod
    def load(folder: Path | str) -> SceneAsset:
        """Reads and checks a scene folder.

        Raises:
            VmError: not a folder, no terrain, another format, damaged numbers.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise VmError(f"{folder}: no such scene folder")
        missing = [name for name in ("scene.json", "terrain.npz") if not (folder / name).is_file()]
        if missing:
            raise VmError(f"{folder}: scene folder lacks {' and '.join(missing)}; it holds {_names(folder)}")
        read_npz(folder / "terrain.npz", str(folder / "terrain.npz"))
        try:
            header = json.loads((folder / "scene.json").read_text())
            kind, version = header["format"], header["format_version"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise VmError(f"{folder}/scene.json: not a scene header; expected JSON of format {FORMAT!r}") from None
        if kind != FORMAT or version != FORMAT_VERSION:
            raise VmError(f"{folder}: format {kind!r} version {version!r}; this reads {FORMAT!r} {FORMAT_VERSION}")
        try:
            return _from_header(header)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise VmError(f"{folder}/scene.json: damaged entry ({error!r})") from None
        except VmError as error:
            raise VmError(f"{folder}/scene.json: {error}") from None

    def bounds_xy(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corner (2,) [m] of the boxes with a margin."""
        centers = np.array([box.center_world[:2] for box in self.boxes] or [(0.0, 0.0)])
        reach = np.array([np.hypot(*box.half_size[:2]) for box in self.boxes] or [0.0])[:, None]
        return (centers - reach).min(0) - _HEIGHT_FIELD_MARGIN_M, (centers + reach).max(0) + _HEIGHT_FIELD_MARGIN_M

    def height_field(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x (X,), y (Y,) and heights (X, Y) [m] over the bounds."""
        low, high = self.bounds_xy()
        x, y = (np.arange(low[i], high[i] + 1e-9, _HEIGHT_FIELD_RESOLUTION_M) for i in range(2))
        xy = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
        return x, y, self.height_at(xy.reshape(-1, 2)).reshape(len(x), len(y))

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) [m] and triangles (F, 3) of the ground and the boxes, outward normals."""
        low, high = self.bounds_xy()
        corners = np.array([(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])])
        vertices = [np.column_stack([corners, self.ground_height_at(corners)])]
        faces = [np.array([(0, 1, 2), (0, 2, 3)])]
        for box in self.boxes:
            faces.append(_BOX_FACES + sum(len(v) for v in vertices))
            c, s = np.cos(box.yaw), np.sin(box.yaw)
            turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
            vertices.append(_BOX_CORNERS * np.array(box.half_size) @ turn + np.array(box.center_world))
        return np.concatenate(vertices), np.concatenate(faces)


_BOX_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
_QUADS = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
_BOX_FACES = np.array([triangle for a, b, c, d in _QUADS for triangle in ((a, b, c), (a, c, d))])


def _box_table(boxes: tuple[SceneBox, ...]) -> np.ndarray:
    """(N, 8): centre, half size, yaw, height standard deviation."""
    return np.array([(*b.center_world, *b.half_size, b.yaw, b.height_std_m) for b in boxes]).reshape(-1, 8)


def _from_header(header: dict) -> SceneAsset:
    boxes = [
        SceneBox(
            center_world=tuple(map(float, box["center_world"])),  # type: ignore[arg-type]
            half_size=tuple(map(float, box["half_size"])),  # type: ignore[arg-type]
            yaw=float(box["yaw"]),
            label=str(box["label"]),
            height_std_m=float(box["height_std_m"]),
        )
        for box in header["boxes"]
    ]
    return SceneAsset(
        boxes=tuple(boxes),
        ground=tuple(map(float, header["ground_plane_z_from_xy"])),  # type: ignore[arg-type]
        ground_std_m=float(header["ground_std_m"]),
        gravity_world=tuple(map(float, header["gravity_world"])),  # type: ignore[arg-type]
        scale=float(header["scale"]),
        source=str(header["source"]),
        details=dict(header["details"]),
    )


def _names(folder: Path) -> str:
    return ", ".join(sorted(entry.name for entry in folder.iterdir())) or "nothing"


def _write_ply(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    lines = [
        "ply",
        "format ascii 1.0",
        f"element vertex {len(vertices)}",
        *(f"property float {axis}" for axis in "xyz"),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header",
        *(f"{x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices),
        *(f"3 {a} {b} {c}" for a, b, c in faces),
    ]
    path.write_text("\n".join(lines) + "\n")
