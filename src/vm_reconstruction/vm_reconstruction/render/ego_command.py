"""`vm-ego DIR`: the view of the robot's own camera along a clip, as ego.mp4 and ego.npz."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vm_core import command_line

SURROUNDINGS = "surroundings/mesh.ply"  # of a result, at the people's size


@dataclass(frozen=True)
class Arguments:
    """Colour and metric depth of the G1's head camera along a clip.

    Attributes:
        folder: result of vm-reconstruct or vm-retarget (clip.npz and scene/).
        out: folder for ego.mp4 and ego.npz; by default the result itself.
        width: of the picture [px].
        height: of the picture [px].
        fov_deg: vertical angle of view [deg].
        fps: frames a second, at most the clip's own.
        hide_robot: the robot's arms and legs are not seen.
        mesh: a mesh of the place in the clip's world, drawn beside the scene's boxes; by default what depth showed of
            the place (surroundings/), where the folder has it.
        surroundings: without --mesh, draw what depth showed of the place.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    out: Path | None = None
    width: int = 320
    height: int = 240
    fov_deg: float = 58.0
    fps: float = 10.0
    hide_robot: bool = False
    mesh: Path | None = None
    surroundings: bool = True


def _main() -> int:
    arguments = tyro.cli(Arguments, prog="vm-ego")
    os.environ.setdefault("MUJOCO_GL", "egl")  # read once, when mujoco is first imported
    from vm_core.errors import VmError
    from vm_core.motion_clip import MotionClip
    from vm_core.scene_asset import BESIDE_CLIP, SceneAsset
    from vm_reconstruction.render.ego_video import write_ego
    from vm_reconstruction.render.ego_view import EgoConfig, Place

    if not 0.0 < arguments.fps <= 120.0:
        raise VmError(f"--fps {arguments.fps}: expected above 0, at most 120")
    clip, scene = MotionClip.load(arguments.folder / "clip.npz"), SceneAsset.load(arguments.folder / BESIDE_CLIP)
    clip = clip if arguments.fps >= clip.fps else clip.resampled(arguments.fps)
    config = EgoConfig(arguments.width, arguments.height, arguments.fov_deg, not arguments.hide_robot)
    out = arguments.out or arguments.folder
    out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    seen = arguments.folder / SURROUNDINGS
    place = Place(seen, scene.scale) if arguments.surroundings and seen.is_file() else None
    write_ego(out, clip, scene, config, Place(arguments.mesh) if arguments.mesh else place)
    print(f"{out / 'ego.mp4'}, {out / 'ego.npz'}: {clip.num_frames / (time.perf_counter() - began):.1f} frames/s")
    return 0


def main() -> None:
    """Entry point of vm-ego."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
