"""What is measured of every episode, and the row that a course's episodes make."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from vm_core import g1
from vm_core.scene_asset import SceneAsset
from vm_training.benchmark.grids import terrain_heights
from vm_training.benchmark.robots import Robots

SOFT_LIMIT = 0.98
_SWING_M_S = 0.4
_GRAVITY = 9.81


class Recorder:
    """Collects the figures of N robots, step by step, as long as they are up."""

    def __init__(self, robots: Robots) -> None:
        count, first = robots.num, robots.models[0]
        self.qpos: list[np.ndarray] = []
        self.up_s = np.zeros(count)
        self._energy_j, self._way_m = np.zeros(count), np.zeros(count)
        self._torque_use = np.zeros(count)
        self._torque_peak, self._limit_steps, self._steps = np.zeros(count), np.zeros(count), np.zeros(count)
        self._jerk = np.zeros(count)
        self._clearance: list[list[float]] = [[] for _ in range(count)]
        self._peak = np.zeros((count, 2))
        self._mass = np.array([model.body_subtreemass[1] for model in robots.models])
        self._kp = np.stack([model.actuator_gainprm[:, 0] for model in robots.models])
        self._kd = np.stack([-model.actuator_biasprm[:, 2] for model in robots.models])
        middle, half = 0.5 * (g1.JOINT_LOWER + g1.JOINT_UPPER), 0.5 * (g1.JOINT_UPPER - g1.JOINT_LOWER)
        self._low, self._high = middle - SOFT_LIMIT * half, middle + SOFT_LIMIT * half
        self._soles = [i for i in range(first.ngeom) if "_sole" in first.geom(i).name]
        self._data = mujoco.MjData(first)
        self._feet_before: np.ndarray | None = None
        self._target_before = robots.target.copy()
        self._xy_before = robots.physics.qpos[:, :2].copy()

    def record(self, robots: Robots, active: np.ndarray) -> None:
        """Takes the state after a control period that robots (E,) have gone through."""
        period = robots.contract.control_period_s
        qpos, qvel = robots.physics.qpos, robots.physics.qvel
        self.qpos.append(qpos.astype(np.float32))
        torque = self._kp[active] * (robots.target[active] - qpos[active, 7:]) - self._kd[active] * qvel[active, 6:]
        torque = np.nan_to_num(np.clip(torque, -g1.TORQUE_LIMIT, g1.TORQUE_LIMIT))
        use = np.abs(torque) / g1.TORQUE_LIMIT
        self._torque_use[active] += use.mean(axis=1)
        self._torque_peak[active] = np.maximum(self._torque_peak[active], use.max(axis=1))
        self._energy_j[active] += np.nan_to_num(np.maximum(torque * qvel[active, 6:], 0.0)).sum(axis=1) * period
        beyond = (qpos[active, 7:] < self._low) | (qpos[active, 7:] > self._high)
        self._limit_steps[active] += beyond.any(axis=1)
        change = (robots.target - self._target_before)[active] / period
        self._jerk[active] += np.square(change).mean(axis=1)
        self._way_m[active] += np.nan_to_num(np.linalg.norm(qpos[active, :2] - self._xy_before[active], axis=1))
        self._steps[active] += 1
        self._target_before, self._xy_before = robots.target.copy(), qpos[:, :2].copy()
        self.up_s[active] = robots.time_s
        if robots.step_count % 2 == 0:
            self._feet(robots, active, 2 * period)

    def _feet(self, robots: Robots, active: np.ndarray, period: float) -> None:
        """The most that a swinging foot's lowest sole point rises over the surface under it, a swing."""
        points = np.zeros((robots.num, 8, 3))
        for i in active:
            if np.isfinite(robots.physics.qpos[i]).all():
                self._data.qpos[:] = robots.physics.qpos[i]
                mujoco.mj_kinematics(robots.models[i], self._data)
                points[i] = self._data.geom_xpos[self._soles]
        if self._feet_before is not None:
            over = points[..., 2] - g1.SOLE_SPHERE_RADIUS_M - terrain_heights(robots, points[..., :2])
            moved = np.linalg.norm(points[..., :2] - self._feet_before[..., :2], axis=-1) / period
            for side, foot in enumerate((slice(0, 4), slice(4, 8))):
                swings = moved[:, foot].min(axis=1) > _SWING_M_S
                peak = self._peak[:, side]
                for i in active[~swings[active] & (peak[active] > 0.0)]:  # a swing has ended
                    self._clearance[i].append(peak[i])
                peak[:] = np.where(swings, np.maximum(peak, over[:, foot].min(axis=1)), 0.0)
        self._feet_before = points

    def figures(self, i: int) -> dict[str, float]:
        """One episode's figures; NaN where there is none."""
        steps = max(self._steps[i], 1.0)
        way = self._way_m[i]
        swings = self._clearance[i]
        return {
            "foot_clearance_m": float(np.median(swings)) if swings else math.nan,
            "power_w": float(self._energy_j[i] / max(self.up_s[i], 1e-6)),
            "cost_of_transport": float(self._energy_j[i] / (self._mass[i] * _GRAVITY * way)) if way > 0.5 else math.nan,
            "torque_use": float(self._torque_use[i] / steps),
            "torque_peak": float(self._torque_peak[i]),
            "joint_limit_share": float(self._limit_steps[i] / steps),
            "target_speed_rad_s": float(math.sqrt(self._jerk[i] / steps)),
        }


@dataclass(frozen=True)
class EpisodeResult:
    """One episode.

    Attributes:
        index: of the episode.
        success: reached what was asked for, upright.
        fell: whether it fell.
        up_s: until it fell or ended.
        progress: share of the way.
        drift_m: from the start where standing was asked for, else beside the way at the end.
        figures: of `Recorder`.
        qpos: (T, 36) at the control rate, until the fall or the end.
        scene: where it was.
    """

    index: int
    success: bool
    fell: bool
    up_s: float
    progress: float
    drift_m: float
    figures: dict[str, float]
    qpos: np.ndarray
    scene: SceneAsset


def row_of(name: str, results: list[EpisodeResult], about: dict) -> dict:
    """The JSON row of a course: success with its 95 % interval, and the means (medians of clearance) of the rest."""
    count = len(results)
    low, high = wilson_interval(sum(r.success for r in results), count)
    falls = [r.up_s for r in results if r.fell]
    row = {
        "name": name,
        "success": float(np.mean([r.success for r in results])),
        "success_low": low,
        "success_high": high,
        "episodes": count,
        **about,
        "falls": len(falls),
        "time_to_fall_s": float(np.mean(falls)) if falls else None,
        "progress": float(np.mean([r.progress for r in results])),
        "drift_m": float(np.median([r.drift_m for r in results])),
    }
    for key in results[0].figures:
        values = np.array([r.figures[key] for r in results])
        values = values[np.isfinite(values)]
        row[key] = float(np.median(values)) if len(values) else None
    return row


def wilson_interval(successes: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share."""
    share, extra = successes / count, z * z / count
    middle = (share + 0.5 * extra) / (1.0 + extra)
    half = z / (1.0 + extra) * math.sqrt(share * (1.0 - share) / count + 0.25 * extra / count)
    return max(middle - half, 0.0), min(middle + half, 1.0)
