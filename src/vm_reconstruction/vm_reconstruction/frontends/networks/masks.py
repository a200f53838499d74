"""People's masks through a video: SAM 2 or SAM 3 through transformers, each from a prompt in one frame, both ways."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.frontends.networks.parts import Frames, OnFrame, Prompt, load_model

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

    def scores(self, frames: Frames, prompts: Sequence[Prompt], size: tuple[int, int], on_frame: OnFrame) -> np.ndarray:
        """As `parts.MaskTracker`: logits. Everybody is followed alone, so one's prompt cannot change another's mask."""
        import torch

        video, shape = [], (0, 0)
        for frame in frames:
            shape = frame.shape[:2]
            video.append(self._input(frame))
        tensor = torch.from_numpy(np.stack(video))
        return np.stack([self._followed(tensor, shape, prompt, size, on_frame) for prompt in prompts])

    def _followed(
        self, video: Any, shape: tuple[int, ...], prompt: Prompt, size: tuple[int, int], on_frame: OnFrame
    ) -> np.ndarray:
        """(T, h, w) float16 of one person; video: tensor (T, 3, s, s), shape: height and width of its pictures."""
        import torch

        module = importlib.import_module(f"transformers.models.{self._module}.modeling_{self._module}")
        session = getattr(module, self._session)(
            video=video, video_height=shape[0], video_width=shape[1], inference_device=self._device,
            inference_state_device=self._device, video_storage_device="cpu", dtype=torch.float32,
        )  # fmt: skip
        person = session.obj_id_to_idx(1)
        # SAM takes a box as its two corners, labelled 2 and 3, then points on the person (1) and beside him (0)
        places = np.concatenate([np.reshape(prompt.box, (2, 2)), prompt.points, prompt.others])
        labels = [2, 3, *(1 for _ in prompt.points), *(0 for _ in prompt.others)]
        scaled = places * self._size / np.array(shape[::-1])
        told = {"point_coords": torch.tensor(scaled[None, None], dtype=torch.float32).to(self._device)}
        told["point_labels"] = torch.tensor([[labels]], dtype=torch.int32).to(self._device)
        session.add_point_inputs(person, prompt.frame, told)
        session.obj_with_new_inputs = [1]
        result = np.full((len(video), size[1], size[0]), -1.0, np.float16)
        with torch.inference_mode():
            self._model(session, frame_idx=prompt.frame)
            for reverse in (False, True):
                for out in self._model.propagate_in_video_iterator(
                    session, start_frame_idx=prompt.frame, reverse=reverse
                ):
                    logits = out.pred_masks[0, 0].float().cpu().numpy()
                    result[out.frame_idx] = cv2.resize(logits, size, interpolation=cv2.INTER_LINEAR).clip(-1e4, 1e4)
                    on_frame()
        return result

    def _input(self, frame: np.ndarray) -> np.ndarray:
        image = cv2.resize(frame[..., ::-1].astype(np.float32) / 255.0, (self._size, self._size))
        mean, std = self._norm
        return ((image - mean) / std).transpose(2, 0, 1).astype(np.float32)
