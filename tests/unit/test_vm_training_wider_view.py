"""Walkers that are shown more of the ground: they act as before, and say by name what cannot be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_contract import GoldenPair, PolicyContract
from vm_training.export import export_policy, walking_contract
from vm_training.exported_students import acts_as_said
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.mdp.walk_observations import GRID
from vm_training.student import Student
from vm_training.tasks.earlier_walker import take_earlier
from vm_training.tasks.gate_places import Place, read_walkers
from vm_training.wider_view import with_wider_view

SMALL = HeightGridSpec()
OTHERS = walking_contract("w", np.asarray(DEFAULT_JOINT_POS), 0.65, {}).observation_size - GRID.num_cells


def walker_of(grid: HeightGridSpec, seed: int = 0) -> tuple[Student, PolicyContract]:
    torch.manual_seed(seed)
    contract = walking_contract("w", np.asarray(DEFAULT_JOINT_POS), 0.65, {})
    *others, last = contract.observation
    contract = replace(contract, height_grid=grid, observation=(*others, replace(last, size=grid.num_cells)))
    walker = Student(contract.observation_size, 23, (16, 8))
    walker.normalize(np.random.default_rng(seed).normal(size=(50, contract.observation_size)))
    torch.nn.init.normal_(walker.layers[-1].weight, 0.0, 0.2)  # type: ignore[arg-type]
    seen = np.linspace(-1.0, 1.0, contract.observation_size)
    action = walker(torch.from_numpy(seen[None].astype(np.float32)))[0].detach().numpy()
    return walker, replace(contract, golden=GoldenPair(tuple(seen.tolist()), tuple(action.tolist())))


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2))
def test_it_acts_as_before_whatever_is_on_the_new_cells(behind, ahead, aside):
    larger = HeightGridSpec(11 + behind + ahead, 11 + 2 * aside, center_x=0.05 * (ahead - behind), samples_per_side=3)
    walker, contract = walker_of(SMALL)
    wide, its = with_wider_view(walker, contract, larger)
    rng = np.random.default_rng(behind + 7 * ahead)
    others, ground = rng.normal(size=(4, OTHERS)), rng.normal(size=(4, larger.num_cells))
    ours = [int(np.linalg.norm(larger.cell_offsets_xy - cell, axis=1).argmin()) for cell in SMALL.cell_offsets_xy]
    before = torch.from_numpy(np.hstack([others, ground[:, ours]]).astype(np.float32))
    after = torch.from_numpy(np.hstack([others, ground]).astype(np.float32))
    torch.testing.assert_close(wide(after), walker(before), atol=1e-5, rtol=1e-5)
    assert its.height_grid == larger and its.observation_size == OTHERS + larger.num_cells and acts_as_said(wide, its)


def test_new_cells_can_be_learnt():
    wide, its = with_wider_view(*walker_of(SMALL), GRID)
    wide.train()
    wide(torch.randn(3, its.observation_size)).sum().backward()
    first = wide.layers[0]
    assert isinstance(first, torch.nn.Linear) and first.weight.grad is not None
    assert (first.weight.grad[:, -GRID.num_cells :].abs().amax(dim=0) > 0.0).all()
    assert (wide.spread > 0.0).all()


def test_its_own_grid_leaves_it_alone():
    walker, contract = walker_of(GRID)
    assert with_wider_view(walker, contract, GRID) == (walker, contract)


def test_a_grid_that_lacks_cells_or_no_grid_is_refused():
    walker, contract = walker_of(GRID)
    with pytest.raises(VmError, match="lacks some"):
        with_wider_view(walker, contract, SMALL)
    with pytest.raises(VmError, match="lacks some"):
        with_wider_view(*walker_of(SMALL), replace(GRID, resolution=0.07))
    blind = replace(contract, observation=contract.observation[:-1], height_grid=None)
    with pytest.raises(VmError, match="expected the height grid alone"):
        with_wider_view(walker, blind, GRID)


def test_earlier_walkers_of_less_ground_begin_and_join_those_of_more(tmp_path: Path):
    files = []
    for seed, grid in enumerate((SMALL, GRID)):
        walker, contract = walker_of(grid, seed)
        assert contract.golden is not None
        files.append(tmp_path / f"w{seed}.onnx")
        export_policy(walker, replace(contract, golden=None), np.array(contract.golden.observation), files[-1])
    student = Student(OTHERS + GRID.num_cells, 23, (16, 8))
    take_earlier(student, np.asarray(DEFAULT_JOINT_POS), files[0])
    expected, _ = with_wider_view(*walker_of(SMALL, 0), GRID)
    seen = torch.randn(3, OTHERS + GRID.num_cells)
    torch.testing.assert_close(student(seen), expected(seen))
    gated, contract = read_walkers([Place(files[0], ("flat",)), Place(files[1], ("kerb",))])
    assert contract.height_grid == GRID and gated.least.shape == (2, contract.observation_size)
