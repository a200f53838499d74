"""A walker of two paces: one network for slow steps and all grounds, one for quick steps on open ground."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from vm_core.errors import VmError
from vm_core.policy_contract import ObservationTerm, PolicyContract
from vm_training.exported_students import read_gated, read_student
from vm_training.gated_student import GatedStudent
from vm_training.student import NormalizedNetwork, Student
from vm_training.tasks.gate_places import widest
from vm_training.tasks.mixing import check_same_task

PACE_TERM = ObservationTerm("gait_pace", 1)


class PacedStudent(NormalizedNetwork):
    """From (N, inputs) observations, of which the last number says the pace, to (N, outputs) raw actions.

    Attributes:
        slow: whose hand counts at rest and for slow steps.
        quick: the same while quick steps are under way.
    """

    def __init__(self, slow: GatedStudent | Student, quick: Student) -> None:
        super().__init__(quick.mean.numel() + 1)
        self.slow, self.quick = slow, quick

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        seen, pace = observation[:, :-1], observation[:, -1:]
        return pace * self.quick(seen) + (1.0 - pace) * self.slow(seen)


def join_paces(slow: Path, quick: Path) -> tuple[PacedStudent, PolicyContract]:
    """The network and its contract, without what training says of either.

    Args:
        slow: file of a walker, or of several behind a gate.
        quick: file of a walker of quick steps.

    Raises:
        VmError: the walkers differ in more than their pace and what they learnt.
    """
    (steady, contract), (nimble, its) = read_gated(slow), read_student(quick)
    slow_s, quick_s = contract.gait_step_s, its.gait_step_s
    if slow_s is None or quick_s is None or quick_s >= slow_s:
        raise VmError(f"{quick.name}: steps of {quick_s} s; expected quicker ones than {slow_s} s")
    check_same_task(quick.name, replace(its, gait_step_s=slow_s), contract)
    both = widest([its, contract])
    joined = replace(both, observation=(*both.observation, PACE_TERM), gait_quick_step_s=quick_s, golden=None)
    return PacedStudent(steady, nimble), joined
