"""Left for right in what trackers and generators see and say."""

from __future__ import annotations

import numpy as np

from vm_core.policy_contract import ObservationTerm
from vm_training.mdp import mirror

_KEYPOINT_ORDER = (0, 1, 3, 2, 5, 4)  # root, head, hands, feet: the sides change places
COMMAND_ORDER = np.array([3 * k + axis for k in _KEYPOINT_ORDER for axis in range(3)])
COMMAND_SIGN = np.tile([1.0, -1.0, 1.0], 6)
"""The mirror image of commands (..., 18) is `command[..., COMMAND_ORDER] * COMMAND_SIGN`."""
_AXIAL = np.array([-1.0, 1.0, -1.0])
_POLAR = np.array([1.0, -1.0, 1.0])
_JOINTS = (mirror.JOINT_ORDER, mirror.JOINT_SIGN)
_COMMAND = (COMMAND_ORDER, COMMAND_SIGN)


def _signs(*values: float) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(len(values)), np.array(values)


_TERMS = {
    "base_ang_vel": (np.arange(3), _AXIAL),
    "projected_gravity": (np.arange(3), _POLAR),
    "joint_pos_rel": _JOINTS,
    "joint_vel_rel": _JOINTS,
    "last_action": _JOINTS,
    "keypoint_command": _COMMAND,
    "last_keypoint_command": _COMMAND,
    "gait_phase": _signs(-1.0, -1.0),
    "task_heading": _signs(1.0, -1.0),
    "run": _signs(1.0),
}


def order_and_sign(
    terms: tuple[ObservationTerm, ...], others: dict[str, tuple[np.ndarray, np.ndarray]] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Such that `seen[..., order] * sign` is the mirror image of observations of these terms.

    Args:
        terms: with history.
        others: order and sign of terms that are not known here.
    """
    known = _TERMS | (others or {})
    orders, signs, start = [], [], 0
    for term in terms:
        order, sign = known[term.name]
        for _ in range(term.history_length):
            orders.append(start + order)
            signs.append(sign)
            start += term.size
    return np.concatenate(orders), np.concatenate(signs).astype(np.float32)
