"""Puts observations of one person together: MediaPipe finds him, networks and result files tell the rest better."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.frontends.mediapipe_pose import MediapipePose
from vm_reconstruction.frontends.networks.parts import DepthEstimator, MaskTracker, PointEstimator
from vm_reconstruction.frontends.networks.result_files import (
    CameraResult,
    read_geocalib_up,
    read_gvhmr_points,
    read_megasam,
    read_monst3r,
)
from vm_reconstruction.frontends.pose_frontend import PoseFrontend, PoseLandmarks
from vm_reconstruction.observations import Observations, PersonObservation
from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.stages import camera
from vm_reconstruction.stages.body import gathered, turned_to_ray
from vm_reconstruction.stages.frames import FrameSource, read_frames
from vm_reconstruction.stages.landmarks import inside

KEYS = {"depth", "cameras", "points", "masks", "pose", "up", "device"}
DEPTH_PX = 192  # longer side of the depth and mask pictures in observations
LEVEL_UP = (0.0, -1.0, 0.0)  # in the first camera's axes: phones are held level; all frames refine it
_HIPS = [POINTS.index("left_hip"), POINTS.index("right_hip")]


class NetworkFrontend:
    """As `--frontend networks:CONFIG.json` describes it.

    depth: {"model": folder or hub name} (Depth Anything metric, Depth Pro), or {} where the cameras' result has it;
    cameras: {"megasam": file} or {"monst3r": folder}, else rotation from the background;
    points: {"vitpose": ...} or {"rtmpose": file.onnx}, masks: {"sam2": ...}, pose: {"gvhmr": file, "body_model": file},
    each else MediaPipe's; up: the vertical in the first camera's axes, or {"geocalib": file}; device: torch's name.
    """

    def __init__(self, config: dict[str, Any], finder: PoseFrontend | None = None) -> None:
        unknown = sorted(set(config) - KEYS)
        if unknown or "depth" not in config:
            what = f"has {unknown[0]!r}" if unknown else "lacks depth"
            raise VmError(f"the networks' config {what}; expected depth and any of {', '.join(sorted(KEYS))}")
        self._config, self._finder = config, finder or MediapipePose()
        self._models: dict[str, Any] = {}

    @classmethod
    def from_file(cls, path: Path) -> NetworkFrontend:
        """Reads the JSON; relative paths in it are relative to where the command runs."""
        try:
            config = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise VmError(f"{path} is no config of networks ({error})") from None
        if not isinstance(config, dict):
            raise VmError(f"{path} is no config of networks; expected a JSON object with depth")
        return cls(config)

    @property
    def identity(self) -> dict:
        """The config."""
        return {"networks": self._config}

    def observe(self, source: FrameSource, heights_m: tuple[float, ...], on_frame: Callable[[], None]) -> Observations:
        """One person's observations; models are loaded once and kept."""
        if len(heights_m) != 1:
            raise VmError(f"{len(heights_m)} heights; this front-end follows one person")
        seen = self._finder.landmarks(read_frames(source), source.width, source.height, False, on_frame)
        if not seen.found.any():
            raise VmError(f"nobody in view in {source.path}; expected one person, whole body")
        boxes, size = person_boxes(seen, source), _small(source)
        cameras = self._cameras(source, seen, size)
        depth = cameras.depth if cameras.depth is not None else self._depth(source, size)
        xy, confidence = self._points(source, seen, boxes)
        focal = cameras.focal_share * source.width
        matrix = np.array([[focal, 0, source.width / 2], [0, focal, source.height / 2], [0, 0, 1.0]])
        points = self._pose(seen, xy, matrix)
        person = PersonObservation(heights_m[0], xy, confidence, points, seen.found & (confidence.max(axis=1) > 0))
        return Observations(
            fps=source.fps, size=(source.width, source.height), matrix=matrix, R_world_camera=cameras.R_world_camera,
            camera_center=cameras.center, depth=depth, mask=self._masks(source, seen, boxes, size).astype(np.uint8),
            up_first_camera=self._up(cameras), people=(person,),
        )  # fmt: skip

    def _part(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self._models:
            self._models[key] = make()
        return self._models[key]

    @property
    def _device(self) -> str:
        return self._config.get("device", "cpu")

    def _cameras(self, source: FrameSource, seen: PoseLandmarks, size: tuple[int, int]) -> CameraResult:
        given = self._config.get("cameras", {})
        for name, read in (("megasam", read_megasam), ("monst3r", read_monst3r)):
            if name in given:
                return _fitting(read(Path(given[name]), size), given[name], source)
        turned = camera.track(source, seen, lambda: None).R_cam_first
        return CameraResult(turned.transpose(0, 2, 1), np.zeros((len(turned), 3)), None, source.focal_px / source.width)

    def _up(self, cameras: CameraResult) -> np.ndarray:
        given = self._config.get("up", LEVEL_UP)
        if isinstance(given, dict):
            return read_geocalib_up(Path(given["geocalib"]), cameras.R_world_camera)
        return np.array(given, np.float64)

    def _depth(self, source: FrameSource, size: tuple[int, int]) -> np.ndarray:
        from vm_reconstruction.frontends.networks.depth import TransformersDepth

        given = self._config["depth"]
        if "model" not in given:
            raise VmError("the networks' depth needs a model, or cameras (megasam, monst3r) whose result has depth")
        model: DepthEstimator = self._part("depth", lambda: TransformersDepth(given["model"], self._device))
        return model.depth(read_frames(source), size, lambda: None)

    def _points(self, source: FrameSource, seen: PoseLandmarks, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        from vm_reconstruction.frontends.networks.points import RtmPosePoints, VitPosePoints

        given = self._config.get("points", {})
        if not given:
            sure = gathered(seen, seen.visibility * inside(seen, source))
            return np.nan_to_num(gathered(seen, seen.xy_px)), np.clip(np.nan_to_num(sure), 0.0, 1.0)
        model: PointEstimator = self._part(
            "points",
            lambda: (
                VitPosePoints(given["vitpose"], self._device)
                if "vitpose" in given
                else RtmPosePoints(given["rtmpose"], device=self._device)
            ),
        )
        return model.points(read_frames(source), boxes, lambda: None)

    def _masks(self, source: FrameSource, seen: PoseLandmarks, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        given = self._config.get("masks", {})
        if not given:
            masks = [seen.mask(t).astype(np.uint8) for t in range(source.num_frames)]
            return np.stack([cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST) for mask in masks]) > 0
        from vm_reconstruction.frontends.networks.masks import Sam2Masks

        model: MaskTracker = self._part("masks", lambda: Sam2Masks(given["sam2"], self._device))
        first = int(np.argmax(np.where(seen.found, seen.visibility.mean(axis=1), -1.0)))
        return model.masks(read_frames(source), first, boxes[first], size, lambda: None)

    def _pose(self, seen: PoseLandmarks, xy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        given = self._config.get("pose", {})
        if "gvhmr" in given:
            points = read_gvhmr_points(Path(given["gvhmr"]), Path(given["body_model"]))
            if len(points) != len(xy):
                raise VmError(f"{given['gvhmr']} has {len(points)} frames, the video {len(xy)}; expected the same")
            return points
        points = turned_to_ray(np.nan_to_num(gathered(seen, seen.world_m)), xy, matrix)
        return points - points[:, _HIPS].mean(axis=1, keepdims=True)


def person_boxes(seen: PoseLandmarks, source: FrameSource) -> np.ndarray:
    """(T, 4) px around the landmarks inside the picture; NaN where nobody was found."""
    boxes = np.full((source.num_frames, 4), np.nan)
    for t in np.flatnonzero(seen.found):
        xy = np.clip(seen.xy_px[t], 0, [source.width, source.height])
        boxes[t] = *xy.min(axis=0), *xy.max(axis=0)
    return boxes


def _small(source: FrameSource) -> tuple[int, int]:
    shrink = min(1.0, DEPTH_PX / max(source.width, source.height))
    return max(8, round(source.width * shrink)), max(8, round(source.height * shrink))


def _fitting(found: CameraResult, name: str, source: FrameSource) -> CameraResult:
    if len(found.center) != source.num_frames:
        raise VmError(
            f"{name} has {len(found.center)} frames, {source.path} {source.num_frames}; expected the same "
            "(give it the same frames)"
        )
    return found
