"""Stage 2: the person's landmarks and mask in every frame, and the checks that there is exactly one whole person."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.frontends.pose_frontend import PoseFrontend, PoseLandmarks
from vm_reconstruction.progress import FrameProgress, warn
from vm_reconstruction.stages.frames import FrameSource, read_frames
from vm_reconstruction.stages.gaps import tell_gaps
from vm_reconstruction.stages.mirrors import tell_exchanged_sides

MIN_FOUND_SHARE = 0.3
MOST_OUTSIDE_SHARE = 0.7
SECOND_PERSON_SAMPLES = 8
SECOND_PERSON_VISIBILITY = 0.75
_BODY = ("shoulder", "hip", "knee", "ankle")


def run(out: Path, frontend: PoseFrontend, progress: FrameProgress) -> PoseLandmarks:
    """Finds the person and writes stages/landmarks.npz.

    Raises:
        VmError: nobody in view, somebody who is mostly cut off, or a second person beside the first.
    """
    source = FrameSource.load(out / "stages" / "frames.json")
    found = frontend.landmarks(read_frames(source), source.width, source.height, False, progress.step)
    _check_somebody(found, source)
    tell_gaps(found.found, source.fps)
    tell_exchanged_sides(found.world_m, found.names, found.found, source.fps)
    _check_inside(found, source)
    _check_alone(found, source, frontend)
    found.save(out / "stages" / "landmarks.npz")
    return found


def inside(landmarks: PoseLandmarks, source: FrameSource) -> np.ndarray:
    """(T, N) bool: landmarks that lie inside the image; those outside are the model's guess."""
    x, y = landmarks.xy_px[..., 0], landmarks.xy_px[..., 1]
    return (x >= 0) & (x < source.width) & (y >= 0) & (y < source.height) & landmarks.found[:, None]


def _body_columns(landmarks: PoseLandmarks) -> list[int]:
    return [landmarks.names.index(f"{side}_{part}") for side in ("left", "right") for part in _BODY]


def _check_somebody(landmarks: PoseLandmarks, source: FrameSource) -> None:
    share = float(landmarks.found.mean())
    if share < MIN_FOUND_SHARE:
        raise VmError(
            f"nobody in view: a person was found in {share:.0%} of {source.num_frames} frames of {source.path}; "
            f"expected at least {MIN_FOUND_SHARE:.0%}, one person, whole body"
        )


def _check_inside(landmarks: PoseLandmarks, source: FrameSource) -> None:
    columns = _body_columns(landmarks)
    outside = (~inside(landmarks, source)[:, columns]).mean(axis=1) > 0.25
    share = float(outside[landmarks.found].mean())
    if share > MOST_OUTSIDE_SHARE:
        raise VmError(
            f"the person is half outside the image in {share:.0%} of the frames of {source.path}; "
            "expected shoulders to ankles inside it in most frames"
        )
    if share > 0.1:
        warn(f"the person is partly outside the image in {share:.0%} of the frames; the pose is less sure there")


def _check_alone(landmarks: PoseLandmarks, source: FrameSource, frontend: PoseFrontend) -> None:
    """Paints the first person over and looks again: MediaPipe reports one person, whoever else is there."""
    candidates = np.flatnonzero(landmarks.found)
    picks = set(candidates[np.linspace(0, len(candidates) - 1, SECOND_PERSON_SAMPLES).astype(int)].tolist())
    painted = [_without_person(f, landmarks, t) for t, f in enumerate(read_frames(source)) if t in picks]
    second = frontend.landmarks(painted, source.width, source.height, True, lambda: None)
    columns = _body_columns(landmarks)
    seen = 0
    for row, frame in enumerate(sorted(picks)):
        visible = float(second.visibility[row, columns].mean()) > SECOND_PERSON_VISIBILITY
        size = np.ptp(second.xy_px[row, columns, 1])
        big = size > 0.35 * np.ptp(landmarks.xy_px[frame, columns, 1])
        seen += int(bool(second.found[row]) and visible and bool(big))
    if seen >= max(2, len(picks) // 2):
        raise VmError(
            f"two people: a second person was found in {seen} of {len(picks)} sampled frames of {source.path}; "
            "expected one (cut or mask the video; a mirror's image counts, too)"
        )


def _without_person(frame: np.ndarray, landmarks: PoseLandmarks, index: int) -> np.ndarray:
    mask = cv2.resize(landmarks.mask(index).astype(np.uint8), (frame.shape[1], frame.shape[0]))
    points = landmarks.xy_px[index].astype(np.int32)
    cv2.fillConvexPoly(mask, cv2.convexHull(points), 1)
    mask = cv2.dilate(mask, np.ones((31, 31), np.uint8)).astype(bool)
    painted = frame.copy()
    painted[mask] = np.median(frame[~mask], axis=0) if (~mask).any() else 127
    return painted
