"""The noisy oracle as a front-end: observations of a synthetic video from the truth that lies beside it.

Truth is read here and nowhere else in the pipeline; everything after works with the truth deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from vm_core.errors import VmError
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.frontends.noisy_oracle import observe
from vm_reconstruction.frontends.observation_frontend import with_heights
from vm_reconstruction.frontends.oracle_noise import OracleNoise
from vm_reconstruction.observations import Observations
from vm_reconstruction.stages.frames import FrameSource


class OracleFrontend:
    """What networks would tell of a video of vm-make-dataset."""

    def __init__(self, noise: OracleNoise | None = None, seed: int = 0) -> None:
        self._noise, self._seed = noise or OracleNoise(), seed

    @property
    def identity(self) -> dict:
        """Noise and seed."""
        return {"oracle": asdict(self._noise), "seed": self._seed}

    def observe(self, source: FrameSource, heights_m: tuple[float, ...], on_frame: Callable[[], None]) -> Observations:
        """Reads VIDEO's folder's truth; raises VmError when it is of another length."""
        truth = VideoTruth.load(Path(source.path).parent)
        frames = len(truth.T_world_camera)
        if frames != source.num_frames:
            raise VmError(f"{source.path} has {source.num_frames} used frames, its truth {frames}; expected the same")
        return with_heights(observe(truth, self._noise, self._seed, source.fps), heights_m)
