"""The mean of the weights of policies that one began with another: what each forgot, the others still know.

A student that went on learning from where another stood has moved along a valley; between both, errors that are each
one's own cancel (Wortsman et al., Robust fine-tuning of zero-shot models, 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from vm_core.errors import VmError
from vm_core.policy_contract import PolicyContract
from vm_training.exported_students import read_student
from vm_training.student import Student

_SAME = (
    *("joint_names", "default_joint_pos", "action_scale"),
    *("gait_step_s", "gait_fade_steps", "control_period_s", "height_grid"),
)


def mix_policies(policies: Sequence[Path], shares: Sequence[float]) -> tuple[Student, PolicyContract]:
    """The mixed network, and the last policy's contract, which says what it was mixed from.

    Args:
        policies: files of one kind of walker, of the same layers.
        shares: of each; only their ratios count.

    Raises:
        VmError: other numbers of shares than of policies, or policies that differ in more than what they learnt.
    """
    if len(policies) < 2 or len(shares) != len(policies) or min(shares) < 0.0 or sum(shares) <= 0.0:
        raise VmError(
            f"{len(policies)} policies, shares {list(shares)}; expected two or more, and a share from 0 for each"
        )
    read = [read_student(path) for path in policies]
    student, contract = read[-1]
    for path, (other, its) in zip(policies, read, strict=True):
        _check_alike(path, policies[-1], other, student, its, contract)
    total, states = sum(shares), [other.state_dict() for other, _ in read]
    mean = {
        name: torch.stack([share / total * state[name] for share, state in zip(shares, states, strict=True)]).sum(0)
        for name in states[-1]
    }
    mixed = Student(contract.observation_size, len(contract.joint_names), student.hidden)
    mixed.load_state_dict(mean)
    said = {path.stem: round(share / total, 4) for path, share in zip(policies, shares, strict=True)}
    about = {name: value for name, value in contract.training.items() if name != "checks"}  # which are another's
    return mixed.eval(), replace(contract, training=about | {"mixed": said})


def check_same_task(name: str, contract: PolicyContract, last: PolicyContract) -> None:
    """Raises VmError, with a file's name, if a walker differs from the last in more than what it learnt."""
    differs = _differences(contract, last)
    if differs:
        raise VmError(f"{name} and the last walker differ in {', '.join(differs)}")


def _differences(its: PolicyContract, other: PolicyContract) -> list[str]:
    differs = [name for name in _SAME if getattr(its, name) != getattr(other, name)]
    terms = [[(t.name, t.size, t.scale, t.history_length) for t in c.observation] for c in (its, other)]
    return differs + (["observation"] if terms[0] != terms[1] else [])


def _check_alike(
    path: Path, last: Path, student: Student, other: Student, its: PolicyContract, c: PolicyContract
) -> None:
    differs = _differences(its, c)
    if student.hidden != other.hidden:
        differs.append("layers")
    elif not (torch.allclose(student.mean, other.mean) and torch.allclose(student.spread, other.spread)):
        differs.append("normalization")
    if differs:
        raise VmError(
            f"{path.name} and {last.name} differ in {', '.join(differs)}; expected one to have begun as the other"
        )
