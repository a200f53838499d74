"""Walkers that are to become one: which kinds of motion are whose, and the contract that holds for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_contract import PolicyContract
from vm_training.exported_students import grid_place, read_student
from vm_training.gated_student import EdgeRule, GatedStudent
from vm_training.mdp.walk_observations import GRID
from vm_training.motions.courses import HIGH_STAIRS, LOW_EDGES
from vm_training.tasks.mixing import check_same_task
from vm_training.wider_view import with_wider_view

GATE_TERMS = ("velocity_commands", "height_grid")


@dataclass(frozen=True)
class Place:
    """A walker and the kinds of motion that are its own.

    Attributes:
        policy: file of the walker.
        kinds: of motion.
    """

    policy: Path
    kinds: tuple[str, ...]


def read_walkers(places: Sequence[Place], grid: HeightGridSpec = GRID) -> tuple[GatedStudent, PolicyContract]:
    """The walkers behind a gate that does not know yet, and the last one's contract, for the grid of the lessons.

    Raises:
        VmError: fewer than two, or walkers that differ in more than what they learnt and what they are shown.
    """
    if len(places) < 2:
        raise VmError(f"{len(places)} walkers; expected at least two")
    apart = [read_student(place.policy) for place in places]
    read = [with_wider_view(walker, contract, grid) for walker, contract in apart]
    contract = read[-1][1]
    for place, (_, its) in zip(places, read, strict=True):
        check_same_task(place.policy.name, its, contract)
    least = torch.stack([torch.from_numpy(least_shown(its)) for _, its in read])
    looks_at = np.concatenate(
        [np.full(t.size * t.history_length, t.name in GATE_TERMS, dtype=np.float32) for t in contract.observation]
    )
    gated = GatedStudent(
        [student for student, _ in read], least, torch.from_numpy(looks_at), _edge_rule(places, contract)
    )
    return gated, widest([its for _, its in read])


def by_rule(places: Sequence[Place]) -> int:
    """How many of the last places are those of edges, which the gate has nothing to do with.

    Raises:
        VmError: high stairs are not the last one's alone.
    """
    high = [any(kind in HIGH_STAIRS for kind in place.kinds) for place in places]
    if any(high[:-1]):
        raise VmError(f"the walker of {', '.join(HIGH_STAIRS)} must be the last, and has no other kinds")
    return 0 if not high[-1] else 1 + (len(places) > 2 and set(places[-2].kinds) <= set(LOW_EDGES))


def _edge_rule(places: Sequence[Place], contract: PolicyContract) -> EdgeRule | None:
    count = by_rule(places)
    return EdgeRule(grid_place(contract), count) if count else None


def widest(contracts: Sequence[PolicyContract]) -> PolicyContract:
    """A contract under which each walker can be shown and asked for what its own allows; skills are everybody's."""
    last = contracts[-1]
    terms = []
    for same in zip(*(contract.observation for contract in contracts), strict=True):
        clips = [term.clip for term in same if term.clip is not None]
        clip = (min(low for low, _ in clips), max(high for _, high in clips)) if len(clips) == len(same) else None
        terms.append(replace(same[-1], clip=clip))
    limits = [
        (min(low for low, _ in axis), max(high for _, high in axis))
        for axis in zip(*(contract.command_limits for contract in contracts), strict=True)
    ]
    skills = sorted({skill for contract in contracts for skill in contract.training.get("skills", ())})
    return replace(last, observation=tuple(terms), command_limits=tuple(limits), training={"skills": skills})


def least_shown(contract: PolicyContract) -> np.ndarray:
    """(inputs,) the smallest value that a walker was shown of each input."""
    parts = []
    for term in contract.observation:
        lowest = term.clip[0] * term.scale[0] if term.clip is not None else -np.inf
        parts.append(np.full(term.size * term.history_length, lowest))
    return np.concatenate(parts).astype(np.float32)
