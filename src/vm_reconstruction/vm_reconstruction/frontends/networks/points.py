"""Image positions of the body's points: ViTPose through transformers, RTMPose through rtmlib."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.frontends.networks.parts import Frames, OnFrame, load_model
from vm_reconstruction.solver.body_problem import POINTS

# COCO's 17 points and COCO-WholeBody's feet that follow them.
_COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    *(f"{s}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for s in ("left", "right")),
    "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip
_FROM = {"head": ("left_ear", "right_ear"), "left_toe": ("left_big_toe",), "right_toe": ("right_big_toe",)}
_BOX_MARGIN = 1.25  # as ViTPose and RTMPose were trained
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class VitPosePoints:
    """A ViTPose of the user's, with 17 (COCO) or 133 (COCO-WholeBody) points."""

    def __init__(self, model: str, device: str = "cpu", dataset_index: int = 0) -> None:
        self._model, self._device = load_model("VitPoseForPoseEstimation", model, device), device
        self._dataset = dataset_index  # of ViTPose++'s experts
        size = self._model.config.backbone_config.image_size
        self._height, self._width = (int(v) for v in size)

    def points(self, frames: Frames, boxes: np.ndarray, on_frame: OnFrame) -> tuple[np.ndarray, np.ndarray]:
        """As `parts.PointEstimator`."""
        return _each(frames, boxes, on_frame, self._one)

    def _one(self, frame: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import torch

        matrix = _crop_matrix(box, self._width, self._height)
        image = cv2.warpAffine(frame[..., ::-1].copy(), matrix, (self._width, self._height)).astype(np.float32) / 255.0
        pixels = torch.from_numpy(((image - _MEAN) / _STD).transpose(2, 0, 1).astype(np.float32))[None].to(self._device)
        experts = getattr(self._model.config.backbone_config, "num_experts", 1)
        more: dict[str, Any] = {"dataset_index": torch.tensor([self._dataset])} if experts > 1 else {}
        with torch.inference_mode():
            maps = self._model(pixel_values=pixels, **more).heatmaps[0].float().cpu().numpy()
        at, score = _peaks(maps)
        at = (at + 0.5) * [self._width / maps.shape[2], self._height / maps.shape[1]] - 0.5
        inverse = cv2.invertAffineTransform(matrix)
        return at @ inverse[:, :2].T + inverse[:, 2], score


class RtmPosePoints:
    """An RTMPose of the user's (.onnx, simcc), through rtmlib."""

    def __init__(self, model: str, input_size: tuple[int, int] = (192, 256), device: str = "cpu") -> None:
        try:
            from rtmlib import RTMPose
        except ImportError:
            raise VmError("RTMPose needs rtmlib; install it with: pip install --no-deps rtmlib==0.0.16") from None
        self._model = RTMPose(model, model_input_size=input_size, backend="onnxruntime", device=device)

    def points(self, frames: Frames, boxes: np.ndarray, on_frame: OnFrame) -> tuple[np.ndarray, np.ndarray]:
        """As `parts.PointEstimator`."""
        return _each(frames, boxes, on_frame, self._one)

    def _one(self, frame: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at, score = self._model(frame, bboxes=[box.tolist()])
        return np.asarray(at[0], np.float64), np.asarray(score[0], np.float64)


def _each(
    frames: Frames, boxes: np.ndarray, on_frame: OnFrame,
    one: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    xy, confidence = np.zeros((len(boxes), len(POINTS), 2)), np.zeros((len(boxes), len(POINTS)))
    for t, (frame, box) in enumerate(zip(frames, boxes, strict=True)):
        if np.isfinite(box).all():
            at, score = one(frame, box)
            xy[t], confidence[t] = body_points(at, score)
        on_frame()
    bad = ~np.isfinite(xy).all(axis=-1) | ~np.isfinite(confidence)
    xy[bad], confidence[bad] = 0.0, 0.0
    return xy, confidence


def body_points(at: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Our 17 points (17, 2) and confidence (17,) from COCO's or COCO-WholeBody's; those that it lacks have none."""
    xy, confidence = np.zeros((len(POINTS), 2)), np.zeros(len(POINTS))
    for k, name in enumerate(POINTS):
        sources = [_COCO.index(source) for source in _FROM.get(name, (name,))]
        if max(sources) < len(at):
            xy[k], confidence[k] = at[sources].mean(axis=0), np.clip(score[sources].min(), 0.0, 1.0)
    return xy, confidence


def _crop_matrix(box: np.ndarray, width: int, height: int) -> np.ndarray:
    """(2, 3) affine from the picture to the network's input: the box with a margin, its shape kept."""
    center, extent = 0.5 * (box[:2] + box[2:]), np.maximum(box[2:] - box[:2], 1.0) * _BOX_MARGIN
    scale = min(width / extent[0], height / extent[1])
    return np.array([[scale, 0, 0.5 * width - scale * center[0]], [0, scale, 0.5 * height - scale * center[1]]])


def _peaks(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (N, 2) of the maxima with a quarter pixel toward the higher neighbour, and their heights (N,)."""
    count, height, width = maps.shape
    best = maps.reshape(count, -1).argmax(axis=1)
    y, x = best // width, best % width
    row = np.arange(count)
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    right, left = padded[row, y + 1, x + 2], padded[row, y + 1, x]
    below, above = padded[row, y + 2, x + 1], padded[row, y, x + 1]
    place = np.column_stack([x + 0.25 * np.sign(right - left), y + 0.25 * np.sign(below - above)])
    return place, maps[row, y, x]
