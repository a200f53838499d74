"""The contract of a walker of two paces from that of slow steps, and back."""

from __future__ import annotations

import math
from dataclasses import replace

from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_contract import GoldenPair, ObservationTerm, PolicyContract

PACE_TERM = ObservationTerm("gait_pace", 1)
AHEAD_M = 1.2
"""How far the grid reaches at least, beyond what walkers see if they see less: quick steps end so far from an edge, for
a walker of slow ones needs its run-up."""


def paced_contract(slow: PolicyContract, quick_step_s: float) -> PolicyContract:
    """The contract of both paces, without a golden pair.

    Args:
        slow: of a walker of slow steps, whose last term is the height grid.
        quick_step_s: of the other.

    Raises:
        VmError: it sees no height grid, or not last.
    """
    *others, last = slow.observation
    if slow.height_grid is None or last.name != "height_grid" or last.history_length != 1:
        raise VmError(f"{slow.name}: its last term is {last.name}; expected the height grid alone")
    grid = _longer(slow.height_grid, rows_ahead(slow.height_grid))
    terms = (*others, replace(last, size=grid.num_cells), PACE_TERM)
    return replace(slow, observation=terms, height_grid=grid, gait_quick_step_s=quick_step_s, golden=None)


def slow_contract(paced: PolicyContract, sees: int) -> PolicyContract:
    """That of its slow steps, with the part of the golden pair that is theirs.

    Args:
        paced: of both paces.
        sees: how many numbers its walkers see.
    """
    *others, last, _ = paced.observation
    assert paced.height_grid is not None and paced.golden is not None  # which a policy file of two paces has
    rows = (paced.observation_size - 1 - sees) // paced.height_grid.size_y
    grid = _longer(paced.height_grid, -rows)
    golden = GoldenPair(paced.golden.observation[:sees], paced.golden.action, paced.golden.tolerance)
    terms = (*others, replace(last, size=grid.num_cells))
    return replace(paced, observation=terms, height_grid=grid, gait_quick_step_s=None, golden=golden)


def rows_ahead(grid: HeightGridSpec) -> int:
    """How many rows a walker's grid lacks up to AHEAD_M."""
    missing_m = AHEAD_M - float(grid.cell_offsets_xy[:, 0].max())
    return max(math.ceil(missing_m / grid.resolution - 1e-6), 0)


def _longer(grid: HeightGridSpec, rows: int) -> HeightGridSpec:
    return replace(grid, size_x=grid.size_x + rows, center_x=grid.center_x + 0.5 * rows * grid.resolution)
