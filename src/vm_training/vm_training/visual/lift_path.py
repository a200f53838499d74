"""The path along which robots are led that lift a box (`vm_core.lifting`): planned, and as it comes with us."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.lifting import LiftPath
from vm_training.visual.lift_plans import DT_S, KEYFRAMES_S, LiftPlan
from vm_training.visual.planned_motion import PlannedMotion

LIFT_PATH_FILE = Path(__file__).with_name("lift_path.json")
GRASPS_M, PATH_PERIOD_S = (0.35, 0.41, 0.47), 0.1
BOX_AHEAD_M, REACH_M = 0.03, (0.52, 0.06)
"""Where a box's middle is from the palms that lift it; from the pelvis, so that these can close on it: ahead, aside."""


def planned_lift_path() -> LiftPath:
    """What a robot is led along that lifts a box, for palms that close at any of the places that plans have."""
    plans = [LiftPlan(grasp_m=(ahead, 0.40), half_width_m=0.18, open_m=0.19) for ahead in GRASPS_M]
    every = round(PATH_PERIOD_S / DT_S)
    places = [_seen_from_soles(plan.motion("lift path")[0])[::every] for plan in plans]
    return LiftPath(GRASPS_M, _rounded(np.stack(places)), PATH_PERIOD_S, float(KEYFRAMES_S[1]), BOX_AHEAD_M, REACH_M)


def write_lift_path(file: Path) -> None:
    """Plans the path (half a minute) and writes it."""
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(asdict(planned_lift_path())) + "\n")


@cache
def lift_path() -> LiftPath:
    """The path that comes with this package; `vm-train lift_path` plans it anew."""
    return LiftPath.from_raw(json.loads(LIFT_PATH_FILE.read_text()))


def _seen_from_soles(motion: PlannedMotion) -> np.ndarray:
    """(F, 3, 3) root, head and left palm [m]; the soles' middle is the origin, as plans have it."""
    return np.concatenate([motion.clip.root_pos_world[:, None], motion.keypoints()[:, :2]], axis=1)


def _rounded(places: np.ndarray) -> tuple[float, ...]:
    return tuple(np.round(places.ravel(), 4).tolist())
