"""`vm-make-dataset`: synthetic videos with exact truth; the same seed gives the same files, a killed run goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro
from tqdm import tqdm

from vm_core import command_line
from vm_core.atomic_files import atomic_folder
from vm_core.errors import VmError
from vm_reconstruction.datasets.synthetic import bodies, cameras, gait, pictures, rooms
from vm_reconstruction.datasets.synthetic.recipe import SET_KINDS, Recipe, plan, recipes
from vm_reconstruction.datasets.synthetic.video_truth import VideoTruth
from vm_reconstruction.demo.camera_path import CameraPath
from vm_reconstruction.demo.make_demo_video import write_video
from vm_reconstruction.demo.person import as_human_motion

FORMAT_VERSION = 1  # counted up whenever the same recipe gives other files
RECIPE_FILE, VIDEO_FILE = "recipe.json", "video.mp4"


@dataclass(frozen=True)
class DatasetConfig:
    """Makes synthetic videos of people on stairs, kerbs, slopes and benches, with exact truth.

    Attributes:
        out: folder; one subfolder a video. Videos that are already there are kept.
        videos: how many of the fixed 24.
        seed: of everything random.
        fps: frames a second.
        pictures: also render the RGB videos (about a second a frame); without, truth, depth and masks only.
        depth_px: longer side of the depth pictures.
        samples: edge of the square of rays a pixel in the RGB videos.
    """

    out: Path
    videos: int = len(SET_KINDS)
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
        recipes(self.seed, self.videos)


def stage_of(recipe: Recipe, fps: float) -> tuple[pictures.Stage, CameraPath, cameras.Filming, VideoTruth]:
    """A video without its pictures; the returned truth has no depth yet."""
    work = plan(recipe)
    people = [bodies.load_body(*person) for person in work.people]
    motions = [
        gait.walk_person(walker, body.skeleton, height, fps, work.duration_s)
        for walker, body, (_, height, _) in zip(work.walkers, people, work.people, strict=True)
    ]
    rng = np.random.default_rng(recipe.seed + 1)
    filming = cameras.Filming.random(rng, len(people))
    pelvises = np.stack([motion.joints["pelvis"] for motion in motions], axis=1)
    camera = cameras.film(pelvises, filming, fps, rng)
    corners = np.concatenate([work.scene.mesh()[0][4:, :2], pelvises.reshape(-1, 3)[:, :2]])
    bounds = rooms.room_bounds(corners, camera.T_world_camera[:, :2, 3])
    still = rooms.room_meshes(bounds, recipe.seed)
    stage = pictures.Stage(still, rooms.furniture(work.scene, recipe.seed), people, motions)
    humans = [as_human_motion(motion, height) for motion, (_, height, _) in zip(motions, work.people, strict=True)]
    nothing = np.zeros((0, 1, 1))
    truth = VideoTruth(humans, camera.matrix, filming.size, camera.T_world_camera, work.scene, nothing, nothing)
    return stage, camera, filming, truth


def make_video(recipe: Recipe, folder: Path, config: DatasetConfig) -> int:
    """Writes one video's files into `folder`; returns the number of frames."""
    stage, camera, filming, truth = stage_of(recipe, config.fps)
    frames = len(camera.T_world_camera)
    shrink = config.depth_px / max(filming.size)
    width, height = (round(side * shrink) for side in filming.size)
    with tqdm(total=frames * (1 + config.pictures), desc=recipe.name, unit="frame", leave=False) as bar:
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


def _settings(recipe: Recipe, config: DatasetConfig) -> dict:
    pictures_matter = {"samples": config.samples} if config.pictures else {}
    return {
        "format": FORMAT_VERSION, "recipe": asdict(recipe), "fps": config.fps, "depth_px": config.depth_px,
        "pictures": config.pictures, **pictures_matter,
    }  # fmt: skip


def make_dataset(config: DatasetConfig) -> list[Path]:
    """Makes what is missing; returns the videos' folders in order."""
    if config.out.exists() and not config.out.is_dir():
        raise VmError(f"{config.out} is a file; expected a folder")
    folders = []
    for recipe in tqdm(recipes(config.seed, config.videos), desc="videos", unit="video"):
        folder, settings = config.out / recipe.name, _settings(recipe, config)
        folders.append(folder)
        record = folder / RECIPE_FILE
        if record.is_file() and json.loads(record.read_text()) == settings:
            continue
        with atomic_folder(folder) as temporary:
            make_video(recipe, temporary, config)
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
