"""`vm-retarget MOTION --out DIR`: any motion of a person to the G1's clip and scene, and variants of it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vm_core import command_line
from vm_core.scene_asset import BESIDE_CLIP


@dataclass(frozen=True)
class Arguments:
    """A person's motion to the Unitree G1.

    Attributes:
        motion: result folder of vm-reconstruct, human.npz, climbing sequence, .bvh, joints .npz, SMPL .npz, GVHMR .pt,
            TRAM hps_track_0.npy, VideoMimic result folder.
        out: folder for clip.npz, scene/, human.npz, retarget.json, and objects.npz where the motion has objects.
        scene: scene folder or .obj of upright boxes; by default the motion's own, else level ground.
        height: the person's height [m]; by default from the legs.
        body_model: your SMPL or SMPL-X model (.npz), for motions in its parameters.
        person: one of several in a file of VideoMimic, by its number there.
        fps: frames a second of the clip; by default the motion's own, at most 50.
        scale: robot shrinks motion and scene to the G1's size, human leaves the scene as it is.
        joints: 29, or 23 with the wrists held straight.
        mirrored: left and right change places.
        speed: factor on the motion's speed.
        size: factor on the person and the scene.
        video: also robot.mp4.
    """

    motion: Annotated[Path, tyro.conf.Positional]
    out: Path
    scene: Path | None = None
    height: float | None = None
    body_model: Path | None = None
    person: str | None = None
    fps: float | None = None
    scale: Literal["robot", "human"] = "robot"
    joints: Literal[23, 29] = 29
    mirrored: bool = False
    speed: float = 1.0
    size: float = 1.0
    video: bool = False


FASTEST_FPS = 50.0


def _main() -> int:
    arguments = tyro.cli(Arguments, prog="vm-retarget")
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    os.environ.setdefault("MUJOCO_GL", "egl")
    from vm_core.errors import VmError
    from vm_reconstruction.inputs.read import read_motion
    from vm_reconstruction.retarget.objects import OBJECTS_FILE, ObjectTracks
    from vm_reconstruction.retarget.stage import render_clip, retarget
    from vm_reconstruction.retarget.variants import Variant, at_rate

    variant = Variant(arguments.mirrored, arguments.speed, arguments.size)
    if arguments.fps is not None and not 5.0 <= arguments.fps <= 200.0:
        raise VmError(f"--fps {arguments.fps}: expected 5 to 200")
    motion, scene = read_motion(
        arguments.motion, arguments.scene, arguments.height, arguments.body_model, arguments.person
    )
    objects = ObjectTracks.beside(arguments.motion, motion)
    motion, scene = variant.apply(motion, scene)
    fps = arguments.fps or min(motion.fps, FASTEST_FPS)
    motion = motion if fps == motion.fps else at_rate(motion, fps)
    result = retarget(motion, scene, arguments.scale, arguments.joints)
    arguments.out.mkdir(parents=True, exist_ok=True)
    motion.save(arguments.out / "human.npz")
    result.clip.save(arguments.out / "clip.npz")
    result.scene.save(arguments.out / BESIDE_CLIP)
    if objects is not None:
        objects.varied(variant).like(motion, result.metrics["scale"]).save(arguments.out / OBJECTS_FILE)
    record = {"config": {k: str(v) for k, v in asdict(arguments).items()}, "metrics": result.metrics}
    (arguments.out / "retarget.json").write_text(json.dumps(record, indent=1))
    if arguments.video:
        render_clip(result, arguments.out / "robot.mp4")
    for name, value in result.metrics.items():
        print(f"{name:32s} {value:.4g}")
    return 0


def main() -> None:
    """Entry point of vm-retarget."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
