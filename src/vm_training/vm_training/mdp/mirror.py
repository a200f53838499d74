"""Left for right: the robot's mirror image in its own middle plane, of joints, errors, gains and what policies see.

A mirror image is `values[..., order] * sign`; tables hold both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vm_core import g1
from vm_core.height_grid import HeightGridSpec
from vm_core.policy_contract import ObservationTerm
from vm_training.mdp.clip_tracking import NUM_ERRORS, NUM_JOINTS

Table = tuple[np.ndarray, np.ndarray]
_POLAR, _AXIAL = (1.0, -1.0, 1.0), (-1.0, 1.0, -1.0)
_SIGNS = {
    "base_ang_vel": _AXIAL,
    "projected_gravity": _POLAR,
    "velocity_commands": (1.0, -1.0, -1.0),
    "gait_phase": (-1.0, -1.0),  # half a cycle away, where the other foot swings
    "ref_root_pos_error": _POLAR,
    "ref_root_lin_vel_error": _POLAR,
    "ref_root_ori_error": _AXIAL,
    "ref_phase": (1.0,),
}
_TURNED = ("_roll_", "_yaw_")


def joint_table(names: Sequence[str] = g1.POLICY_JOINT_NAMES) -> Table:
    """Of one number a joint."""
    other = {name: name.replace("left_", "?").replace("right_", "left_").replace("?", "right_") for name in names}
    order = np.array([list(names).index(other[name]) for name in names])
    return order, np.array([-1.0 if any(axis in name for axis in _TURNED) else 1.0 for name in names])


def term_table(terms: Sequence[ObservationTerm], grid: HeightGridSpec | None) -> Table:
    """Of an observation in the layout term by term, oldest frame first; a term that is not known is one of joints."""
    return _joined([_of_term(term, grid) for term in terms for _ in range(term.history_length)])


def _of_term(term: ObservationTerm, grid: HeightGridSpec | None) -> Table:
    if term.name in _SIGNS:
        return _vector(_SIGNS[term.name])
    if term.name == "height_grid":
        assert grid is not None
        cells = np.arange(grid.num_cells).reshape(grid.size_x, grid.size_y)[:, ::-1]
        return cells.ravel(), np.ones(grid.num_cells)
    assert term.size == NUM_JOINTS, term.name
    return joint_table()


def _joined(parts: list[Table]) -> Table:
    """Of vectors put one after another."""
    starts = np.cumsum([0, *(len(order) for order, _ in parts)])
    order = np.concatenate([start + order for start, (order, _) in zip(starts, parts, strict=False)])
    return order, np.concatenate([sign for _, sign in parts])


def _vector(sign: Sequence[float]) -> Table:
    return np.arange(len(sign)), np.array(sign)


JOINT_ORDER, JOINT_SIGN = joint_table()
"""Of joints (…, J)."""
ERROR_ORDER, ERROR_SIGN = _joined([_vector(_POLAR), _vector(_AXIAL), joint_table()] * 2)
"""Of error states (…, NUM_ERRORS) of `ClipTracking`."""
assert len(ERROR_ORDER) == NUM_ERRORS and len(JOINT_ORDER) == NUM_JOINTS


FELT_SIGN = np.array([1.0, -1.0])
"""Of forces that a teacher knows of: ahead, to the left."""


def mirrored_gains(gains: np.ndarray) -> np.ndarray:
    """Gains (F, J, NUM_ERRORS + q + 1), q of known forces, for the mirror image of what they were found for."""
    felt = FELT_SIGN[: gains.shape[2] - NUM_ERRORS - 1]
    order = np.concatenate([ERROR_ORDER, np.arange(NUM_ERRORS, gains.shape[2])])
    sign = np.concatenate([ERROR_SIGN, felt, [1.0]])
    return (gains[:, JOINT_ORDER] * JOINT_SIGN[:, None])[:, :, order] * sign
