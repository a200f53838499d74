"""Depth from one picture: Depth Anything and Depth Pro through transformers."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.frontends.networks.parts import Frames, OnFrame, load_model

_CLASSES = {"depth_anything": "DepthAnythingForDepthEstimation", "depth_pro": "DepthProForDepthEstimation"}
_NORMALS = {
    "depth_anything": (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])),  # ImageNet's
    "depth_pro": (np.full(3, 0.5), np.full(3, 0.5)),
}
INPUT_PX = 518  # Depth Anything's shorter side; Depth Pro brings its own size
FARTHEST_M = 60.0


class TransformersDepth:
    """A depth model of the user's."""

    def __init__(self, model: str, device: str = "cpu", input_px: int = INPUT_PX) -> None:
        kind = _kind(model)
        self._model, self._kind, self._device, self._input_px = (
            load_model(_CLASSES[kind], model, device),
            kind,
            device,
            input_px,
        )
        config = self._model.config
        if kind == "depth_anything" and config.depth_estimation_type != "metric":
            raise VmError(f"{model} gives relative depth; expected a metric Depth Anything (…-Metric-…) or Depth Pro")
        self._focal_shares: list[float] = []

    @property
    def focal_share(self) -> float | None:
        """The focal length over the picture's width, as the last video's frames told it; None: this model does not."""
        return float(np.median(self._focal_shares)) if self._focal_shares else None

    def depth(self, frames: Frames, size: tuple[int, int], on_frame: OnFrame) -> np.ndarray:
        """Metres along the optical axis, (T, h, w) float16."""
        import torch

        result = []
        self._focal_shares = []
        for frame in frames:
            with torch.inference_mode():
                out = self._model(pixel_values=torch.from_numpy(self._input(frame))[None].to(self._device))
            depth = self._metres(out)
            if not np.isfinite(depth).any():
                depth = np.zeros_like(depth)
            depth = cv2.resize(np.nan_to_num(depth, nan=0.0, posinf=0.0), size, interpolation=cv2.INTER_NEAREST)
            result.append(np.where((depth > 0.0) & (depth < FARTHEST_M), depth, 0.0).astype(np.float16))
            on_frame()
        return np.stack(result)

    def _input(self, frame: np.ndarray) -> np.ndarray:
        """(3, h, w) float32, normalized as the model was trained."""
        height, width = frame.shape[:2]
        if self._kind == "depth_pro":
            ratio = self._model.config.patch_size / min(self._model.config.scaled_images_ratios)
            target = (round(ratio), round(ratio))
        else:
            patch, scale = self._model.config.patch_size, self._input_px / min(height, width)
            target = tuple(max(patch, round(side * scale / patch) * patch) for side in (width, height))
        image = cv2.resize(frame[..., ::-1].astype(np.float32) / 255.0, target, interpolation=cv2.INTER_CUBIC)
        mean, std = _NORMALS[self._kind]
        return ((image - mean) / std).transpose(2, 0, 1).astype(np.float32)

    def _metres(self, out) -> np.ndarray:
        predicted = out.predicted_depth[0].float().cpu().numpy()
        if self._kind == "depth_anything":
            return predicted
        # Depth Pro gives inverse depth for a focal length of one picture width; its field of view makes it metric
        fov = getattr(out, "field_of_view", None)
        focal = 0.5 / np.tan(0.5 * np.radians(float(fov[0]))) if fov is not None else 1.0
        if fov is not None and np.isfinite(focal) and focal > 0.0:
            self._focal_shares.append(float(focal))
        return focal / np.maximum(predicted, 1e-4)


def _kind(model: str) -> str:
    """Which of _CLASSES a folder or a hub's name is."""
    config = Path(model).expanduser() / "config.json"
    try:
        kind = json.loads(config.read_text()).get("model_type", "") if config.is_file() else ""
    except (OSError, ValueError) as error:
        raise VmError(f"{config} cannot be read ({error})") from None
    kind = kind or ("depth_pro" if "depthpro" in model.lower().replace("-", "") else "depth_anything")
    if kind not in _CLASSES:
        raise VmError(f"{model} is of kind {kind!r}; expected one of {', '.join(_CLASSES)}")
    return kind
