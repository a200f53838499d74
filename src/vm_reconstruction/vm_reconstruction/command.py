"""`vm-reconstruct VIDEO --height 1.75 --out DIR`: from a video to a G1 clip, a scene and a report.

`vm-reconstruct batch FOLDER ...` does a folder of videos (`batch.command`).
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vm_core import command_line


@dataclass(frozen=True)
class Arguments:
    """From a video of one person to a G1 clip, the scene under it and a report; `batch FOLDER`: many videos.

    Attributes:
        video: a video file or a folder of images (in the order of their names).
        height: the person's height [m], 0.8 to 2.5; everything metric hangs on it.
        out: folder for the results; run again to go on or to redo what changed.
        scale: robot shrinks motion and scene to the G1's size, human leaves the scene as it is.
        fov: angle of view along the longer image side [deg]; by default from metadata, else assumed.
        fps: frames a second, where the file does not say it rightly (a folder of images counts as 30).
        until: stop after this stage.
        solver: single (one person, offline) or joint (people, cameras and scale together; needs --frontend).
        frontend: for joint: oracle, a file of observations (.npz), or networks:CONFIG.json.
        shot: which shot of a video with cuts, from 1; by default the longest.
        other_heights: for joint: heights of the second person and so on [m].
    """

    video: Annotated[Path, tyro.conf.Positional]
    height: float
    out: Path
    scale: Literal["robot", "human"] = "robot"
    fov: float | None = None
    fps: float | None = None
    until: str = "report"
    solver: Literal["single", "joint"] = "single"
    frontend: str = ""
    other_heights: tuple[float, ...] = ()
    shot: int | None = None


def _main() -> int:
    if sys.argv[1:2] == ["batch"]:
        from vm_reconstruction.batch.command import main as batch

        return batch(sys.argv[2:])
    arguments = tyro.cli(Arguments, prog="vm-reconstruct")
    # Before numpy is loaded: banded LAPACK is an order of magnitude slower with several threads on a busy machine.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    from vm_reconstruction import pipeline
    from vm_reconstruction.configuration import ReconstructionConfig

    config = ReconstructionConfig(
        video=arguments.video,
        out=arguments.out,
        height_m=arguments.height,
        scale=arguments.scale,
        fov_deg=arguments.fov,
        fps=arguments.fps,
        until=arguments.until,
        solver=arguments.solver,
        frontend=arguments.frontend,
        other_heights_m=arguments.other_heights,
        shot=arguments.shot,
    )
    out = pipeline.run(config)
    print(f"results: {out}")
    report = out / "report.html"
    if report.exists():
        print(f"report:  {report}")
    return 0


def main() -> None:
    """Entry point of vm-reconstruct."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
