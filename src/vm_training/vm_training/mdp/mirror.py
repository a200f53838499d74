"""Left for right: the robot's mirror image in its own middle plane, of errors, corrections and what a walker sees."""

from __future__ import annotations

import numpy as np

from vm_core import g1
from vm_training.mdp.clip_tracking import NUM_ERRORS, NUM_JOINTS
from vm_training.mdp.walk_observations import GRID, OBSERVATION_SIZE, WALK_TERMS

_NAMES = g1.POLICY_JOINT_NAMES
_OTHER = {name: name.replace("left_", "?").replace("right_", "left_").replace("?", "right_") for name in _NAMES}
JOINT_ORDER = np.array([_NAMES.index(_OTHER[name]) for name in _NAMES])
JOINT_SIGN = np.array([-1.0 if "_roll_" in name or "_yaw_" in name else 1.0 for name in _NAMES])
"""The mirror image of joints (…, J) is `joints[..., JOINT_ORDER] * JOINT_SIGN`."""
_POLAR, _AXIAL = np.array([1.0, -1.0, 1.0]), np.array([-1.0, 1.0, -1.0])


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Order and sign of vectors put one after another."""
    starts = np.cumsum([0, *(len(order) for order, _ in parts)])
    order = np.concatenate([start + order for start, (order, _) in zip(starts, parts, strict=False)])
    return order, np.concatenate([sign for _, sign in parts])


def _vector(sign: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(len(sign)), sign


_JOINTS = (JOINT_ORDER, JOINT_SIGN)
_CELLS = (np.arange(GRID.num_cells).reshape(GRID.size_x, GRID.size_y)[:, ::-1].ravel(), np.ones(GRID.num_cells))
_TERMS = {
    "base_ang_vel": _vector(_AXIAL),
    "projected_gravity": _vector(_POLAR),
    "velocity_commands": _vector(np.array([1.0, -1.0, -1.0])),
    "gait_phase": _vector(np.array([-1.0, -1.0])),
    "joint_pos_rel": _JOINTS,
    "joint_vel_rel": _JOINTS,
    "last_action": _JOINTS,
    "height_grid": _CELLS,
}
ERROR_ORDER, ERROR_SIGN = _joined([_vector(_POLAR), _vector(_AXIAL), _JOINTS] * 2)
"""The same for error states (…, NUM_ERRORS) of `ClipTracking`."""
OBSERVATION_ORDER, OBSERVATION_SIGN = _joined([_TERMS[t.name] for t in WALK_TERMS for _ in range(t.history_length)])
"""The same for a walker's observations: half a cycle of the gait clock away, where the other foot swings."""
assert len(ERROR_ORDER) == NUM_ERRORS and len(OBSERVATION_ORDER) == OBSERVATION_SIZE and len(JOINT_ORDER) == NUM_JOINTS


def mirrored_gains(gains: np.ndarray) -> np.ndarray:
    """Gains (F, J, NUM_ERRORS + 1) for the mirror image of what they were found for."""
    order = np.concatenate([ERROR_ORDER, [NUM_ERRORS]])
    sign = np.concatenate([ERROR_SIGN, [1.0]])
    return (gains[:, JOINT_ORDER] * JOINT_SIGN[:, None])[:, :, order] * sign
