"""The person's mask through a video: SAM 2 through transformers, from a box in one frame, forward and backward."""

from __future__ import annotations

import cv2
import numpy as np

from vm_reconstruction.frontends.networks.parts import Frames, OnFrame, load_model

_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class Sam2Masks:
    """A SAM 2 of the user's. The video is held in the model's size (a 1024 px frame takes 12 MB)."""

    def __init__(self, model: str, device: str = "cpu") -> None:
        self._model, self._device = load_model("Sam2VideoModel", model, device), device
        size = self._model.config.image_size
        self._size = int(size if isinstance(size, int) else size[0])

    def masks(
        self, frames: Frames, first: int, box: np.ndarray, size: tuple[int, int], on_frame: OnFrame
    ) -> np.ndarray:
        """As `parts.MaskTracker`."""
        import torch
        from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

        video, shape = [], (0, 0)
        for frame in frames:
            shape = frame.shape[:2]
            video.append(self._input(frame))
        tensor = torch.from_numpy(np.stack(video))
        session = Sam2VideoInferenceSession(
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
        return ((image - _MEAN) / _STD).transpose(2, 0, 1).astype(np.float32)
