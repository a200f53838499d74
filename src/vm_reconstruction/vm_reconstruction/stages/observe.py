"""Stage 2 of the joint solver: what perception tells of the video, as stages/observations.npz."""

from __future__ import annotations

from pathlib import Path

from vm_core.errors import VmError
from vm_reconstruction.frontends.observation_frontend import ObservationFrontend
from vm_reconstruction.observations import Observations
from vm_reconstruction.progress import FrameProgress
from vm_reconstruction.stages.frames import FrameSource

FILE = "stages/observations.npz"


def run(out: Path, frontend: ObservationFrontend, heights_m: tuple[float, ...], progress: FrameProgress) -> None:
    """Asks the front-end.

    Raises:
        VmError: it fails, whatever its models raise, or tells of another number of frames.
    """
    source = FrameSource.load(out / "stages" / "frames.json")
    try:
        observed: Observations = frontend.observe(source, heights_m, progress.step)
    except VmError:
        raise
    except Exception as error:  # foreign networks raise anything
        name = type(frontend).__name__
        raise VmError(f"front-end {name} failed on {source.path}: {type(error).__name__}: {error}"[:400]) from error
    if observed.num_frames != source.num_frames:
        raise VmError(
            f"front-end {type(frontend).__name__} told of {observed.num_frames} frames; {source.path} has "
            f"{source.num_frames}"
        )
    observed.save(out / FILE)
