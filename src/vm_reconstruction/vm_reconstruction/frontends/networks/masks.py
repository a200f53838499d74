"""The person's mask through a video: SAM 2 or SAM 3 through transformers, from a box in one frame, both ways."""

from __future__ import annotations

import importlib

import cv2
import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.frontends.networks.parts import Frames, OnFrame, load_model

# Model, module and session in transformers; mean and deviation that pictures are normalized by.
_IMAGENET = (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]))
_KINDS = {
    "sam2": ("Sam2VideoModel", "sam2_video", "Sam2VideoInferenceSession", _IMAGENET),
    "sam3": ("Sam3TrackerVideoModel", "sam3_tracker_video", "Sam3TrackerVideoInferenceSession", (0.5, 0.5)),
}


class SamMasks:
    """A SAM 2, or SAM 3's tracker, of the user's. The video is held in the model's size (a 1024 px frame: 12 MB)."""

    def __init__(self, kind: str, model: str, device: str = "cpu") -> None:
        if kind not in _KINDS:
            raise VmError(f"masks can be {' or '.join(_KINDS)}; got {kind!r}")
        name, self._module, self._session, self._norm = _KINDS[kind]
        self._model, self._device = load_model(name, model, device), device
        size = self._model.config.image_size
        self._size = int(size if isinstance(size, int) else size[0])

    def masks(
        self, frames: Frames, first: int, box: np.ndarray, size: tuple[int, int], on_frame: OnFrame
    ) -> np.ndarray:
        """As `parts.MaskTracker`."""
        import torch

        video, shape = [], (0, 0)
        for frame in frames:
            shape = frame.shape[:2]
            video.append(self._input(frame))
        tensor = torch.from_numpy(np.stack(video))
        module = importlib.import_module(f"transformers.models.{self._module}.modeling_{self._module}")
        session = getattr(module, self._session)(
            video=tensor, video_height=shape[0], video_width=shape[1], inference_device=self._device,
            inference_state_device=self._device, video_storage_device="cpu", dtype=torch.float32,
        )  # fmt: skip
        person = session.obj_id_to_idx(1)
        corners = np.asarray(box, np.float64).reshape(2, 2) * self._size / np.array(shape[::-1])
        # a box is given to SAM as its two corners, labelled 2 and 3
        prompt = {"point_coords": torch.tensor(corners[None, None], dtype=torch.float32).to(self._device)}
        prompt["point_labels"] = torch.tensor([[[2, 3]]], dtype=torch.int32).to(self._device)
        session.add_point_inputs(person, first, prompt)
        session.obj_with_new_inputs = [1]
        result = np.zeros((len(video), size[1], size[0]), bool)
        with torch.inference_mode():
            self._model(session, frame_idx=first)
            for reverse in (False, True):
                for out in self._model.propagate_in_video_iterator(session, start_frame_idx=first, reverse=reverse):
                    logits = out.pred_masks[0, 0].float().cpu().numpy()
                    result[out.frame_idx] = cv2.resize(logits, size, interpolation=cv2.INTER_LINEAR) > 0.0
                    on_frame()
        return result

    def _input(self, frame: np.ndarray) -> np.ndarray:
        image = cv2.resize(frame[..., ::-1].astype(np.float32) / 255.0, (self._size, self._size))
        mean, std = self._norm
        return ((image - mean) / std).transpose(2, 0, 1).astype(np.float32)
