"""Places with exact geometry: a level floor with boxes (treads, kerbs, benches) and ramps on it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from vm_core.scene_asset import SceneAsset, SceneBox


@dataclass(frozen=True)
class Ramp:
    """A wedge that rises from the floor along +x.

    Attributes:
        start_x, end_x: foot and top edge [m]; the top may lie before the foot (a ramp that falls along +x).
        half_width: along y, centred on y = 0 [m].
        height: of the top edge [m].
    """

    start_x: float
    end_x: float
    half_width: float
    height: float

    def height_at(self, xy: np.ndarray) -> np.ndarray:
        """(N,) height [m] over points (N, 2); 0 beside the ramp."""
        share = (xy[:, 0] - self.start_x) / (self.end_x - self.start_x)
        on = (share >= 0) & (share <= 1) & (np.abs(xy[:, 1]) <= self.half_width)
        return np.where(on, share * self.height, 0.0)

    @property
    def slope_x(self) -> float:
        """Rise over +x."""
        return self.height / (self.end_x - self.start_x)

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Six corners (6, 3) [m] and eight triangles (8, 3), outward normals."""
        a, b, w, h = self.start_x, self.end_x, self.half_width, self.height
        corners = np.array([(a, -w, 0), (a, w, 0), (b, -w, 0), (b, w, 0), (b, -w, h), (b, w, h)], dtype=float)
        faces = np.array(
            [(0, 4, 5), (0, 5, 1), (2, 3, 5), (2, 5, 4), (0, 2, 4), (1, 5, 3), (0, 1, 3), (0, 3, 2)], dtype=np.int32
        )
        return corners, faces if b > a else faces[:, ::-1]


@dataclass(frozen=True)
class TrueScene:
    """Everything that can be stood or sat on, besides the floor z = 0."""

    boxes: tuple[SceneBox, ...] = ()
    ramps: tuple[Ramp, ...] = ()

    def height_at(self, xy: np.ndarray) -> np.ndarray:
        """Height (N,) [m] of the uppermost surface at points (N, 2)."""
        height = self.asset().height_at(xy)
        for ramp in self.ramps:
            height = np.maximum(height, ramp.height_at(xy))
        return height

    def slope_at(self, xy: np.ndarray) -> float:
        """Rise over +x at one point (2,)."""
        point = xy[None]
        return sum(r.slope_x for r in self.ramps if r.height_at(point)[0] >= self.height_at(point)[0] > 0)

    def asset(self) -> SceneAsset:
        """Floor and boxes as the pipeline's own kind of scene."""
        return SceneAsset(boxes=self.boxes, source="vm-make-dataset")

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) [m] and triangles (F, 3): floor, boxes, ramps."""
        vertices, faces = self.asset().mesh()
        for ramp in self.ramps:
            corners, triangles = ramp.mesh()
            faces = np.concatenate([faces, triangles + len(vertices)])
            vertices = np.concatenate([vertices, corners])
        return vertices, faces

    def to_dict(self) -> dict:
        """JSON values."""
        return {"boxes": [asdict(box) for box in self.boxes], "ramps": [asdict(ramp) for ramp in self.ramps]}

    @staticmethod
    def from_dict(values: dict) -> TrueScene:
        """The inverse of `to_dict`."""
        return TrueScene(
            tuple(SceneBox(**box) for box in values["boxes"]), tuple(Ramp(**ramp) for ramp in values["ramps"])
        )


def flight(start_x: float, run: float, rises: list[float], half_width: float, label: str = "step") -> list[SceneBox]:
    """Treads one behind the other along +x; `rises` are the tops' heights [m]; the last tread is as long as given."""
    boxes = []
    for k, top in enumerate(rises):
        center = (start_x + run * (k + 0.5), 0.0, 0.5 * top)
        boxes.append(SceneBox(center, (0.5 * run, half_width, 0.5 * top), 0.0, f"{label} {k + 1}"))
    return boxes


def slab(start_x: float, end_x: float, half_width: float, top: float, label: str) -> SceneBox:
    """One box from the floor to `top` between two places along x [m]."""
    center = (0.5 * (start_x + end_x), 0.0, 0.5 * top)
    return SceneBox(center, (0.5 * (end_x - start_x), half_width, 0.5 * top), 0.0, label)
