"""What a reconstruction is asked for, checked before anything is read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from vm_core.errors import VmError
from vm_reconstruction import body_model
from vm_reconstruction.frontends.observation_frontend import NAMES

STAGE_NAMES = {
    "single": ("frames", "landmarks", "camera", "body", "contacts", "scene", "retarget", "report"),
    "joint": ("frames", "observe", "joint", "scene", "surroundings", "retarget", "report"),
}


@dataclass(frozen=True)
class ReconstructionConfig:
    """What a run is asked for.

    Attributes:
        video: video file or folder of images.
        out: result folder; made when absent.
        height_m: the person's height, the ruler of everything metric [m].
        scale: whether the clip's scene is shrunk to the robot's size or left at the human's.
        fov_deg: angle of view along the longer image side [deg]; None: metadata, else assumed.
        fps: frames a second; None: the file's own.
        until: last stage to run.
        solver: "single" (one person, landmarks, no depth) or "joint" (people, cameras and scale together).
        frontend: for the joint solver: oracle, a file of observations, or networks:CONFIG.json.
        other_heights_m: of the second person and so on, for the joint solver [m].
        shot: of a video with cuts, from 1; None: the longest.
    """

    video: Path
    out: Path
    height_m: float
    scale: Literal["robot", "human"] = "robot"
    fov_deg: float | None = None
    fps: float | None = None
    until: str = "report"
    solver: Literal["single", "joint"] = "single"
    frontend: str = ""
    other_heights_m: tuple[float, ...] = ()
    shot: int | None = None

    def __post_init__(self) -> None:
        for height in (self.height_m, *self.other_heights_m):
            body_model.check_height(height)
        if self.solver not in STAGE_NAMES:
            raise VmError(f"--solver {self.solver!r}: expected {' or '.join(STAGE_NAMES)}")
        if self.solver == "joint" and not self.frontend:
            raise VmError(f"--solver joint needs a front-end with depth and cameras; --frontend can be {NAMES}")
        if self.scale not in ("robot", "human"):
            raise VmError(f"--scale {self.scale!r}: expected robot or human")
        if self.fps is not None and not 1.0 <= self.fps <= 1000.0:
            raise VmError(f"--fps {self.fps}: expected 1 to 1000")
        names = STAGE_NAMES[self.solver]
        if self.until not in names:
            raise VmError(f"no stage {self.until!r}; the stages are: {', '.join(names)}")


def config_as_dict(config: ReconstructionConfig) -> dict:
    """The resolved config, JSON values."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(config).items()}
