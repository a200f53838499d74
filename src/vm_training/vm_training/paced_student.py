"""A walker of two paces: one network for slow steps and all grounds, one for quick steps on open ground."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from vm_core.errors import VmError
from vm_core.policy_contract import PolicyContract
from vm_training.exported_students import grid_place, read_gated, read_student
from vm_training.gated_student import GatedStudent, GridPlace
from vm_training.paced_contract import paced_contract, rows_ahead
from vm_training.student import NormalizedNetwork, Student
from vm_training.tasks.gate_places import widest
from vm_training.tasks.mixing import check_same_task
from vm_training.wider_view import with_wider_view


class PacedStudent(NormalizedNetwork):
    """From (N, inputs) observations to (N, outputs) raw actions.

    The last term is the pace, the one before a height grid of which walkers may see the rear part only.

    Attributes:
        slow: whose hand counts at rest and for slow steps.
        quick: the same while quick steps are under way; it walks on level ground alone, and is shown that.
        sees: how many of the inputs walkers see.
        shown: (sees,) 1 for what the walker of quick steps is shown, 0 for the height grid.
    """

    shown: torch.Tensor

    def __init__(self, slow: GatedStudent | Student, quick: Student, grid: GridPlace, ahead_rows: int) -> None:
        self.sees = quick.mean.numel()
        super().__init__(self.sees + ahead_rows * grid.columns + 1)
        self.slow, self.quick = slow, quick
        shown = torch.ones_like(quick.mean)
        shown[grid.start : grid.start + grid.rows * grid.columns] = 0.0
        self.register_buffer("shown", shown)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        seen, pace = observation[:, : self.sees], observation[:, -1:]
        level = self.quick.mean + self.shown * (seen - self.quick.mean)
        return pace * self.quick(level) + (1.0 - pace) * self.slow(seen)


def join_paces(slow: Path, quick: Path) -> tuple[PacedStudent, PolicyContract]:
    """The network and its contract, without a golden pair.

    Args:
        slow: file of several walkers behind a gate.
        quick: file of a walker of quick steps.

    Raises:
        VmError: the walkers differ in more than their pace and what they learnt.
    """
    (steady, contract), (nimble, its) = read_gated(slow), read_student(quick)
    assert contract.height_grid is not None  # without which there is no gate
    nimble, its = with_wider_view(nimble, its, contract.height_grid)  # of which it is shown nothing
    slow_s, quick_s = contract.gait_step_s, its.gait_step_s
    if slow_s is None or quick_s is None or quick_s >= slow_s:
        raise VmError(f"{quick.name}: steps of {quick_s} s; expected quicker ones than {slow_s} s")
    check_same_task(quick.name, replace(its, gait_step_s=slow_s), contract)
    joined = paced_contract(widest([its, contract]), quick_s)
    return PacedStudent(steady, nimble, grid_place(contract), rows_ahead(contract.height_grid)), joined
