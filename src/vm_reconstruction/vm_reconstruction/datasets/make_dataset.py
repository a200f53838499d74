"""`vm-make-dataset`: synthetic videos with exact truth; the same seed gives the same files, a killed run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from tqdm import tqdm

from vm_core import command_line
from vm_core.atomic_files import atomic_folder
from vm_core.errors import VmError
from vm_reconstruction.datasets.synthetic import bodies, cameras, driven_body, gait, pictures, rooms, user_motions
from vm_reconstruction.datasets.synthetic.recipe import SET_KINDS, Recipe, plan, recipes
from vm_reconstruction.datasets.synthetic.scenes import TrueScene
from vm_reconstruction.datasets.synthetic.user_motions import UserMotion
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.demo.camera_path import CameraPath
from vm_reconstruction.demo.make_demo_video import write_video
from vm_reconstruction.demo.person import PersonMotion, as_human_motion
from vm_reconstruction.demo.posed_body import PosedBody
from vm_reconstruction.manifest import content_hash

FORMAT_VERSION = 1  # counted up whenever the same recipe gives other files
RECIPE_FILE, VIDEO_FILE = "recipe.json", "video.mp4"


Staged = tuple[pictures.Stage, CameraPath, cameras.Filming, VideoTruth]


@dataclass(frozen=True)
class DatasetConfig:
    """Makes synthetic videos with exact truth: people on stairs, kerbs, slopes and benches, or motions of your own.

    Attributes:
        out: folder; one subfolder a video. Videos that are already there are kept.
        videos: how many of the fixed 24; by default all, or none where motions are given.
        motion: a motion of your own (.bvh, AMASS .npz and what vm-retarget reads) that becomes a video; once for each.
        body_model: for AMASS and its like: your SMPL, SMPL-H or SMPL-X model (.npz), or a folder of them by gender.
        scene: what the motions stand and sit on (a scene folder, boxes as .obj); by default a floor, and seats.
        motion_seconds: so much of each motion from its beginning.
        seed: of everything random.
        fps: frames a second.
        pictures: also render the RGB videos (about a second a frame); without, truth, depth and masks only.
        depth_px: longer side of the depth pictures.
        samples: edge of the square of rays a pixel in the RGB videos.
    """

    out: Path
    videos: int | None = None
    motion: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    body_model: Path | None = None
    scene: Path | None = None
    motion_seconds: float = 20.0
    seed: int = 0
    fps: float = 30.0
    pictures: bool = True
    depth_px: int = 160
    samples: int = 2

    def __post_init__(self) -> None:
        if not 5.0 <= self.fps <= 240.0 or not 32 <= self.depth_px <= 640 or not 1 <= self.samples <= 4:
            raise VmError(
                f"fps {self.fps}, depth_px {self.depth_px}, samples {self.samples}: expected 5-240, 32-640, 1-4"
            )
        if not self.motion_seconds >= user_motions.SHORTEST_S:
            raise VmError(f"motion-seconds {self.motion_seconds}: expected at least {user_motions.SHORTEST_S:g}")
        self.recipes()

    def recipes(self) -> list[Recipe]:
        """Those of the fixed videos that are wanted."""
        count = self.videos if self.videos is not None else 0 if self.motion else len(SET_KINDS)
        return recipes(self.seed, count) if count or not self.motion else []


def stage_of(recipe: Recipe, fps: float) -> Staged:
    """A video without its pictures; the returned truth has no depth yet."""
    work = plan(recipe)
    people = [bodies.load_body(*person) for person in work.people]
    motions = [
        gait.walk_person(walker, body.skeleton, height, fps, work.duration_s)
        for walker, body, (_, height, _) in zip(work.walkers, people, work.people, strict=True)
    ]
    heights = [height for _, height, _ in work.people]
    return _staged(work.scene, people, motions, heights, recipe.seed, cameras.Filming.random)


def stage_of_motion(given: UserMotion) -> Staged:
    """The same of a motion that somebody gave; the camera keeps so near that nobody walks past it."""
    phenotype, height, clothes = given.person()
    body = bodies.load_body(phenotype, height, clothes)
    motion = driven_body.drive(given.motion, body.skeleton, given.scene)

    def filming(rng: np.random.Generator, people: int) -> cameras.Filming:
        return cameras.Filming.random(rng, people).along(motion.joints["pelvis"])

    stage, camera, how, truth = _staged(given.scene, [body], [motion], [height], given.seed, filming)
    stage = replace(stage, solid=rooms.furniture(given.scene, given.seed, closed=True))
    person = replace(truth.people[0], details={"source": given.path.name})
    return stage, camera, how, replace(truth, people=[person])


def _staged(
    scene: TrueScene, people: list[PosedBody], motions: list[PersonMotion], heights: list[float], seed: int,
    filmed: Callable[[np.random.Generator, int], cameras.Filming],
) -> Staged:  # fmt: skip
    rng = np.random.default_rng(seed + 1)
    filming = filmed(rng, len(people))
    pelvises = np.stack([motion.joints["pelvis"] for motion in motions], axis=1)
    camera = cameras.film(pelvises, filming, motions[0].fps, rng)
    corners = np.concatenate([scene.mesh()[0][4:, :2], pelvises.reshape(-1, 3)[:, :2]])
    bounds = rooms.room_bounds(corners, camera.T_world_camera[:, :2, 3])
    still = rooms.room_meshes(bounds, seed)
    stage = pictures.Stage(still, rooms.furniture(scene, seed), people, motions)
    humans = [as_human_motion(motion, height) for motion, height in zip(motions, heights, strict=True)]
    nothing = np.zeros((0, 1, 1))
    truth = VideoTruth(humans, camera.matrix, filming.size, camera.T_world_camera, scene, nothing, nothing)
    return stage, camera, filming, truth


def make_video(work: Recipe | UserMotion, folder: Path, config: DatasetConfig) -> int:
    """Writes one video's files into `folder`; returns the number of frames."""
    staged = stage_of(work, config.fps) if isinstance(work, Recipe) else stage_of_motion(work)
    stage, camera, filming, truth = staged
    frames = len(camera.T_world_camera)
    shrink = config.depth_px / max(filming.size)
    width, height = (round(side * shrink) for side in filming.size)
    with tqdm(total=frames * (1 + config.pictures), desc=work.name, unit="frame", leave=False) as bar:
        depth, mask = np.zeros((frames, height, width), np.float16), np.zeros((frames, height, width), np.uint8)
        for k, pair in enumerate(pictures.depth_and_masks(stage, camera, filming.size, (width, height))):
            depth[k], mask[k] = pair
            bar.update()
        VideoTruth(**{**truth.__dict__, "depth": depth, "mask": mask}).save(folder)
        if config.pictures:
            images = []
            for image in pictures.pictures(stage, camera, filming.size, config.samples):
                images.append(image)
                bar.update()
            focal_35mm = camera.matrix[0, 0] / max(filming.size) * 36.0
            write_video(folder / VIDEO_FILE, images, round(config.fps), focal_35mm)
    return frames


def _settings(work: Recipe | UserMotion, config: DatasetConfig) -> dict:
    pictures_matter = {"samples": config.samples} if config.pictures else {}
    about = {"recipe": asdict(work)} if isinstance(work, Recipe) else _motion_settings(work, config)
    return {
        "format": FORMAT_VERSION, **about, "fps": config.fps, "depth_px": config.depth_px,
        "pictures": config.pictures, **pictures_matter,
    }  # fmt: skip


def _motion_settings(given: UserMotion, config: DatasetConfig) -> dict:
    """What decides the video: the files by their content."""
    files = {"file": given.path, "body_model": config.body_model, "scene": config.scene}
    hashes = {name: content_hash(path) for name, path in files.items() if path is not None}
    return {"motion": {"name": given.path.name, "seed": given.seed, "seconds": config.motion_seconds, **hashes}}


def make_dataset(config: DatasetConfig) -> list[Path]:
    """Makes what is missing; returns the videos' folders in order.

    Raises:
        VmError: OUT is a file, or motions cannot be used (a line each; nothing is made then).
    """
    if config.out.exists() and not config.out.is_dir():
        raise VmError(f"{config.out} is a file; expected a folder")
    own = user_motions.read_all(
        config.motion, config.body_model, config.scene, config.fps, config.motion_seconds, config.seed
    )
    folders = []
    for work in tqdm([*config.recipes(), *own], desc="videos", unit="video"):
        folder, settings = config.out / work.name, _settings(work, config)
        folders.append(folder)
        record = folder / RECIPE_FILE
        if record.is_file() and json.loads(record.read_text()) == settings:
            continue
        with atomic_folder(folder) as temporary:
            make_video(work, temporary, config)
            (temporary / RECIPE_FILE).write_text(json.dumps(settings, indent=1))
    return folders


def _main() -> None:
    config = tyro.cli(DatasetConfig, prog="vm-make-dataset")
    folders = make_dataset(config)
    print(f"{config.out}: {len(folders)} videos")


def main() -> None:
    """Entry point of vm-make-dataset."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
