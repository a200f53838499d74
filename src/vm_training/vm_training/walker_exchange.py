"""Another walker in a policy file of several: in the place of one of them, or for kerbs and low stairs beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_contract import PolicyContract
from vm_training.exported_students import grid_place, read_gated, read_quick, read_student
from vm_training.gated_student import GatedStudent
from vm_training.motions.courses import LOW_EDGES
from vm_training.paced_contract import paced_contract, rows_ahead
from vm_training.paced_student import PacedStudent
from vm_training.student import NormalizedNetwork, Student
from vm_training.tasks.gate_places import least_shown, widest
from vm_training.tasks.mixing import check_same_task
from vm_training.wider_view import gated_with_wider_view, with_wider_view

QUICK = "quick"
"""The place of the walker of quick steps; those behind the gate have the names that `split_walkers` gives them."""


@dataclass
class _Meeting:
    """Who is there and who comes, all with one view of the ground, and each one's contract.

    Attributes:
        gated, slow: the walkers of slow steps.
        quick: that of quick steps, if there is one.
        comes, its: the other one.
    """

    gated: GatedStudent
    slow: PolicyContract
    quick: tuple[Student, PolicyContract] | None
    comes: Student
    its: PolicyContract

    @staticmethod
    def of(policy: Path, walker: Path) -> _Meeting:
        (gated, slow), quick, (comes, its) = read_gated(policy), read_quick(policy), read_student(walker)
        grid = _wider(slow.height_grid, its.height_grid)
        quick = None if quick is None else with_wider_view(*quick, grid)
        return _Meeting(*gated_with_wider_view(gated, slow, grid), quick, *with_wider_view(comes, its, grid))

    @property
    def names(self) -> list[str]:
        """Of the walkers behind the gate."""
        return list(self.slow.training["gated"])

    def together(self) -> tuple[NormalizedNetwork, PolicyContract]:
        """The network of all, and its contract without a golden pair."""
        if self.quick is None:
            return self.gated, self.slow
        (nimble, its), grid = self.quick, self.slow.height_grid
        assert its.gait_step_s is not None and grid is not None  # of walkers of two paces
        network = PacedStudent(self.gated, nimble, grid_place(self.slow), rows_ahead(grid))
        return network, paced_contract(self.slow, its.gait_step_s)


def exchanged(policy: Path, place: str, walker: Path) -> tuple[NormalizedNetwork, PolicyContract]:
    """The network with the other walker in it, and its contract without a golden pair.

    Args:
        policy: file of several walkers behind a gate, of one pace or two.
        place: whose place it is.
        walker: file of the one that comes; it may see less of the ground or more, and then all are shown that.

    Raises:
        VmError: no such place, or a walker that differs from who had it in more than what it learnt.
    """
    all_ = _Meeting.of(policy, walker)
    known = all_.names + [QUICK] * (all_.quick is not None)
    if place not in known:
        raise VmError(f"{policy.name}: nobody has the place {place!r}; there are {', '.join(known)}")
    if all_.quick is not None and place == QUICK:
        check_same_task(walker.name, all_.its, all_.quick[1])
        all_.quick = all_.comes, all_.quick[1]
        return all_.together()
    check_same_task(walker.name, all_.its, all_.slow)
    _put(all_.gated, all_.names.index(place), all_.comes, all_.its, walker.name)
    all_.slow = replace(widest([all_.its, all_.slow]), training=all_.slow.training)
    return all_.together()


def with_climber(policy: Path, name: str, walker: Path) -> tuple[NormalizedNetwork, PolicyContract]:
    """The network with a walker of kerbs and low stairs before that of high stairs, and its contract, as `exchanged`.

    Args:
        policy: as for `exchanged`; its last walker is that of high stairs.
        name: of the place.
        walker: as for `exchanged`.

    Raises:
        VmError: no walker of high stairs, one of low ones already, a name that is taken, or a walker of another task.
    """
    all_ = _Meeting.of(policy, walker)
    gated, names = all_.gated, all_.names
    if gated.edges is None or gated.edges.walkers != 1 or name in [*names, QUICK]:
        raise VmError(
            f"{policy.name} has {', '.join(names)}; expected a walker of high stairs, none of low ones yet, and a new "
            f"name instead of {name!r}"
        )
    check_same_task(walker.name, all_.its, all_.slow)
    *others, high = [own for own in gated.walkers if isinstance(own, Student)]
    least = torch.cat([gated.least[:-1], torch.from_numpy(least_shown(all_.its))[None], gated.least[-1:]])
    more = GatedStudent([*others, all_.comes, high], least, gated.looks_at, replace(gated.edges, walkers=2))
    more.gate.load_state_dict(gated.gate.state_dict())
    *before, last = all_.slow.training["gated"].items()
    places = {**dict(before), name: list(LOW_EDGES), last[0]: last[1]}
    all_.slow = replace(widest([all_.its, all_.slow]), training=all_.slow.training | {"gated": places})
    all_.gated = more.eval()
    return all_.together()


def _wider(earlier: HeightGridSpec | None, theirs: HeightGridSpec | None) -> HeightGridSpec:
    """Who comes says how all see the ground, unless it sees less of it."""
    assert earlier is not None  # without which there is no gate
    return earlier if theirs is None or theirs.num_cells < earlier.num_cells else theirs


def _put(gated: GatedStudent, index: int, comes: Student, its: PolicyContract, name: str) -> None:
    if index == 0 and not (torch.equal(comes.mean, gated.mean) and torch.equal(comes.spread, gated.spread)):
        raise VmError(f"{name}: the gate sees by the first walker's scale; expected one that went on from that")
    gated.walkers[index] = comes
    gated.least[index] = torch.from_numpy(least_shown(its))
