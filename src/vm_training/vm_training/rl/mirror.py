"""Left and right exchanged: of joints, actions and every observation term.

Half of the robots live in a mirrored world: what they see is mirrored before the network, what the network wants is
mirrored before the motors. The network so learns one gait for both sides, and the learner has no more to do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vm_core import g1
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_contract import ObservationTerm

_SIGNS = {
    "base_ang_vel": (-1, 1, -1),
    "projected_gravity": (1, -1, 1),
    "velocity_commands": (1, -1, -1),
    "gait_phase": (-1, -1),
    "ref_root_pos_error": (1, -1, 1),
    "ref_root_lin_vel_error": (1, -1, 1),
    "ref_root_ori_error": (-1, 1, -1),
    "ref_phase": (1,),
}
_TURNED = ("_roll_", "_yaw_")


class Mirror:
    """A permutation with signs."""

    def __init__(self, index: Sequence[int], sign: Sequence[float], device: torch.device | str = "cpu") -> None:
        self.index = torch.tensor(list(index), dtype=torch.int64, device=device)
        self.sign = torch.tensor(list(sign), dtype=torch.float32, device=device)

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Mirrored (..., n)."""
        return values[..., self.index] * self.sign

    def where(self, mask: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """(N, n), mirrored where mask (N,) says so."""
        rows = mask.nonzero()[:, 0]
        found = values.clone()
        found[rows] = values[rows].index_select(1, self.index) * self.sign
        return found


def joint_mirror(names: Sequence[str] = g1.POLICY_JOINT_NAMES) -> Mirror:
    """Of one number a joint."""
    names = list(names)
    index = [names.index(_other_side(name)) for name in names]
    return Mirror(index, [-1.0 if any(axis in name for axis in _TURNED) else 1.0 for name in names])


def term_mirror(terms: Sequence[ObservationTerm], grid: HeightGridSpec | None) -> Mirror:
    """Of an observation in the layout term by term, oldest frame first."""
    joints = joint_mirror()
    index: list[int] = []
    sign: list[float] = []
    for term in terms:
        if term.name in _SIGNS:
            own_index, own_sign = list(range(term.size)), list(_SIGNS[term.name])
        elif term.name == "height_grid":
            assert grid is not None
            cells = torch.arange(grid.num_cells).reshape(grid.size_x, grid.size_y).flip(1).reshape(-1)
            own_index, own_sign = cells.tolist(), [1.0] * grid.num_cells
        else:
            assert term.size == len(g1.POLICY_JOINT_NAMES), term.name
            own_index, own_sign = joints.index.tolist(), joints.sign.tolist()
        for _ in range(term.history_length):
            start = len(index)
            index += [start + i for i in own_index]
            sign += own_sign
    return Mirror(index, sign)


def _other_side(name: str) -> str:
    if name.startswith("left_"):
        return "right_" + name.removeprefix("left_")
    return "left_" + name.removeprefix("right_") if name.startswith("right_") else name
