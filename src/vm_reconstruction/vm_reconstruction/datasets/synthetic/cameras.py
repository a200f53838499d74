"""A phone carried by somebody who follows: it travels, turns after the person, shakes and sways."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from vm_reconstruction.demo.camera_path import CameraPath, look_at, wander

SHAKE_RAD, SWAY_M = 0.007, 0.015  # standard deviations; a phone held with both hands while walking slowly
LONG_SIDE_PX, SHORT_SIDE_PX = 640, 480
NEARER_M = 0.8  # so much of a way of any length may bring people toward the camera, or away from it


@dataclass(frozen=True)
class Filming:
    """How a video is filmed.

    Attributes:
        size: width, height [px].
        fov_deg: along the longer side.
        azimuth: of the camera as seen from the people's middle [rad]; -pi/2 is the -y side.
        distance, height: of the camera [m].
        travel: share of the people's way that the camera goes along.
        circle: angle around the people that it makes over the video [rad].
    """

    size: tuple[int, int]
    fov_deg: float
    azimuth: float
    distance: float
    height: float
    travel: float
    circle: float

    @staticmethod
    def random(rng: np.random.Generator, people: int) -> Filming:
        """Typical of everyday videos: the whole person, from the side or obliquely."""
        portrait = people == 1 and rng.random() < 0.4
        size = (SHORT_SIDE_PX, LONG_SIDE_PX) if portrait else (LONG_SIDE_PX, SHORT_SIDE_PX)
        return Filming(
            size, rng.uniform(58.0, 70.0), -np.pi / 2 + rng.uniform(-0.6, 0.6),
            rng.uniform(3.0, 3.8) + (0.9 if people > 1 else 0.0), rng.uniform(1.25, 1.75),
            rng.uniform(0.25, 0.75), rng.uniform(-0.35, 0.35),
        )  # fmt: skip

    def along(self, pelvis_world: np.ndarray) -> Filming:
        """The same, travelling along with so much of the way (T, 3) [m] that it never leads past the camera."""
        reach = 0.5 * float(np.ptp(pelvis_world[:, :2], axis=0).max())
        return replace(self, travel=max(self.travel, 1.0 - NEARER_M / max(reach, NEARER_M)))

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) [px]."""
        focal = 0.5 * max(self.size) / np.tan(np.radians(self.fov_deg) / 2)
        return np.array([[focal, 0.0, self.size[0] / 2], [0.0, focal, self.size[1] / 2], [0.0, 0.0, 1.0]])


def film(pelvises_world: np.ndarray, filming: Filming, fps: float, rng: np.random.Generator) -> CameraPath:
    """Camera poses that follow people (T, P, 3) [m, world]."""
    frames = len(pelvises_world)
    middle = gaussian_filter1d(pelvises_world.mean(axis=1), 0.6 * fps, axis=0, mode="nearest")
    center = 0.5 * (middle.min(axis=0) + middle.max(axis=0))
    angle = filming.azimuth + filming.circle * (np.linspace(0, 1, frames) - 0.5)
    around = filming.distance * np.column_stack([np.cos(angle), np.sin(angle), np.zeros(frames)])
    place = center + filming.travel * (middle - center) + around
    place[:, 2] = filming.height + 0.5 * (middle[:, 2] - middle[0, 2])
    place += wander(rng, frames, fps, SWAY_M)
    target = center + 0.85 * (middle - center) - [0.0, 0.0, 0.05]
    shake = wander(rng, frames, fps, SHAKE_RAD)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for k in range(frames):
        poses[k, :3, 3] = place[k]
        poses[k, :3, :3] = look_at(place[k], target[k]) @ Rotation.from_rotvec(shake[k]).as_matrix()
    return CameraPath(filming.matrix, poses)
