"""The overlay video: what was reconstructed, drawn back onto the frames that it came from."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_reconstruction.frontends.pose_frontend import PoseLandmarks
from vm_reconstruction.human_motion import PARENTS, HumanMotion
from vm_reconstruction.render.projection import NEAR_M, project
from vm_reconstruction.stages.body import BodyTrack
from vm_reconstruction.stages.frames import FrameSource, read_frames

# BGR, as OpenCV draws.
LEFT, RIGHT, TRUNK = (60, 170, 255), (255, 150, 50), (235, 235, 235)
CONTACT, MASK, BOX, GRID = (60, 230, 60), (200, 80, 220), (40, 220, 240), (160, 200, 160)
GRID_HALF_M, GRID_STEP_M = 2.0, 0.5
MAX_SIDE_PX = 720
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1]


@dataclass(frozen=True)
class Overlay:
    """All that is drawn.

    Attributes:
        motion: the person in the world.
        track: the camera in the world.
        scene: in the person's size, or None.
        landmarks: person masks, or None.
    """

    motion: HumanMotion
    track: BodyTrack
    scene: SceneAsset | None
    landmarks: PoseLandmarks | None

    def draw(self, frame: np.ndarray, index: int) -> np.ndarray:
        """One annotated copy of a working-size BGR frame (H, W, 3)."""
        image = frame.copy()
        if self.landmarks is not None and self.landmarks.found[index]:
            _draw_outline(image, self.landmarks.mask(index))
        if self.scene is not None:
            self._draw_scene(image, index)
        self._draw_skeleton(image, index)
        self._draw_labels(image, index)
        return image

    def _draw_scene(self, image: np.ndarray, index: int) -> None:
        assert self.scene is not None
        for start, end in _ground_grid(self.scene, self.motion.joint("pelvis")[:, :2].mean(axis=0)):
            self._segment(image, index, start, end, GRID, 1)
        for box in self.scene.boxes:
            corners = box_corners(box)
            for a, b in _EDGES:
                top = corners[[a, b], 2].min() > box.center_world[2]
                self._segment(image, index, corners[a], corners[b], BOX, 2 if top else 1)

    def _draw_skeleton(self, image: np.ndarray, index: int) -> None:
        pixels = project(self.motion.joint_pos_world[index], self.track.K, self.track.T_world_camera[index])
        for joint, parent in enumerate(PARENTS):
            if parent >= 0 and pixels[joint, 2] > NEAR_M and pixels[parent, 2] > NEAR_M:
                color = side_color(self.motion.joint_names[joint])
                cv2.line(image, _point(pixels[joint]), _point(pixels[parent]), color, 2, cv2.LINE_AA)
        for joint in range(len(pixels)):
            if pixels[joint, 2] > NEAR_M:
                cv2.circle(image, _point(pixels[joint]), 3, side_color(self.motion.joint_names[joint]), -1, cv2.LINE_AA)
        for name, joints in _CONTACT_JOINTS.items():
            if self.motion.touches(name)[index]:
                for joint in joints:
                    pixel = pixels[self.motion.joint_names.index(joint)]
                    if pixel[2] > NEAR_M:
                        cv2.circle(image, _point(pixel), 8, CONTACT, 2, cv2.LINE_AA)

    def _draw_labels(self, image: np.ndarray, index: int) -> None:
        held = [n for n, c in zip(self.motion.contact_names, self.motion.contact[index], strict=True) if c > 0.5]
        text = f"{index / self.motion.fps:5.2f} s   contact: {', '.join(held) or 'none'}"
        cv2.rectangle(image, (0, 0), (image.shape[1], 28), (0, 0, 0), -1)
        cv2.putText(image, text, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)

    def _segment(self, image: np.ndarray, index: int, a: np.ndarray, b: np.ndarray, color: tuple, width: int) -> None:
        """A world line, cut where it passes behind the camera."""
        T_camera_world = np.linalg.inv(self.track.T_world_camera[index])
        ends = np.stack([a, b]) @ T_camera_world[:3, :3].T + T_camera_world[:3, 3]
        if (ends[:, 2] <= NEAR_M).all():
            return
        for near, far in ((0, 1), (1, 0)):
            if ends[near, 2] < NEAR_M:
                share = (NEAR_M - ends[near, 2]) / (ends[far, 2] - ends[near, 2])
                ends[near] = ends[near] + share * (ends[far] - ends[near])
        pixels = (ends / ends[:, 2:]) @ self.track.K.T
        cv2.line(image, _point(pixels[0]), _point(pixels[1]), color, width, cv2.LINE_AA)


_CONTACT_JOINTS = {
    "left_foot": ("left_heel", "left_toe"),
    "right_foot": ("right_heel", "right_toe"),
    "seat": ("pelvis",),
    "left_hand": ("left_wrist",),
    "right_hand": ("right_wrist",),
}


def side_color(joint: str) -> tuple[int, int, int]:
    """BGR colour of a joint by its body side."""
    return LEFT if joint.startswith("left") else RIGHT if joint.startswith("right") else TRUNK


def box_corners(box: SceneBox) -> np.ndarray:
    """(8, 3) corners [m, world]; bit 2 of the index is x, bit 1 y, bit 0 z."""
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    c, s = np.cos(box.yaw), np.sin(box.yaw)
    return signs * np.array(box.half_size) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + np.array(box.center_world)


def write_overlay(out: Path) -> Path:
    """Draws OUT/overlay.mp4 from the stage files of a run and returns its path."""
    source = FrameSource.load(out / "stages" / "frames.json")
    landmarks, scene = out / "stages" / "landmarks.npz", out / "stages" / "scene"
    overlay = Overlay(
        HumanMotion.load(out / "human.npz"),
        BodyTrack.load(out / "stages" / "body.npz"),
        SceneAsset.load(scene) if scene.is_dir() else None,
        PoseLandmarks.load(landmarks) if landmarks.is_file() else None,
    )
    target = out / "overlay.mp4"
    with atomic_path(target) as temporary:
        _encode(temporary, source, overlay)
    return target


def _encode(path: Path, source: FrameSource, overlay: Overlay) -> None:
    scale = min(1.0, MAX_SIDE_PX / max(source.width, source.height))
    size = (int(source.width * scale) // 2 * 2, int(source.height * scale) // 2 * 2)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        rate = Fraction(source.fps).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options={"crf": "25", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = size[0], size[1], "yuv420p"
        for index, frame in enumerate(read_frames(source)):
            image = np.asarray(cv2.resize(overlay.draw(frame, index), size, interpolation=cv2.INTER_AREA), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))


def _draw_outline(image: np.ndarray, mask: np.ndarray) -> None:
    full = cv2.resize(mask.astype(np.uint8), (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    contours, _ = cv2.findContours(full, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(image, contours, -1, MASK, 1, cv2.LINE_AA)


def _ground_grid(scene: SceneAsset, center: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Lines of a square grid on the ground around a point (2,) [m]."""
    ticks = np.arange(-GRID_HALF_M, GRID_HALF_M + 1e-6, GRID_STEP_M)
    lines = []
    for tick in ticks:
        for axis in (0, 1):
            ends = np.tile(center, (2, 1)).astype(float)
            ends[:, axis] += tick
            ends[:, 1 - axis] += [-GRID_HALF_M, GRID_HALF_M]
            points = np.column_stack([ends, scene.ground_height_at(ends)])
            lines += [(a, b) for a, b in zip(*_cuts(points), strict=True)]
    return lines


def _cuts(ends: np.ndarray, pieces: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Splits one line, so that parts in view survive when an end is behind the camera."""
    share = np.linspace(0.0, 1.0, pieces + 1)[:, None]
    points = ends[0] + share * (ends[1] - ends[0])
    return points[:-1], points[1:]


def _point(pixel: np.ndarray) -> tuple[int, int]:
    # Far outside the picture is as good as just outside; OpenCV takes 16 bits.
    x, y = np.clip(pixel[:2], -8000, 8000)
    return round(float(x)), round(float(y))
