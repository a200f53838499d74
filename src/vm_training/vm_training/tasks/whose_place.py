"""Whose place each robot is in, by what a walker can know: what it is asked for and what is in view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vm_core.errors import VmError
from vm_core.scene_asset import SEAT, SceneAsset
from vm_training.mdp.lane import Lane
from vm_training.mdp.walk_observations import GRID, WALK_TERMS
from vm_training.motions.planned import LEAVE, NO_SEAT, SEATED
from vm_training.tasks.gate_places import Place, by_rule

AT_SEATS = (*SEATED, NO_SEAT, LEAVE)
IN_VIEW_M = -float(GRID.cell_offsets_xy[:, 0].min()) + 0.02
"""As long as the grid's row farthest behind may hold a seat: walkers that never saw one behind them fall from there."""
FLAT = "flat"
_BACK_M_S = -0.04
_AT = [term.name for term in WALK_TERMS].index("velocity_commands")
_COMMAND = sum(term.size * term.history_length for term in WALK_TERMS[:_AT])


class Ownership:
    """Which walker each kind of motion, and what is in view there, belongs to.

    Args:
        places: the walkers' kinds, in the walkers' order.
        kinds: of the motions there are.

    Raises:
        VmError: a kind that is nobody's, or no walker for flat ground.
    """

    def __init__(self, places: Sequence[Place], kinds: set[str]) -> None:
        self._of = {kind: index for index, place in enumerate(places) for kind in place.kinds}
        homeless = kinds - set(self._of)
        if FLAT not in self._of:
            raise VmError(f"no walker has the kind {FLAT}, to which robots go that leave a seat or stairs")
        if homeless:
            raise VmError(f"motions of {', '.join(sorted(homeless))} belong to no walker")
        # walkers of edges have the first one's share by a rule, so their motions are the first one's
        climbers = places[len(places) - by_rule(places) :]
        self._of |= {kind: self._of[FLAT] for place in climbers for kind in place.kinds}

    def __call__(self, lane: Lane, seen: np.ndarray) -> np.ndarray:
        """(N,) index of the gate's share in whose place each robot is, which sees `seen` (N, inputs)."""
        kind, qpos = lane.motion.kind, lane.env.physics.qpos
        if kind in AT_SEATS:
            backwards = seen[:, _COMMAND] < WALK_TERMS[_AT].scale[0] * _BACK_M_S
            near = seat_in_view(lane.motion.scene, qpos[:, :2])
            return np.where(backwards | near, self._of[kind], self._of[FLAT])
        return np.full(len(seen), self._of[kind])


def seat_in_view(scene: SceneAsset, position: np.ndarray) -> np.ndarray:
    """(N,) bool: whether the grid around a pelvis at (N, 2) [m] may hold a seat."""
    near = np.zeros(len(position), dtype=bool)
    for box in scene.boxes:
        if box.label == SEAT:
            away = np.abs(position - box.center_world[:2]) - box.half_size[:2]
            near |= np.linalg.norm(np.maximum(away, 0.0), axis=1) < IN_VIEW_M
    return near
