"""The mapper's figures for diagnostics and reports."""

from __future__ import annotations

import numpy as np

from vm_core.height_grid import CellSource
from vm_heightmap.grid_sampler import GridSample
from vm_heightmap.mapper import HeightMapper, Shown


def figures(mapper: HeightMapper, found: tuple[GridSample, Shown] | None, now_s: float) -> dict[str, object]:
    """Rates, point counts, inliers, drift, ages and drops, by name."""
    values: dict[str, object] = {
        "scans": mapper.scans,
        "bad_scans": mapper.bad_scans,
        "dropped_scans": mapper.dropped_scans,
        "map_shifted_m": round(mapper.drift.taken_out_m, 4),
        "points_above_feet_m": round(mapper.drift.ground_offset_m, 4),
        "mount_passed": mapper.fusion.mount.passed,
        "epoch": mapper.epoch,
    }
    values |= {f"{kind}_hz": round(rate, 1) for kind, rate in mapper.rates.hz(now_s).items()}
    values |= vars(mapper.fusion.counts) if mapper.fusion.counts else {}
    return values | _own_odometry(mapper) | ({} if found is None else _grid(*found, now_s))


def _own_odometry(mapper: HeightMapper) -> dict[str, object]:
    own = mapper.own
    if own is None or own.registration is None:
        return {}
    match = own.registration
    return {
        "matched": match.matched,
        "inliers": match.inliers,
        "iterations": match.iterations,
        "acceleration_unit": "g" if own.accel_in_g else "m/s2",
        "position_std_m": [round(float(v), 4) for v in np.sqrt(np.diag(own.covariance)[3:])],
    }


def _grid(sample: GridSample, shown: Shown, now_s: float) -> dict[str, object]:
    values: dict[str, object] = {source.name.lower(): int(np.sum(sample.source == source)) for source in CellSource}
    values["odometry_age_s"] = round(max(0.0, now_s - shown.at_s), 3)
    if np.isfinite(shown.scan_end_s):
        values["scan_age_s"] = round(shown.pose.time_s - shown.scan_end_s + max(0.0, now_s - shown.at_s), 3)
    if np.isfinite(sample.age_s).any():
        values["cell_age_p50_s"], values["cell_age_p95_s"] = (
            round(float(np.nanpercentile(sample.age_s, share)), 2) for share in (50, 95)
        )
    return values
