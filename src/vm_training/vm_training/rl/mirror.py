"""The tables of `mdp.mirror` on torch tensors.

Half of the robots live in a mirrored world: what they see is mirrored before the network, what the network wants is
mirrored before the motors. The network so learns one gait for both sides, and the learner has no more to do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vm_core import g1
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_contract import ObservationTerm
from vm_training.mdp.mirror import Table, joint_table, term_table


class Mirror:
    """A permutation with signs."""

    def __init__(self, table: Table, device: torch.device | str = "cpu") -> None:
        order, sign = table
        self.index = torch.tensor(order.tolist(), dtype=torch.int64, device=device)
        self.sign = torch.tensor(sign.tolist(), dtype=torch.float32, device=device)

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
    return Mirror(joint_table(names))


def term_mirror(terms: Sequence[ObservationTerm], grid: HeightGridSpec | None) -> Mirror:
    """Of an observation in the layout term by term, oldest frame first."""
    return Mirror(term_table(terms, grid))
