"""Stage 2 of the joint solver: what perception tells of the video, as stages/observations.npz."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.frontends.observation_frontend import ObservationFrontend
from vm_reconstruction.observations import Observations
from vm_reconstruction.progress import FrameProgress, warn
from vm_reconstruction.solver.body_problem import POINTS
from vm_reconstruction.stages.frames import FrameSource
from vm_reconstruction.stages.gaps import tell_gaps
from vm_reconstruction.stages.mirrors import tell_exchanged_sides

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
    for k, person in enumerate(observed.people):
        seen = person.found & person.confidence.any(axis=1)
        tell_gaps(seen, observed.fps, f"nothing of person {k + 1}")
        tell_exchanged_sides(person.points_camera, POINTS, seen, observed.fps, f"person {k + 1}")
    checked(observed, type(frontend).__name__).save(out / FILE)


def checked(observed: Observations, name: str) -> Observations:
    """The same with depths that are no numbers as unknown, and said so.

    Raises:
        VmError: cameras or the vertical are no numbers; nothing could be done about that.
    """
    for field in ("matrix", "R_world_camera", "camera_center", "up_first_camera"):
        value = np.asarray(getattr(observed, field))
        if not np.isfinite(value).all():
            frames = f" in frame {int(np.argwhere(~np.isfinite(value))[0][0])}" if value.ndim > 1 else ""
            raise VmError(f"front-end {name} gave {field} that is not finite{frames}; expected numbers in every frame")
    bad = ~np.isfinite(observed.depth) | (observed.depth < 0)
    if not bad.any():
        return observed
    frames = int(bad.any(axis=(1, 2)).sum())
    warn(
        f"front-end {name} gave depth that is no distance in {frames} of {len(bad)} frames; it counts as unknown there"
    )
    return replace(observed, depth=np.where(bad, 0, observed.depth).astype(observed.depth.dtype))
