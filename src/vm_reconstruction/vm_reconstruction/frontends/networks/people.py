"""Who is in the video, before networks look closer: MediaPipe's one person, or the people whom TRAM tracked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.frontends.networks import labels
from vm_reconstruction.frontends.networks.result_files import points_in_camera
from vm_reconstruction.frontends.pose_frontend import PoseLandmarks
from vm_reconstruction.inputs import smpl, tram
from vm_reconstruction.solver.body_problem import BONES, POINTS
from vm_reconstruction.stages.body import gathered, turned_to_ray
from vm_reconstruction.stages.frames import FrameSource
from vm_reconstruction.stages.landmarks import inside

PROJECTED_CONFIDENCE = 0.5  # of image points that are a pose's projection: the pose was fitted to a box, not to them
LIMB_SHARE = 0.06  # of the person's height in the picture: how thick a limb is drawn
_HIPS = [POINTS.index("left_hip"), POINTS.index("right_hip")]


@dataclass(frozen=True)
class SeenPerson:
    """One person over T frames.

    Attributes:
        found: (T,) bool; boxes: (T, 4) x0 y0 x1 y1 [px], NaN where nobody was found.
        xy_px: (T, 17, 2); confidence: (T, 17).
        points_camera: (T, 17, 3) relative to the middle of the hips [m].
        masks: (T, h, w) bool of the person; those of several keep apart.
    """

    found: np.ndarray
    boxes: np.ndarray
    xy_px: np.ndarray
    confidence: np.ndarray
    points_camera: np.ndarray
    masks: np.ndarray


def of_landmarks(seen: PoseLandmarks, source: FrameSource, matrix: np.ndarray, size: tuple[int, int]) -> SeenPerson:
    """MediaPipe's person; size (w, h) of the masks."""
    sure = np.clip(np.nan_to_num(gathered(seen, seen.visibility * inside(seen, source))), 0.0, 1.0)
    xy = np.nan_to_num(gathered(seen, seen.xy_px))
    points = turned_to_ray(np.nan_to_num(gathered(seen, seen.world_m)), xy, matrix)
    masks = [cv2.resize(seen.mask(t).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) for t in range(len(xy))]
    relative = points - points[:, _HIPS].mean(axis=1, keepdims=True)
    return SeenPerson(seen.found, person_boxes(seen, source), xy, sure, relative, np.stack(masks) > 0)


def of_tracks(
    paths: list[Path], model: Path, source: FrameSource, matrix: np.ndarray, size: tuple[int, int]
) -> list[SeenPerson]:
    """The people of TRAM's tracks, with their projections as image points; the nearer one has what two would cover.

    Raises:
        VmError: a file that is no track, or one of another video.
    """
    found = [_of_track(path, model, source, matrix, size) for path in paths]
    nearness = [np.float16(1.0) / far.astype(np.float16)[:, None, None] * person.masks for person, far in found]
    parted = labels.parted(np.stack(nearness))
    return [replace(person, masks=mask) for (person, _), mask in zip(found, parted, strict=True)]


def _of_track(
    path: Path, model: Path, source: FrameSource, matrix: np.ndarray, size: tuple[int, int]
) -> tuple[SeenPerson, np.ndarray]:
    """The person, and how far from the camera (T,) [m]."""
    track = tram.read_track(path, model)
    frames = source.num_frames
    if track.frames.min() < 0 or track.frames.max() >= frames:
        raise VmError(
            f"{path} tells of frame {track.frames.max()}, {source.path} has {frames}; expected the same video"
        )
    every = points_in_camera(track.joints, list(smpl.JOINTS), source.fps)
    points, found = np.zeros((frames, len(POINTS), 3)), np.zeros(frames, bool)
    points[track.frames], found[track.frames] = every, True
    depth = np.maximum(points[..., 2:], 0.1)
    xy = np.where(found[:, None, None], points[..., :2] / depth * matrix[[0, 1], [0, 1]] + matrix[:2, 2], 0.0)
    in_view = np.all((xy >= 0) & (xy < [source.width, source.height]), axis=-1) & (points[..., 2] > 0.1)
    confidence = PROJECTED_CONFIDENCE * in_view * found[:, None]
    boxes = np.full((frames, 4), np.nan)
    limits = [source.width, source.height]
    seen = np.flatnonzero(found & in_view.any(axis=1))
    boxes[seen] = np.clip(np.concatenate([xy[seen].min(axis=1), xy[seen].max(axis=1)], axis=1), 0, limits * 2)
    relative = np.where(found[:, None, None], points - points[:, _HIPS].mean(axis=1, keepdims=True), 0.0)
    masks = np.stack([drawn(xy[t] * size / np.array(limits), size) & found[t] for t in range(frames)])
    seen_person = SeenPerson(found & in_view.any(axis=1), boxes, xy, confidence, relative, masks)
    return seen_person, depth[:, _HIPS, 0].mean(axis=1)


def drawn(xy: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A body (h, w) bool as thick limbs between image points (17, 2), where no network gives a mask."""
    picture = np.zeros((size[1], size[0]), np.uint8)
    thick = max(1, round(LIMB_SHARE * float(np.ptp(xy[:, 1]))))
    for a, b in BONES:
        ends = [tuple(int(np.clip(v, -1e4, 1e4)) for v in xy[POINTS.index(name)]) for name in (a, b)]
        cv2.line(picture, ends[0], ends[1], 1, thick)
    return picture > 0


def person_boxes(seen: PoseLandmarks, source: FrameSource) -> np.ndarray:
    """(T, 4) px around the landmarks inside the picture; NaN where nobody was found."""
    boxes = np.full((source.num_frames, 4), np.nan)
    for t in np.flatnonzero(seen.found):
        xy = np.clip(seen.xy_px[t], 0, [source.width, source.height])
        boxes[t] = *xy.min(axis=0), *xy.max(axis=0)
    return boxes
