"""Walkers that are shown more of the ground than they were taught with, of which they make nothing yet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_contract import PolicyContract
from vm_training.exported_students import grid_place
from vm_training.gated_student import GatedStudent
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
    wide = {name: state[name][..., cells].clone() for name in ("mean", "spread")}
    wide[_FIRST_LAYER] = _blind_to(state[_FIRST_LAYER][:, cells], is_new)
    found = Student(len(cells), len(contract.joint_names), walker.hidden)
    found.load_state_dict(state | wide)
    golden = contract.golden
    if golden is not None:
        golden = replace(golden, observation=tuple(np.array(golden.observation)[cells].tolist()))
    terms = (*contract.observation[:-1], replace(last, size=grid.num_cells))
    return found.eval(), replace(contract, observation=terms, height_grid=grid, golden=golden)


def gated_with_wider_view(
    gated: GatedStudent, contract: PolicyContract, grid: HeightGridSpec
) -> tuple[GatedStudent, PolicyContract]:
    """Walkers behind a gate, for a larger height grid, and the contract without a golden pair.

    Where walkers of edges have a place, that begins as soon as the larger grid shows one.

    Args, raises: as `with_wider_view`.
    """
    earlier = contract.height_grid
    assert earlier is not None  # without which there is no gate
    wide = [with_wider_view(walker, contract, grid) for walker in gated.walkers if isinstance(walker, Student)]
    nearest, is_new = _nearest_cells(contract.name, earlier, grid)
    cells = np.concatenate([np.arange(gated.mean.numel() - earlier.num_cells), nearest - earlier.num_cells])
    its = replace(wide[0][1], golden=None)
    edges = None if gated.edges is None else replace(gated.edges, grid=grid_place(its))
    found = GatedStudent([walker for walker, _ in wide], gated.least[:, cells], gated.looks_at[cells], edges)
    gate = gated.gate.state_dict()
    found.gate.load_state_dict(gate | {"0.weight": _blind_to(gate["0.weight"][:, cells], is_new)})
    return found.eval(), its


def _blind_to(weight: torch.Tensor, is_new: np.ndarray) -> torch.Tensor:
    """A layer's weights (outputs, inputs) that make nothing of the last inputs where (cells,) says so."""
    weight = weight.clone()
    weight[:, -len(is_new) :][:, torch.from_numpy(is_new)] = 0.0
    return weight


def _nearest_cells(name: str, earlier: HeightGridSpec, grid: HeightGridSpec) -> tuple[np.ndarray, np.ndarray]:
    """For each cell of the larger grid the nearest of the earlier one, and whether it is another."""
    apart = np.linalg.norm(grid.cell_offsets_xy[:, None] - earlier.cell_offsets_xy, axis=-1)  # (new, old) [m]
    if apart.min(axis=0).max() > 1e-6:
        raise VmError(f"{name} sees {earlier}; {grid} lacks some of these cells")
    return apart.argmin(axis=1), apart.min(axis=1) > 1e-6
