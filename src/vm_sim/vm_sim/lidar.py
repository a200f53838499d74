"""The Livox Mid-360 on the G1's head: its scan pattern and ray casting into a MuJoCo model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mujoco
import numpy as np

from vm_core import g1, livox_cdr
from vm_core.errors import VmError
from vm_core.motion_clip import read_npz

POINT_RATE_HZ = 200_000
LINES = 4
PATTERN_POINTS = 800_000  # after 4 s the pattern repeats
_HOUSING_GROUP = 5
_VISIBLE_GROUPS = np.array([0, 0, 1, 1, 0, 0], dtype=np.uint8)  # scene and collision shapes, no decoration, no housing
_REFLECTIVITY = 40


@dataclass(frozen=True)
class Mid360Pattern:
    """A rotor at 182 Hz that carries a wedge nodding at 10 Hz, four beams side by side.

    Fitted by least squares to the real sensor's 800,000 directions: 0.43 degrees rms (1.3 at most), the same density
    over elevation within 0.4 %. Angles in radians, rates in Hz; `*_1` and `*_2` are shares that follow the first and
    second harmonic of the wedge's angle.
    """

    tilt: float = 0.376813
    deflection: float = 0.439408
    deflection_1: float = 0.006454
    deflection_2: float = 0.031789
    wedge_ripple: float = 0.122139
    wedge_phase: float = -0.010055
    wedge_rate_hz: float = 10.0
    rotor_rate_hz: float = -182.41668
    rotor_phase: float = 4.701037
    line_elevation: float = 0.033208
    line_elevation_1: float = 0.00505
    line_elevation_2: float = 0.007828
    line_azimuth: float = -0.032797
    line_azimuth_1: float = -0.001487
    line_lag: float = -0.092769

    def directions(self, indices: np.ndarray) -> np.ndarray:
        """Unit vectors (N, 3) in the sensor's frame of the points with these indices (N,)."""
        indices = np.asarray(indices) % PATTERN_POINTS
        line = 0.5 * (LINES - 1) - indices % LINES
        time = (indices // LINES) * (LINES / POINT_RATE_HZ)
        wedge = 2.0 * np.pi * self.wedge_rate_hz * time + self.wedge_phase
        wedge = wedge + self.wedge_ripple * np.sin(2.0 * wedge)
        once, twice = np.cos(wedge), np.cos(2.0 * wedge)
        rotor = self.rotor_phase + 2.0 * np.pi * self.rotor_rate_hz * time
        azimuth, elevation = self._wedge_beam(wedge, once, twice)
        turn = rotor + self.line_lag * np.sin(wedge)
        spread = self.line_elevation + self.line_elevation_1 * once + self.line_elevation_2 * twice
        elevation = elevation - line * spread * np.sin(turn)
        side = (self.line_azimuth + self.line_azimuth_1 * once) * np.cos(turn)
        return _unit(azimuth + rotor + line * side / np.cos(elevation), elevation)

    def _wedge_beam(self, wedge: np.ndarray, once: np.ndarray, twice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Azimuth and elevation (N,) [rad] of the middle beam relative to the rotor."""
        bend = self.deflection * (1.0 + self.deflection_1 * once + self.deflection_2 * twice)
        forward, up = np.cos(bend), np.sin(bend) * once
        x = np.cos(self.tilt) * forward - np.sin(self.tilt) * up
        z = np.sin(self.tilt) * forward + np.cos(self.tilt) * up
        return np.arctan2(np.sin(bend) * np.sin(wedge), x), np.arcsin(z)


def load_pattern(path: Path | str) -> np.ndarray:
    """Unit vectors (N, 3) from an `.npz` with azimuth_deg (N,) and elevation_deg (N,) in firing order.

    Raises:
        VmError: unreadable, or without these arrays.
    """
    arrays = read_npz(Path(path), str(path))
    names = ("azimuth_deg", "elevation_deg")
    if any(name not in arrays or arrays[name].ndim != 1 for name in names):
        raise VmError(f"{path}: holds {', '.join(arrays) or 'nothing'}; expected {' and '.join(names)}, each (N,)")
    if len({len(arrays[name]) for name in names}) != 1 or not len(arrays[names[0]]):
        raise VmError(f"{path}: {' and '.join(names)} must have one length above 0")
    return _unit(*(np.deg2rad(arrays[name].astype(np.float64)) for name in names))


class Mid360:
    """Casts the pattern's rays in sub-scans, each from the pose that the sensor has then (a scan bends with motion).

    The robot's own body is hit as in reality; only the shape that the sensor sits in lets rays through.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        rng: np.random.Generator,
        *,
        pattern_path: Path | str | None = None,
        range_std_m: float = 0.015,
        min_range_m: float = 0.1,
        max_range_m: float = 40.0,
    ) -> None:
        """Prepares the sensor.

        Args:
            model: with `torso_link`; the shape around the sensor is moved to a geom group of its own.
            rng: of the range noise.
            pattern_path: directions to be used instead of the parametric pattern, see `load_pattern`.
            range_std_m: standard deviation of a range [m].
            min_range_m, max_range_m: outside, a point is a no-return, published as (0, 0, 0) like the driver does.
        """
        self._model, self._rng = model, rng
        self._torso = model.body(g1.TORSO_BODY).id
        self._turn = np.zeros(9)
        mujoco.mju_quat2Mat(self._turn, g1.LIDAR_QUAT_IN_TORSO_WXYZ)
        given = None if pattern_path is None else load_pattern(pattern_path)
        self._directions = _usual_directions() if given is None else given
        self._range_std_m, self._limits_m = range_std_m, (min_range_m, max_range_m)
        self._next = 0
        _hide_housing(model, self._torso)

    def pose_world(self, data: mujoco.MjData) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) [m] and rotation matrix (3, 3) of the sensor in the world."""
        torso = data.xmat[self._torso].reshape(3, 3)
        return data.xpos[self._torso] + torso @ g1.LIDAR_POS_IN_TORSO, torso @ self._turn.reshape(3, 3)

    def sub_scan(self, data: mujoco.MjData, duration_s: float = 0.01) -> np.ndarray:
        """The points that are fired within `duration_s`, all from the present pose.

        Args:
            data: with body and geom poses up to date (`mj_kinematics`).

        Returns:
            (N,) records of dtype `livox_cdr.POINT` in the sensor's frame, offset_time counted from the first.
        """
        count = int(round(duration_s * POINT_RATE_HZ))
        picks = (self._next + np.arange(count)) % len(self._directions)
        directions = self._directions[picks]
        ranges = self._cast(data, directions)
        points = np.zeros(count, dtype=livox_cdr.POINT)
        for axis, values in zip("xyz", (directions * ranges[:, None]).T, strict=True):
            points[axis] = values
        points["offset_time"] = np.arange(count) * (10**9 // POINT_RATE_HZ)
        points["reflectivity"] = np.where(ranges > 0.0, _REFLECTIVITY, 0)
        points["line"] = picks % LINES
        self._next = int(picks[-1]) + 1
        return points

    def _cast(self, data: mujoco.MjData, directions: np.ndarray) -> np.ndarray:
        """Noisy ranges (N,) [m], 0 without a return."""
        position, rotation = self.pose_world(data)
        count = len(directions)
        rays = (directions @ rotation.T).ravel()
        hit, ranges = np.empty(count, dtype=np.int32), np.empty(count)
        low, high = self._limits_m
        mujoco.mj_multiRay(self._model, data, position, rays, _VISIBLE_GROUPS, True, -1, hit, ranges, None, count, high)
        ok = (hit >= 0) & (ranges >= low) & (ranges <= high)
        return np.where(ok, ranges + self._rng.normal(0.0, self._range_std_m, count), 0.0)


def join_sub_scans(sub_scans: list[np.ndarray]) -> np.ndarray:
    """One scan from consecutive sub-scans: offset_time [ns] counted from the first point of all."""
    points = np.concatenate(sub_scans)
    points["offset_time"] = np.arange(len(points)) * (10**9 // POINT_RATE_HZ)
    return points


@cache
def _usual_directions() -> np.ndarray:
    """The parametric pattern's directions (PATTERN_POINTS, 3); shared, for 19 MB a sensor would be many."""
    directions = Mid360Pattern().directions(np.arange(PATTERN_POINTS))
    directions.setflags(write=False)
    return directions


def _hide_housing(model: mujoco.MjModel, torso: int) -> None:
    for geom in np.flatnonzero(model.geom_bodyid == torso):
        distance = np.linalg.norm(model.geom_pos[geom] - g1.LIDAR_POS_IN_TORSO)
        if distance < model.geom_rbound[geom]:
            model.geom_group[geom] = _HOUSING_GROUP


def _unit(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    flat = np.cos(elevation)
    return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=-1)
