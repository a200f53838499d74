"""What joint optimization needs of perception, whichever models it comes from: one Protocol, and what it may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from vm_core.errors import VmError
from vm_reconstruction.observations import Observations
from vm_reconstruction.stages.frames import FrameSource

NAMES = "oracle (a video of vm-make-dataset), a file of observations (.npz), or networks:CONFIG.json"


class ObservationFrontend(Protocol):
    """People, masks, depth and cameras of a whole video."""

    @property
    def identity(self) -> dict:
        """What decides the result beside the video, JSON values: a rerun observes again only when it changes."""
        ...

    def observe(self, source: FrameSource, heights_m: tuple[float, ...], on_frame: Callable[[], None]) -> Observations:
        """Looks at every frame; `heights_m` one a person, as told by the user."""
        ...


class ObservationFile:
    """Observations that something else wrote (`Observations.save`)."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise VmError(f"no observations at {path}; --frontend can be {NAMES}")
        self._path = path

    @property
    def identity(self) -> dict:
        """The file, by content."""
        from vm_reconstruction.manifest import content_hash

        return {"observations": content_hash(self._path)}

    def observe(self, source: FrameSource, heights_m: tuple[float, ...], on_frame: Callable[[], None]) -> Observations:
        """Reads the file; it must be of this video's length."""
        return with_heights(Observations.load(self._path), heights_m)


def with_heights(observed: Observations, heights_m: tuple[float, ...]) -> Observations:
    """The same with the people's heights as told.

    Raises:
        VmError: another number of people than heights.
    """
    if len(observed.people) != len(heights_m):
        raise VmError(
            f"{len(observed.people)} people in the video and {len(heights_m)} heights; expected --height of the first "
            "and --other-heights of the rest, in the order in which they are numbered"
        )
    people = tuple(replace(p, height_m=h) for p, h in zip(observed.people, heights_m, strict=True))
    return replace(observed, people=people)


def find_frontend(name: str) -> ObservationFrontend:
    """The front-end of a name as users write it."""
    if name == "oracle":
        from vm_reconstruction.frontends.oracle_frontend import OracleFrontend

        return OracleFrontend()
    if name.startswith("networks:"):
        from vm_reconstruction.frontends.networks import NetworkFrontend

        return NetworkFrontend.from_file(Path(name.partition(":")[2]))
    if name.endswith(".npz"):
        return ObservationFile(Path(name))
    raise VmError(f"no front-end {name!r} for joint optimization; there are {NAMES}")
