"""`vm-make-demo-video`: renders the demo video, truth beside it; the same seed gives the same pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import tyro
from tqdm import tqdm

from vm_core import command_line
from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_reconstruction.demo.camera_path import FOCAL_35MM_EQUIVALENT, HEIGHT, WIDTH, CameraPath, hand_held
from vm_reconstruction.demo.footsteps import step_boxes
from vm_reconstruction.demo.person import PersonMotion, as_human_motion, walk_and_climb
from vm_reconstruction.demo.posed_body import PosedBody
from vm_reconstruction.demo.rasterizer import Mesh, vertex_normals
from vm_reconstruction.demo.renderer import Scene, pack, render
from vm_reconstruction.demo.room import make_room, make_steps

DEMO_FOLDER = Path(__file__).parent
VIDEO_NAME, TRUTH_NAME = "climb_steps.mp4", "climb_steps_truth.npz"


@dataclass(frozen=True)
class DemoVideoConfig:
    """The demo video.

    Attributes:
        out: folder for climb_steps.mp4 and climb_steps_truth.npz.
        height_m: the person's height [m].
        fps: pictures a second.
        duration_s: length [s].
        seed: textures and camera shake.
    """

    out: Path = DEMO_FOLDER
    height_m: float = 1.75
    fps: int = 30
    duration_s: float = 8.6
    seed: int = 3

    def __post_init__(self) -> None:
        if not 1.4 <= self.height_m <= 2.1:
            raise VmError(f"height {self.height_m} m: the demo's body is an adult, expected 1.4 to 2.1 m")
        if self.fps <= 0 or self.duration_s <= 0:
            raise VmError(f"fps {self.fps} and duration {self.duration_s} s must be positive")


def person_scene(body: PosedBody, motion: PersonMotion, frame: int) -> Scene:
    """The skinned person of one frame, packed for the renderer."""
    rotations = {name: value[frame] for name, value in motion.rotations.items()}
    joints = {name: value[frame] for name, value in motion.joints.items()}
    vertices = body.posed(rotations, joints)
    uv, white = np.zeros((len(vertices), 2)), np.ones((1, 1, 3))
    return pack([Mesh(vertices, body.faces, body.colors, uv, white, vertex_normals(vertices, body.faces))])


def write_video(path: Path, pictures: list[np.ndarray], fps: int, focal_35mm: float = FOCAL_35MM_EQUIVALENT) -> None:
    """H.264 with the focal length (35 mm equivalent) where phones write it; pictures (H, W, 3) uint8 RGB."""
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags+faststart"}) as container:
        container.metadata["com.apple.quicktime.camera.focal_length.35mm_equivalent"] = str(focal_35mm)
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"crf": "21", "preset": "slow"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def write_truth(path: Path, motion: PersonMotion, camera: CameraPath, height_m: float) -> None:
    """A HumanMotion file with cameras and boxes added; `HumanMotion.load` reads it too."""
    boxes = step_boxes()
    with atomic_path(path) as temporary:
        as_human_motion(motion, height_m).save(temporary)
        with np.load(temporary, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
        arrays |= {
            "camera_matrix": camera.matrix,
            "T_world_camera": camera.T_world_camera,
            "image_size": np.array([WIDTH, HEIGHT]),
            "boxes": np.array(json.dumps([vars(box) for box in boxes])),
        }
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)


def make_demo_video(config: DemoVideoConfig) -> None:
    """Renders and writes both files."""
    body = PosedBody.load(config.height_m)
    motion = walk_and_climb(body.skeleton, config.fps, config.duration_s)
    camera = hand_held(motion.joints["pelvis"], config.fps, config.seed)
    room, steps = pack(make_room(config.seed)), pack(make_steps(step_boxes(), config.seed))
    pictures = []
    for frame, pose in enumerate(tqdm(camera.T_world_camera, desc="render", unit="frame")):
        person = person_scene(body, motion, frame)
        pictures.append(render([room, steps, person], [steps, person], camera.matrix, pose, (WIDTH, HEIGHT)))
    with atomic_path(config.out / VIDEO_NAME) as temporary:
        write_video(temporary, pictures, config.fps)
    write_truth(config.out / TRUTH_NAME, motion, camera, config.height_m)
    print(f"{config.out / VIDEO_NAME}: {len(pictures)} frames, {(config.out / VIDEO_NAME).stat().st_size // 1024} kB")


def main() -> None:
    """Entry point of vm-make-demo-video."""
    command_line.run(lambda: make_demo_video(tyro.cli(DemoVideoConfig, description=__doc__)))


if __name__ == "__main__":
    main()
