"""A walker that is shown more of the ground than it was taught with, of which it makes nothing yet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_contract import PolicyContract
from vm_training.student import Student

_FIRST_LAYER = "layers.0.weight"


def with_wider_view(walker: Student, contract: PolicyContract, grid: HeightGridSpec) -> tuple[Student, PolicyContract]:
    """The walker and its contract for a larger height grid; it acts as before. Itself, if that is its grid.

    Where its cells were points and the larger grid's are means, it sees what it was taught on level ground alone.

    Args:
        walker: of the contract.
        contract: whose last term is the height grid.
        grid: the larger one.

    Raises:
        VmError: no height grid at the end, or one with cells that the larger has not.
    """
    earlier, last = contract.height_grid, contract.observation[-1]
    if earlier is None or last.name != "height_grid" or last.history_length != 1:
        raise VmError(f"{contract.name}: its last term is {last.name}; expected the height grid alone")
    if earlier == grid:
        return walker, contract
    nearest, is_new = _nearest_cells(contract.name, earlier, grid)
    cells = np.concatenate([np.arange(walker.mean.numel() - earlier.num_cells), nearest - earlier.num_cells])
    state = walker.state_dict()
    wide = {name: state[name][..., cells].clone() for name in ("mean", "spread", _FIRST_LAYER)}
    wide[_FIRST_LAYER][:, -grid.num_cells :][:, torch.from_numpy(is_new)] = 0.0
    found = Student(len(cells), len(contract.joint_names), walker.hidden)
    found.load_state_dict(state | wide)
    golden = contract.golden
    if golden is not None:
        golden = replace(golden, observation=tuple(np.array(golden.observation)[cells].tolist()))
    terms = (*contract.observation[:-1], replace(last, size=grid.num_cells))
    return found.eval(), replace(contract, observation=terms, height_grid=grid, golden=golden)


def _nearest_cells(name: str, earlier: HeightGridSpec, grid: HeightGridSpec) -> tuple[np.ndarray, np.ndarray]:
    """For each cell of the larger grid the nearest of the earlier one, and whether it is another."""
    apart = np.linalg.norm(grid.cell_offsets_xy[:, None] - earlier.cell_offsets_xy, axis=-1)  # (new, old) [m]
    if apart.min(axis=0).max() > 1e-6:
        raise VmError(f"{name} sees {earlier}; {grid} lacks some of these cells")
    return apart.argmin(axis=1), apart.min(axis=1) > 1e-6
