"""What a pose model must deliver, whichever model it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from vm_core.atomic_files import atomic_path


@dataclass(frozen=True)
class PoseLandmarks:
    """Landmarks of one person over T frames.

    Attributes:
        names: the landmarks' names (N).
        xy_px: (T, N, 2) in the working image.
        world_m: (T, N, 3) as the camera sees them (x right, y down, z away), origin between the hips; metres, but the
            absolute size is the model's guess, only directions are used.
        visibility: (T, N) 0..1.
        found: (T,) bool, a person was found.
        masks: (T, packed bits) person mask, `mask_size` = (width, height).
    """

    names: tuple[str, ...]
    xy_px: np.ndarray
    world_m: np.ndarray
    visibility: np.ndarray
    found: np.ndarray
    masks: np.ndarray
    mask_size: tuple[int, int]

    def mask(self, frame: int) -> np.ndarray:
        """Person mask (h, w) bool of one frame, at mask_size."""
        width, height = self.mask_size
        return np.unpackbits(self.masks[frame], count=width * height).reshape(height, width).astype(bool)

    def save(self, path: Path) -> None:
        """Writes stages/landmarks.npz."""
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{**self.__dict__, "names": np.array(self.names)})

    @classmethod
    def load(cls, path: Path) -> PoseLandmarks:
        """Reads stages/landmarks.npz."""
        with np.load(path, allow_pickle=False) as data:
            fields = {name: data[name] for name in data.files}
        width, height = (int(v) for v in fields.pop("mask_size"))
        return cls(names=tuple(str(n) for n in fields.pop("names")), mask_size=(width, height), **fields)


class PoseFrontend(Protocol):
    """A perception model that finds one person's landmarks in frames (BGR uint8)."""

    def landmarks(
        self, frames: Iterable[np.ndarray], width: int, height: int, static: bool, on_frame: Callable[[], None]
    ) -> PoseLandmarks:
        """Finds the person in each frame; `static` treats frames as unrelated images."""
        ...
