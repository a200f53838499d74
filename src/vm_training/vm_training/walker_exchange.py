"""Another walker in the place of one of those in a policy file; the gate and all others stay as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_contract import PolicyContract
from vm_training.exported_students import grid_place, read_gated, read_quick, read_student
from vm_training.gated_student import GatedStudent
from vm_training.paced_contract import paced_contract, rows_ahead
from vm_training.paced_student import PacedStudent
from vm_training.student import NormalizedNetwork, Student
from vm_training.tasks.gate_places import least_shown, widest
from vm_training.tasks.mixing import check_same_task
from vm_training.wider_view import gated_with_wider_view, with_wider_view

QUICK = "quick"
"""The place of the walker of quick steps; those behind the gate have the names that `split_walkers` gives them."""


def exchanged(policy: Path, place: str, walker: Path) -> tuple[NormalizedNetwork, PolicyContract]:
    """The network with the other walker in it, and its contract without a golden pair.

    Args:
        policy: file of several walkers behind a gate, of one pace or two.
        place: whose place it is.
        walker: file of the one that comes; it may see less of the ground or more, and then all are shown that.

    Raises:
        VmError: no such place, or a walker that differs from who had it in more than what it learnt.
    """
    (gated, slow), quick = read_gated(policy), read_quick(policy)
    names = list(slow.training["gated"])
    known = names + [QUICK] * (quick is not None)
    if place not in known:
        raise VmError(f"{policy.name}: nobody has the place {place!r}; there are {', '.join(known)}")
    comes, its = read_student(walker)
    grid = _wider(slow.height_grid, its.height_grid)
    comes, its = with_wider_view(comes, its, grid)
    gated, slow = gated_with_wider_view(gated, slow, grid)
    quick = None if quick is None else with_wider_view(*quick, grid)
    if quick is not None and place == QUICK:
        check_same_task(walker.name, its, quick[1])
        quick = comes, quick[1]
    else:
        check_same_task(walker.name, its, slow)
        _put(gated, names.index(place), comes, its, walker.name)
        slow = replace(widest([its, slow]), training=slow.training)
    if quick is None:
        return gated, slow
    nimble, step_s = quick[0], quick[1].gait_step_s
    assert step_s is not None  # of a walker of quick steps
    return PacedStudent(gated, nimble, grid_place(slow), rows_ahead(grid)), paced_contract(slow, step_s)


def _wider(earlier: HeightGridSpec | None, theirs: HeightGridSpec | None) -> HeightGridSpec:
    """Who comes says how all see the ground, unless it sees less of it."""
    assert earlier is not None  # without which there is no gate
    return earlier if theirs is None or theirs.num_cells < earlier.num_cells else theirs


def _put(gated: GatedStudent, index: int, comes: Student, its: PolicyContract, name: str) -> None:
    if index == 0 and not (torch.equal(comes.mean, gated.mean) and torch.equal(comes.spread, gated.spread)):
        raise VmError(f"{name}: the gate sees by the first walker's scale; expected one that went on from that")
    gated.walkers[index] = comes
    gated.least[index] = torch.from_numpy(least_shown(its))
