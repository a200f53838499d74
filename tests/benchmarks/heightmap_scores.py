"""Errors of grids, cell by cell, against the terrain: means, shares, and the statistics that a noise model reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from heightmap_truth import GridTruth

from vm_core.height_grid import CellSource
from vm_heightmap.grid_sampler import GridSample

EDGE_M = 0.05
HONEST_M, HONEST_SIGMA = 0.03, 3.0
COLUMNS = ("error_m", "std_m", "edge_distance_m", "source", "age_s")


@dataclass
class Cells:
    """Columns over all cells of all grids compared, one grid a scan."""

    error_m: list[np.ndarray] = field(default_factory=list)
    std_m: list[np.ndarray] = field(default_factory=list)
    edge_distance_m: list[np.ndarray] = field(default_factory=list)
    source: list[np.ndarray] = field(default_factory=list)
    age_s: list[np.ndarray] = field(default_factory=list)

    def compare(self, truth: GridTruth, tick: int, sample: GridSample, torso_height_m: float) -> None:
        """Adds the grid of a tick, if one is compared then, with the torso's height as the estimator has it.

        The policy's value is torso height minus terrain height, so that is what is compared.
        """
        row = truth.row(tick)
        if row is None:
            return
        value = torso_height_m - sample.height
        self.error_m.append(truth.torso_height[row] - truth.terrain[row] - value)  # positive: the map is too high
        self.std_m.append(np.sqrt(sample.variance))
        self.edge_distance_m.append(truth.edge_distance[row])
        self.source.append(sample.source)
        self.age_s.append(sample.age_s)

    def add(self, other: Cells) -> None:
        """Takes another's columns too."""
        for name in COLUMNS:
            getattr(self, name).extend(getattr(other, name))

    def column(self, name: str) -> np.ndarray:
        """One column over all cells."""
        return np.concatenate(getattr(self, name))


def summary(cells: Cells) -> dict[str, float]:
    """Shares and mean absolute errors [cm]."""
    error, std, source = (cells.column(name) for name in ("error_m", "std_m", "source"))
    edge, known, off = cells.column("edge_distance_m") <= EDGE_M, source != CellSource.UNKNOWN, np.abs(error)
    honest = (off <= HONEST_M) | (off <= HONEST_SIGMA * std)
    plain = known & ~edge
    return {
        "known": float(known.mean()),
        "away_mae_cm": 100 * float(off[plain].mean()),
        "away_p95_cm": 100 * float(np.percentile(off[plain], 95)),
        "edge_mae_cm": 100 * float(off[known & edge].mean()) if np.any(known & edge) else float("nan"),
        "bias_cm": 100 * float(error[plain].mean()),
        "honest": float(honest[known].mean()),
        "std_away_cm": 100 * float(np.sqrt(np.mean(std[plain] ** 2))),
    }


def statistics(cells: Cells, z_drift_m: np.ndarray) -> dict:
    """What a noise model needs: errors by age and by distance to an edge, gross errors, unknown cells, drift."""
    error, known = cells.column("error_m"), cells.column("source") != CellSource.UNKNOWN
    distance, age = cells.column("edge_distance_m"), cells.column("age_s")
    away = known & (distance > EDGE_M)
    return {
        "cells": int(len(error)),
        "unknown_share": float(1.0 - known.mean()),
        "filled_share": float(np.mean(cells.column("source") == CellSource.FILLED)),
        "away_from_edges": _spread(error[away]),
        "by_age_s": _binned(error, age, away, (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)),
        "by_edge_distance_m": _binned(error, distance, known, (0.0, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)),
        "z_drift_2s_m": {"p50": float(np.percentile(z_drift_m, 50)), "p95": float(np.percentile(z_drift_m, 95))},
    }


def _binned(error: np.ndarray, value: np.ndarray, use: np.ndarray, edges: tuple[float, ...]) -> list[dict]:
    rows = []
    for low, high in pairwise(edges):
        inside = use & (value >= low) & (value < high)
        if inside.sum() >= 50:
            rows.append({"from": low, "to": high, **_spread(error[inside])})
    return rows


def _spread(error: np.ndarray) -> dict[str, float]:
    off = np.abs(error)
    return {
        "cells": int(len(error)),
        "bias_m": round(float(error.mean()), 5),
        "std_m": round(float(error.std()), 5),
        "mae_m": round(float(off.mean()), 5),
        "p95_m": round(float(np.percentile(off, 95)), 5),
        "share_over_5cm": round(float(np.mean(off > 0.05)), 5),
    }
