"""A person from positions of named joints, whichever names the source has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_reconstruction.body_model import FOOT, HIP, check_height, segment_quats
from vm_reconstruction.datasets.climb_mocap import ANKLE_HEIGHT_M, sole_points
from vm_reconstruction.human_motion import JOINT_NAMES, HumanMotion
from vm_reconstruction.stages.contacts import foot_contacts, seat_contact

# Our joint (and the toe base, from which sole points come): other names of it, compared without case and punctuation.
_CENTRAL = {
    "pelvis": ("hips", "hip", "root"),
    "spine": ("spine1", "lowerback", "abdomen", "spine0"),
    "chest": ("spine2", "spine3", "thorax", "upperback"),
    "neck": ("neck1",),
    "head": ("head1",),
}
_SIDED = {
    "hip": ("upleg", "thigh", "upperleg"),
    "knee": ("leg", "shin", "lowerleg", "calf"),
    "ankle": ("foot",),
    "toe_base": ("toebase", "toe", "toes", "bigtoe"),
    "shoulder": ("arm", "upperarm"),
    "elbow": ("forearm", "lowerarm"),
    "wrist": ("hand",),
}
REQUIRED = ("pelvis", "neck", "head", *(f"{s}_{p}" for s in ("left", "right") for p in _SIDED))
_REST_ANKLE_M = ANKLE_HEIGHT_M / 1.75  # of stature


def _plain(name: str) -> str:
    return "".join(c for c in name.lower().rpartition(":")[2] if c.isalnum())


def find_joints(names: list[str]) -> dict[str, int]:
    """Where each of our joints is among names; ours first, then other names of it.

    Raises:
        VmError: a joint that a person needs has no name here.
    """
    given = {_plain(name): index for index, name in reversed(list(enumerate(names)))}
    wanted = {ours: (ours, *others) for ours, others in _CENTRAL.items()}
    for side in ("left", "right"):
        for part, others in _SIDED.items():
            wanted[f"{side}_{part}"] = (f"{side}_{part}", *(side + o for o in others), *(side[0] + o for o in others))
    found = {}
    for ours, candidates in wanted.items():
        index = next((given[_plain(c)] for c in candidates if _plain(c) in given), None)
        if index is not None:
            found[ours] = index
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        raise VmError(f"no joint for {', '.join(missing)} among: {', '.join(names[:40])}")
    return found


def motion_of_points(
    positions: np.ndarray, names: list[str], fps: float, height_m: float | None = None, source: str = ""
) -> HumanMotion:
    """A HumanMotion.

    Args:
        positions: (T, N, 3) [m], z up.
        names: of the N joints.
        fps: frames a second.
        height_m: the person's; by default from the length of the legs.
        source: for the record.
    """
    if positions.ndim != 3 or positions.shape[1:] != (len(names), 3) or not len(positions):
        raise VmError(f"joint positions have shape {positions.shape}; expected (T, {len(names)}, 3)")
    if not np.isfinite(positions).all():
        bad = np.flatnonzero(~np.isfinite(positions).all(axis=(1, 2)))
        raise VmError(f"joint positions are not finite in {len(bad)} of {len(positions)} frames, first {bad[0]}")
    at = {ours: positions[:, index].astype(np.float64) for ours, index in find_joints(names).items()}
    at.setdefault("spine", at["pelvis"] + (at["neck"] - at["pelvis"]) / 3)
    at.setdefault("chest", at["pelvis"] + 2 * (at["neck"] - at["pelvis"]) / 3)
    height = height_m or _stature(at)
    check_height(height)
    for side in ("left", "right"):
        knee, ankle, toe = (at[f"{side}_{part}"] for part in ("knee", "ankle", "toe_base"))
        at[f"{side}_heel"], at[f"{side}_toe"] = sole_points(knee, ankle, toe, FOOT * height)
    joints = np.stack([at[name] for name in JOINT_NAMES], axis=1)
    contact = np.column_stack([*foot_contacts(joints, fps), seat_contact(joints, fps)])
    quats = segment_quats(joints)
    return HumanMotion(fps, height, joints, quats, contact, np.ones(len(joints)), details={"source": source})


def on_ground(motion: HumanMotion) -> HumanMotion:
    """The motion shifted up or down so that the lowest standing sole is at z = 0."""
    soles = np.concatenate(
        [
            np.minimum(motion.joint(f"{side}_heel")[:, 2], motion.joint(f"{side}_toe")[:, 2])[
                motion.contact[:, column] > 0.5
            ]
            for column, side in enumerate(("left", "right"))
        ]
    )
    if not len(soles):
        raise VmError("no foot ever stands in this motion; expected a person on the ground, in metres, z up")
    low = float(np.percentile(soles, 5))
    return replace(motion, joint_pos_world=motion.joint_pos_world - [0.0, 0.0, low])


def _stature(at: dict[str, np.ndarray]) -> float:
    lengths = [
        np.linalg.norm(at[f"{side}_{a}"] - at[f"{side}_{b}"], axis=-1)
        for side in ("left", "right")
        for a, b in (("hip", "knee"), ("knee", "ankle"))
    ]
    return float(np.median(np.sum(lengths, axis=0)) / 2 / (HIP - _REST_ANKLE_M))


def flat_scene(source: str) -> SceneAsset:
    """Nothing but level ground."""
    return SceneAsset(source=f"level ground under {source}")
