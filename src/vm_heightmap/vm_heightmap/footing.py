"""What the feet tell the map: where the ground is at the start, and whether it has moved since."""

from __future__ import annotations

import numpy as np

from vm_core import frames
from vm_core.height_grid import CellSource
from vm_heightmap.drift import DriftEstimator
from vm_heightmap.elevation_map import ElevationMap
from vm_heightmap.grid_sampler import sample_at
from vm_heightmap.kinematics import sole_ends_in_torso, soles_in_torso
from vm_heightmap.stance import StanceWatch

PERIOD_S = 0.02
SEED_AGAIN_M = 0.15
MOST_STD_M = 0.012  # of a map height that a sole is compared with


class Footing:
    """Follows the soles; seeds the map and shifts it by what standing feet say.

    Attributes:
        stance: which soles stand.
    """

    def __init__(self) -> None:
        self.stance = StanceWatch()
        self.forget_seed()

    def clear(self) -> None:
        """Forgets where the feet were, after a jump."""
        self.stance.clear()
        self.forget_seed()

    def forget_seed(self) -> None:
        """Lets the next pose seed the map."""
        self._seeded_at: np.ndarray | None = None
        self._last_s = -np.inf

    def update(
        self,
        elevation: ElevationMap,
        drift: DriftEstimator,
        pose: tuple[float, np.ndarray, np.ndarray],
        joint_pos: np.ndarray,
    ) -> None:
        """Takes a pose of the torso (time, (3,), (4,)) with the joint angles (29,)."""
        time_s, torso_pos, torso_quat = pose
        if abs(time_s - self._last_s) < PERIOD_S - 1e-6:
            return
        self._last_s = time_s
        soles, normals = (frames.quat_rotate(torso_quat[None], part) for part in soles_in_torso(joint_pos))
        soles = soles + torso_pos
        standing = self.stance.update(time_s, soles)
        # the seed is taken anew while the robot still settles where it stood at the start
        settled = bool(standing) and self.stance.both_stand
        if self._seeded_at is None or (settled and np.linalg.norm(torso_pos[:2] - self._seeded_at) < SEED_AGAIN_M):
            elevation.seed(soles, time_s, _slope(normals))
            self._seeded_at = torso_pos[:2] if self._seeded_at is None else self._seeded_at
        if standing:
            ends = frames.quat_rotate(torso_quat, sole_ends_in_torso(joint_pos)) + torso_pos
        for foot in standing:
            contact = ends[foot][ends[foot][:, 2].argmin()]  # a foot that rolls onto its toes has its middle in the air
            height, variance, source = sample_at(elevation.view, contact, time_s)
            if source == CellSource.SEEN and variance < MOST_STD_M**2:
                elevation.shift(drift.foot(float(contact[2] - height)))


def _slope(normals_world: np.ndarray) -> np.ndarray | None:
    """Rise along x and y (2,) of the ground under flat soles, None if they disagree or are not flat."""
    steep = normals_world[:, 2].min() < 0.95
    if steep or np.linalg.norm(normals_world[0] - normals_world[1]) > 0.06:
        return None
    normal = normals_world.mean(axis=0)
    return -normal[:2] / normal[2]
