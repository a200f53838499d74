"""The methods that are compared; each sees the observations and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vm_reconstruction.evaluation.scene_metrics import MOST_PLANES, PLANE_MIN_SHARE, plane_tolerance
from vm_reconstruction.geometry import clouds, planes
from vm_reconstruction.human_motion import HumanMotion
from vm_reconstruction.observations import Observations
from vm_reconstruction.solver.joint import solve, videomimic
from vm_reconstruction.solver.joint.problem import Sigmas
from vm_reconstruction.solver.joint.skeleton import TOUCHING

FRAME_STEP, PIXEL_STEP = 5, 4  # of the depth pictures that become points


@dataclass(frozen=True)
class Estimate:
    """What a method says of one video.

    Attributes:
        people: one motion each.
        T_world_camera: (T, 4, 4); scale: metres per unit.
        pixels: which pixels of the depth pictures `points` (N, 3) [m, world] come from.
        seconds: of people, cameras and scale; points not counted.
    """

    people: tuple[HumanMotion, ...]
    T_world_camera: np.ndarray
    scale: float
    pixels: clouds.StaticPixels
    points: np.ndarray
    seconds: float


def _first_guess(observed: Observations) -> solve.JointResult:
    problem, state = solve.make_problem(observed, Sigmas())
    still = [np.zeros((observed.num_frames, len(TOUCHING)))] * len(observed.people)
    return solve.result(problem, state, still, 0.0, 0, observed)


def _published_guess(observed: Observations) -> solve.JointResult:
    problem, state = videomimic.make_problem(observed)
    still = [np.zeros((observed.num_frames, len(TOUCHING)))] * len(observed.people)
    return solve.result(problem, state, still, 0.0, 0, observed)


# In the order of the table: what VideoMimic starts from and ends at, what we start from and end at.
METHODS: dict[str, Callable[[Observations], solve.JointResult]] = {
    "published start": _published_guess,
    "published": videomimic.solve_published,
    "joint start": _first_guess,
    "joint": solve.solve,
}


def estimate(method: str, observed: Observations) -> Estimate:
    """Runs one of METHODS; only `joint` brings the frames' depths to agree and uses planes."""
    began = time.perf_counter()
    found = METHODS[method](observed)
    seconds = time.perf_counter() - began
    pixels = clouds.static_pixels(observed, found.scale, FRAME_STEP, PIXEL_STEP)
    if method == "joint":
        pixels = clouds.agreed(pixels, observed, found.scale, found.T_world_camera)
    points = pixels.points(observed.depth_matrix, found.T_world_camera)
    if method == "joint":
        tolerance = plane_tolerance(pixels.depth)
        points = planes.snapped(points, planes.find_planes(points, tolerance, PLANE_MIN_SHARE, MOST_PLANES))
    return Estimate(found.people, found.T_world_camera, found.scale, pixels, points, seconds)
