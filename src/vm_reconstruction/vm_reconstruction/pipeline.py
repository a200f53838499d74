"""The one ordered list of stages from a video to clip, scene and report.

Each stage reads and writes files (to a temporary name, then renamed). manifest.json keeps the hash of everything a
stage depends on: its inputs' content, its parameters and its source code. A rerun does only what changed; a killed run
goes on with the stage that it was in.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tqdm import tqdm

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_reconstruction import body_model
from vm_reconstruction.configuration import STAGE_NAMES, ReconstructionConfig, config_as_dict
from vm_reconstruction.frontends import mediapipe_pose
from vm_reconstruction.frontends.observation_frontend import ObservationFrontend, find_frontend
from vm_reconstruction.frontends.pose_frontend import PoseFrontend
from vm_reconstruction.geometry import vertical_lines
from vm_reconstruction.manifest import Manifest, combined_hash, content_hash
from vm_reconstruction.progress import FrameProgress, hearing
from vm_reconstruction.solver import banded, body_problem
from vm_reconstruction.stages import (
    body,
    camera,
    contacts,
    frames,
    gaps,
    gravity,
    joint,
    landmarks,
    mirrors,
    observe,
    scene,
    shots,
    stillness,
    straight_edges,
    timing,
)

FRAMES = "stages/frames.json"
LANDMARKS, CAMERA, BODY, HUMAN = "stages/landmarks.npz", "stages/camera.npz", "stages/body.npz", "human.npz"
HUMAN_SCENE = "stages/scene"


@dataclass(frozen=True)
class Stage:
    """One step: `run` reads `inputs` and writes `outputs` (paths in the result folder).

    Attributes:
        name: as in manifest.json and on the progress bar.
        run: does it.
        inputs, outputs: files or folders, relative to the result folder; the video is an input where `reads_video`.
        params: the part of the config that matters.
        code: modules whose source belongs to the hash.
    """

    name: str
    run: Callable[[], object]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: dict = field(default_factory=dict)
    code: tuple = ()
    reads_video: bool = False


def stages(config: ReconstructionConfig, frontend: PoseFrontend | ObservationFrontend) -> list[Stage]:
    """The ordered list."""
    perception = _joint_stages if config.solver == "joint" else _single_stages
    return [_frames_stage(config), *perception(config, cast(Any, frontend)), *_robot_stages(config)]


def _frames_stage(config: ReconstructionConfig) -> Stage:
    return Stage(
        "frames",
        lambda: frames.run(config.video, config.out, config.fov_deg, config.fps, config.shot),
        (),
        (FRAMES,),
        {"video": str(config.video.resolve()), "fov_deg": config.fov_deg, "fps": config.fps, "shot": config.shot},
        (frames, shots, timing),
        True,
    )


def _joint_stages(config: ReconstructionConfig, frontend: ObservationFrontend) -> list[Stage]:
    """Perception of any kind, then people, cameras and scale together."""
    out, heights = config.out, (config.height_m, *config.other_heights_m)
    return [
        Stage(
            "observe",
            lambda: _with_bar("observe", out, lambda bar: observe.run(out, frontend, heights, bar)),
            (FRAMES,),
            (observe.FILE,),
            {"frontend": frontend.identity, "heights_m": heights},
            (observe, gaps, mirrors),
            True,
        ),
        Stage(
            "joint",
            lambda: joint.run(out),
            (FRAMES, observe.FILE),
            (HUMAN, BODY, CAMERA, joint.POINTS_FILE, joint.RECORD_FILE, joint.PEOPLE),
            {},
            (joint, mirrors, _package("vm_reconstruction.solver"), _package("vm_reconstruction.geometry"), body_model),
        ),
    ]


def _single_stages(config: ReconstructionConfig, frontend: PoseFrontend) -> list[Stage]:
    """Landmarks of one person, rotation of the camera, then the body alone."""
    out, height = config.out, {"height_m": config.height_m}
    solver = (body, gravity, vertical_lines, stillness, banded, body_problem, body_model)
    return [
        Stage(
            "landmarks",
            lambda: _with_bar("landmarks", out, lambda bar: landmarks.run(out, frontend, bar)),
            (FRAMES,),
            (LANDMARKS,),
            {"frontend": type(frontend).__name__},
            (landmarks, gaps, mirrors, mediapipe_pose),
            True,
        ),
        Stage(
            "camera",
            lambda: _with_bar("camera", out, lambda bar: camera.run(out, bar)),
            (FRAMES, LANDMARKS),
            (CAMERA,),
            code=(camera, straight_edges),
            reads_video=True,
        ),
        Stage(
            "body",
            lambda: _with_bar("body", out, lambda bar: body.run(out, config.height_m, bar)),
            (FRAMES, LANDMARKS, CAMERA),
            (BODY,),
            height,
            solver,
        ),
        Stage(
            "contacts",
            lambda: contacts.run(out, config.height_m),
            (FRAMES, BODY),
            (HUMAN,),
            height,
            (contacts, stillness, body_model),
        ),
    ]


def _robot_stages(config: ReconstructionConfig) -> list[Stage]:
    """What follows from a person in the world, whoever found it."""
    out = config.out
    tracked = (LANDMARKS,) if config.solver == "single" else ()
    return [
        Stage("scene", lambda: scene.run(out), (HUMAN,), (HUMAN_SCENE,), code=(scene, stillness)),
        *([_surroundings_stage(out)] if config.solver == "joint" else []),
        Stage(
            "retarget",
            lambda: _retarget(out, config.scale),
            (HUMAN, HUMAN_SCENE),
            ("clip.npz", "scene", "robot.mp4"),
            {"scale": config.scale},
            (_package("vm_reconstruction.retarget"),),
        ),
        Stage(
            "report",
            lambda: _report(out, config.video),
            (FRAMES, *tracked, CAMERA, BODY, HUMAN, HUMAN_SCENE, "clip.npz", "scene", "robot.mp4"),
            ("report.html", "overlay.mp4"),
            code=(_package("vm_reconstruction.report"),),
            reads_video=True,
        ),
    ]


def _surroundings_stage(out: Path) -> Stage:
    return Stage(
        "surroundings",
        lambda: _surroundings(out),
        (observe.FILE, joint.RECORD_FILE, joint.PEOPLE, BODY, HUMAN_SCENE),
        ("surroundings",),
        code=(_package("vm_reconstruction.geometry"), Path(__file__).parent / "stages" / "surroundings.py"),
    )


def frontend_of(solver: str, name: str) -> PoseFrontend | ObservationFrontend:
    """The perception of a solver; `name` chooses among those of the joint one."""
    return find_frontend(name) if solver == "joint" else mediapipe_pose.MediapipePose()


def run(config: ReconstructionConfig, frontend: PoseFrontend | ObservationFrontend | None = None) -> Path:
    """Does every stage that is not done yet; returns the result folder.

    Raises:
        VmError: the video or a parameter cannot be used; results of earlier stages stay.
    """
    if not config.video.exists():
        raise VmError(f"no video at {config.video}; expected a video file or a folder of images")
    if config.out.exists() and not config.out.is_dir():
        raise VmError(f"{config.out} is a file; expected a folder for the results")
    config.out.mkdir(parents=True, exist_ok=True)
    manifest = Manifest.load(config.out / "manifest.json")
    video_hash = content_hash(config.video)
    todo = stages(config, frontend or frontend_of(config.solver, config.frontend))[
        : STAGE_NAMES[config.solver].index(config.until) + 1
    ]
    with tqdm(total=len(todo), desc="stages", unit="stage", file=sys.stderr, dynamic_ncols=True) as bar:
        for stage in todo:
            bar.set_postfix_str(stage.name)
            if stage is todo[-1]:
                _save_config(config)
            _run_stage(stage, manifest, config.out, video_hash)
            bar.update()
    return config.out


def _save_config(config: ReconstructionConfig) -> None:
    """Only when all but the last stage are done: a video that is refused must not rename the results that lie there."""
    with atomic_path(config.out / "config.json") as temporary:
        temporary.write_text(json.dumps(config_as_dict(config), indent=1))


def _run_stage(stage: Stage, manifest: Manifest, out: Path, video_hash: str) -> None:
    inputs = {path: content_hash(out / path) for path in stage.inputs}
    code = [
        content_hash(module if isinstance(module, Path) else Path(inspect.getfile(module))) for module in stage.code
    ]
    input_hash = combined_hash(inputs, stage.params, code, video_hash if stage.reads_video else "")
    if manifest.is_done(stage.name, input_hash, out):
        return
    began = time.monotonic()
    with hearing() as warnings:
        stage.run()
    manifest.record(stage.name, input_hash, out, stage.outputs, time.monotonic() - began, warnings)


def _with_bar(name: str, out: Path, work: Callable[[FrameProgress], object]) -> None:
    with FrameProgress(name, frames.FrameSource.load(out / FRAMES).num_frames) as bar:
        work(bar)


def _retarget(out: Path, scale: str) -> None:
    os.environ.setdefault("MUJOCO_GL", "egl")  # read once, when mujoco is first imported: the robot video needs it
    from vm_reconstruction.retarget import run_stage  # heavy: MuJoCo and mink

    run_stage(out, scale)


def _surroundings(out: Path) -> None:
    os.environ.setdefault("MUJOCO_GL", "egl")
    from vm_reconstruction.stages import surroundings  # heavy: MuJoCo

    surroundings.run(out)


def _report(out: Path, video: Path) -> None:
    from vm_reconstruction.report import run_stage  # heavy: rendering

    run_stage(out, video)


def _package(name: str) -> Path:
    """Source of a module or package, without importing it."""
    base = Path(__file__).parent / name.rpartition(".")[2]
    return base if base.is_dir() else base.with_suffix(".py")
