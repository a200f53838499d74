"""What each kind of model must deliver, so that one can be changed for another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vm_core.errors import VmError

Frames = Iterable[np.ndarray]  # (h, w, 3) uint8 BGR at the working size
OnFrame = Callable[[], None]


@dataclass(frozen=True)
class Prompt:
    """Where one person is in one frame.

    Attributes:
        frame: which.
        box: (4,) x0 y0 x1 y1 [px].
        points: (N, 2) px on this person; others: (M, 2) px on somebody else. Either may be empty.
    """

    frame: int
    box: np.ndarray
    points: np.ndarray
    others: np.ndarray


class DepthEstimator(Protocol):
    """Depth along the optical axis of every frame."""

    def depth(self, frames: Frames, size: tuple[int, int], on_frame: OnFrame) -> np.ndarray:
        """(T, h, w) float16 for a picture of `size` (w, h); 0 where unknown."""
        ...

    @property
    def focal_share(self) -> float | None:
        """Focal length over the picture's width, from the frames of the last video; None where it is not told."""
        ...


class PointEstimator(Protocol):
    """Image positions of the body's points in boxes around the person."""

    def points(self, frames: Frames, boxes: np.ndarray, on_frame: OnFrame) -> tuple[np.ndarray, np.ndarray]:
        """(T, 17, 2) px and confidence (T, 17) of `body_problem.POINTS`; boxes (T, 4) x0 y0 x1 y1, NaN where none."""
        ...


class MaskTracker(Protocol):
    """People's masks in every frame, each from where he is in one of them."""

    def scores(self, frames: Frames, prompts: Sequence[Prompt], size: tuple[int, int], on_frame: OnFrame) -> np.ndarray:
        """(P, T, h, w) float16 at `size` (w, h), one a prompt: positive where that person is, higher where surer."""
        ...


def load_model(name: str, model: str, device: str) -> Any:
    """A transformers model by its class' name, from a folder or the hub, ready to run.

    Raises:
        VmError: transformers is missing, or the weights are no such model.
    """
    try:
        import transformers
    except ImportError:
        raise VmError(
            "network front-ends need transformers; install it with: pip install transformers==5.23.0"
        ) from None
    folder = Path(model).expanduser()
    if model.startswith(("/", ".", "~")) and not folder.is_dir():
        raise VmError(f"no weights at {folder}; expected a folder of transformers' save_pretrained, or a hub's name")
    try:
        loaded = getattr(transformers, name).from_pretrained(str(folder) if folder.is_dir() else model)
    except Exception as error:  # safetensors, torch and the hub each raise their own kinds
        raise VmError(f"{model} cannot be loaded as {name}: {type(error).__name__}: {error}"[:300]) from None
    return loaded.to(device).eval()
