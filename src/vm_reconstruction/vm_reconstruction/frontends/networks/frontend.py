"""Puts observations together: MediaPipe or TRAM's tracks find people, networks and result files tell more."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.frontends.mediapipe_pose import MediapipePose
from vm_reconstruction.frontends.networks import colmap, labels, people, viewpoint
from vm_reconstruction.frontends.networks.parts import DepthEstimator, MaskTracker, PointEstimator
from vm_reconstruction.frontends.networks.people import SeenPerson
from vm_reconstruction.frontends.networks.result_files import CameraResult, read_gvhmr_points
from vm_reconstruction.frontends.pose_frontend import PoseFrontend, PoseLandmarks
from vm_reconstruction.observations import Observations, PersonObservation
from vm_reconstruction.stages.frames import FrameSource, read_frames

KEYS = {"depth", "cameras", "points", "masks", "pose", "up", "device"}
DEPTH_PX = 192  # longer side of the depth and mask pictures in observations


class NetworkFrontend:
    """As `--frontend networks:CONFIG.json` describes it.

    depth: {"model": folder or hub name} (Depth Anything metric, Depth Pro), or {} where the cameras' result has it;
    cameras: {"megasam": file}, {"monst3r": folder}, {"colmap": folder} or {"tram": camera.npy}, else rotation from the
    background;
    points: {"vitpose": ...} or {"rtmpose": file.onnx}, masks: {"sam2": ...} or {"sam3": ...}, pose: {"gvhmr": file} or
    {"tram": a track or a list, one a person}, with "body_model": file; each else MediaPipe's;
    up: the vertical in the first camera's axes, or {"geocalib": file}, else from upright edges; device: torch's name.
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
        """What is told of one person, or of as many as TRAM's tracks; models are loaded once and kept."""
        size, tracks = _small(source), self._tracks()
        if len(heights_m) != max(1, len(tracks)):
            expected = (
                f"one a track ({len(tracks)})" if tracks else "one; pose with several tracks of tram follows more"
            )
            raise VmError(f"{len(heights_m)} heights; expected {expected}")
        if tracks and not self._config.get("cameras"):  # told before minutes of depth are spent
            raise VmError('the pose comes from tracks; expected cameras, too, as {"tram": "camera.npy"}')
        seen = None if tracks else self._landmarks(source, on_frame)
        cameras, depth = self._cameras_and_depth(source, seen, size)
        focal = cameras.focal_share * source.width
        matrix = np.array([[focal, 0, source.width / 2], [0, focal, source.height / 2], [0, 0, 1.0]])
        if seen is None:
            found = people.of_tracks(tracks, Path(self._config["pose"]["body_model"]), source, matrix, size)
        else:
            found = [self._with_pose(people.of_landmarks(seen, source, matrix, size))]
        found = self._masked([self._looked_at(person, source) for person in found], source, size)
        told = tuple(
            PersonObservation(h, p.xy_px, p.confidence, p.points_camera, p.found & (p.confidence.max(axis=1) > 0))
            for h, p in zip(heights_m, found, strict=True)
        )
        masks = [p.masks for p in found]
        return Observations(
            fps=source.fps, size=(source.width, source.height), matrix=matrix, R_world_camera=cameras.R_world_camera,
            camera_center=cameras.center, depth=depth, mask=labels.labelled(masks), people=told,
            up_first_camera=viewpoint.up(self._config.get("up"), cameras, source, matrix, masks),
        )  # fmt: skip

    def _tracks(self) -> list[Path]:
        given = self._config.get("pose", {}).get("tram", [])
        return [Path(path) for path in ([given] if isinstance(given, str) else given)]

    def _landmarks(self, source: FrameSource, on_frame: Callable[[], None]) -> PoseLandmarks:
        seen = self._finder.landmarks(read_frames(source), source.width, source.height, False, on_frame)
        if not seen.found.any():
            raise VmError(f"nobody in view in {source.path}; expected one person, whole body")
        return seen

    def _part(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self._models:
            self._models[key] = make()
        return self._models[key]

    @property
    def _device(self) -> str:
        return self._config.get("device", "cpu")

    def _cameras_and_depth(
        self, source: FrameSource, seen: PoseLandmarks | None, size: tuple[int, int]
    ) -> tuple[CameraResult, np.ndarray]:
        """In one unit: COLMAP's cameras have their own, so its points are compared with the depth."""
        given = self._config.get("cameras", {})
        if "colmap" in given:
            cameras, sparse = colmap.read_colmap(Path(given["colmap"]), source.num_frames)
            depth = self._depth(source, size)
            return colmap.in_units_of(cameras, sparse, depth), depth
        if given:
            cameras = viewpoint.of_file(given, source, size)
            return cameras, cameras.depth if cameras.depth is not None else self._depth(source, size)
        if seen is None:
            raise VmError("no cameras beside tracks; expected colmap, megasam, monst3r or tram")
        depth = self._depth(source, size)  # first: it may tell the focal length that the cameras' rotation needs
        told = viewpoint.with_told_focal(source, self._models["depth"].focal_share)
        return viewpoint.of_background(told, seen), depth

    def _depth(self, source: FrameSource, size: tuple[int, int]) -> np.ndarray:
        from vm_reconstruction.frontends.networks.depth import TransformersDepth

        given = self._config["depth"]
        if "model" not in given:
            raise VmError("the networks' depth needs a model, or cameras (megasam, monst3r) whose result has depth")
        model: DepthEstimator = self._part("depth", lambda: TransformersDepth(given["model"], self._device))
        return model.depth(read_frames(source), size, lambda: None)

    def _with_pose(self, person: SeenPerson) -> SeenPerson:
        given = self._config.get("pose", {})
        if "gvhmr" not in given:
            return person
        points = read_gvhmr_points(Path(given["gvhmr"]), Path(given["body_model"]))
        if len(points) != len(person.found):
            raise VmError(
                f"{given['gvhmr']} has {len(points)} frames, the video {len(person.found)}; expected the same"
            )
        return replace(person, points_camera=points)

    def _looked_at(self, person: SeenPerson, source: FrameSource) -> SeenPerson:
        """The same with the image points of the network that the config has."""
        from vm_reconstruction.frontends.networks.points import RtmPosePoints, VitPosePoints

        given = self._config.get("points", {})
        if given:
            kind, make = ("vitpose", VitPosePoints) if "vitpose" in given else ("rtmpose", RtmPosePoints)
            model: PointEstimator = self._part("points", lambda: make(given[kind], device=self._device))
            xy, confidence = model.points(read_frames(source), person.boxes, lambda: None)
            person = replace(person, xy_px=xy, confidence=confidence)
        return person

    def _masked(self, found: list[SeenPerson], source: FrameSource, size: tuple[int, int]) -> list[SeenPerson]:
        """The same with a mask of each from the network that the config has; the surer one has what two claim."""
        from vm_reconstruction.frontends.networks.masks import SamMasks

        given = self._config.get("masks", {})
        if not given:
            return found
        if len(given) != 1:
            raise VmError(f"the networks' masks have {', '.join(given)}; expected one of sam2 and sam3")
        kind, weights = next(iter(given.items()))
        tracker: MaskTracker = self._part("masks", lambda: SamMasks(kind, weights, self._device))
        boxes, xy, sure = (np.stack([getattr(p, name) for p in found]) for name in ("boxes", "xy_px", "confidence"))
        prompts = [labels.prompt(boxes, xy, sure, k) for k in range(len(found))]
        parted = labels.parted(tracker.scores(read_frames(source), prompts, size, lambda: None))
        return [replace(person, masks=mask) for person, mask in zip(found, parted, strict=True)]


def _small(source: FrameSource) -> tuple[int, int]:
    shrink = min(1.0, DEPTH_PX / max(source.width, source.height))
    return max(8, round(source.width * shrink)), max(8, round(source.height * shrink))
