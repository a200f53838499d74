"""A given motion on one of the set's bodies: legs as long as the motion's, soles on the scene, limbs by geometry."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vm_core.frames import matrix_from_quat
from vm_reconstruction.datasets.synthetic.scenes import TrueScene
from vm_reconstruction.demo.person import SIDES, PersonMotion, as_human_motion, limb_frame, place_trunk, shortest_arc
from vm_reconstruction.demo.person import turned as turn
from vm_reconstruction.demo.walking_motion import LEG_REACH, Skeleton, carry_pelvis, knees
from vm_reconstruction.human_motion import HumanMotion, joint_index
from vm_reconstruction.stages.contacts import foot_contacts, seat_contact

TOUCHES_M = 0.10  # a still foot so near to a surface stands on it, however its skeleton's soles were guessed
RESTS_M = 0.01  # sole of the posed body over what it rests on
FLAT_RAD = 0.35  # steeper feet tell nothing of how the source's soles lie
TOES_BEND_M = 0.06  # the ball so far over the surface: toes go with the foot
UP = np.array([0.0, 0.0, 1.0])


def leg_length(motion: HumanMotion) -> float:
    """Hip to knee to ankle [m], median over frames, mean of both sides."""
    legs = [
        np.linalg.norm(motion.joint(f"{side}_{a}") - motion.joint(f"{side}_{b}"), axis=1)
        for side in SIDES for a, b in (("hip", "knee"), ("knee", "ankle"))
    ]  # fmt: skip
    return float(np.sum([np.median(leg) for leg in legs]) / 2)


def drive(motion: HumanMotion, body: Skeleton, scene: TrueScene) -> PersonMotion:
    """The motion as this body does it; contact (T, 3): left foot, right foot, seat.

    Trunk, arms and head turn as given, ankles go where they went but for the height that puts resting soles on the
    scene, the pelvis comes down where a resting leg would be too short.
    """
    rotations = _trunk(motion, body)
    joints, contact = _feet(motion, body, scene, rotations)
    target = 0.5 * (motion.joint("left_hip") + motion.joint("right_hip"))
    lifted = [joints[f"{side}_ankle"][:, 2] - motion.joint(f"{side}_ankle")[:, 2] for side in SIDES]
    target = target + [0.0, 0.0, float(np.median(lifted))]
    reach = LEG_REACH * (body.length("left_knee", "left_hip") + body.length("left_ankle", "left_knee"))
    hips = [turn(rotations["pelvis"], body.offset(f"{side}_hip", "pelvis")) for side in SIDES]
    ankles = [
        _within(target + hip, joints[f"{side}_ankle"], reach, stands)
        for hip, side, stands in zip(hips, SIDES, contact.T, strict=True)
    ]
    joints |= place_trunk(carry_pelvis(target, hips, ankles, reach, motion.fps), rotations, body)
    for side in SIDES:
        _leg(side, motion, body, reach, joints, rotations)
        _arm(side, motion, body, joints, rotations)
    return PersonMotion(motion.fps, joints, rotations, _contacts(joints, scene, motion.fps))


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def _trunk(motion: HumanMotion, body: Skeleton) -> dict[str, np.ndarray]:
    """Rotations (T, 3, 3) of pelvis, spine, chest, neck, head from the body's rest pose."""
    still = PersonMotion(1.0, {name: at[None] for name, at in body.joints.items()}, {}, np.zeros((1, 3)))
    rest = matrix_from_quat(as_human_motion(still, 1.75).joint_quat_wxyz_world[0])
    posed = matrix_from_quat(motion.joint_quat_wxyz_world)
    rotations = {n: posed[:, joint_index(n)] @ rest[joint_index(n)].T for n in ("pelvis", "spine", "chest")}
    chest = posed[:, joint_index("chest")]
    face = np.einsum("tji,tj->ti", chest, _unit(motion.joint("head") - motion.joint("neck")))
    usual = np.median(face, axis=0)  # skeletons put the head's joint anywhere between its base and its top
    nod = chest @ shortest_arc(usual, face) @ rest[joint_index("chest")].T
    return rotations | {"neck": nod, "head": nod}


def _soles(side: str, body: Skeleton) -> dict[str, np.ndarray]:
    """Heel, ball and toe on the sole, seen from the ankle, in the rest pose (3,) [m]."""
    return {part: body.joints[f"{side}_{part}"] * [1, 1, 0] - body.joints[f"{side}_ankle"] for part in _SOLE}


_SOLE = ("heel", "ball", "toe")


def _foot_rotation(forward: np.ndarray, left: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(T, 3, 3) for feet that point along `forward`; level sideways, but for feet that point up or down."""
    flat = np.linalg.norm(forward[:, :2], axis=1, keepdims=True)
    return (
        limb_frame(forward, flat * np.cross(UP, forward) + (1.0 - flat) * left) @ limb_frame(rest, np.cross(UP, rest)).T
    )


def _feet(
    motion: HumanMotion, body: Skeleton, scene: TrueScene, rotations: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Ankles (T, 3) whose soles keep above the scene and rest where they rested, which frames do (T, 2); adds feet."""
    still = np.column_stack(foot_contacts(motion.joint_pos_world, motion.fps)) > 0.5
    tracks = {}
    for k, side in enumerate(SIDES):
        forward = _unit(motion.joint(f"{side}_toe") - motion.joint(f"{side}_heel"))
        pitch = np.arcsin(np.clip(forward[:, 2], -1.0, 1.0))
        flat = still[:, k] & (np.abs(pitch) < FLAT_RAD)
        left = matrix_from_quat(motion.joint_quat_wxyz_world[:, joint_index(f"{side}_ankle")])[:, :, 1]
        forward = _pitched(forward, -float(np.median(pitch[flat])) if flat.any() else 0.0)
        soles = _soles(side, body)
        rotation = _foot_rotation(forward, left, (soles["toe"] - soles["heel"]))
        points = {part: motion.joint(f"{side}_ankle") + turn(rotation, soles[part]) for part in _SOLE}
        points["toe"][:, 2] = np.maximum(points["toe"][:, 2], points["ball"][:, 2])  # toes bend, see _toes
        gap = np.min([p[:, 2] - scene.height_at(p[:, :2]) for p in points.values()], axis=0)
        tracks[side] = (forward, left, rotation, gap)
    gaps = np.column_stack([tracks[side][3] for side in SIDES])
    usual = float(np.median(gaps[still])) if still.any() else 0.0
    stands = still & (np.abs(gaps - usual) < TOUCHES_M)
    joints: dict[str, np.ndarray] = {}
    for k, side in enumerate(SIDES):
        lift = _lift(gaps[:, k], stands[:, k], usual)
        joints[f"{side}_ankle"] = motion.joint(f"{side}_ankle") + lift[:, None] * UP
        rotations[f"{side}_foot"] = tracks[side][2]
        rotations[f"{side}_toes"] = _toes(side, body, scene, joints[f"{side}_ankle"], *tracks[side][:3])
    return joints, stands


def _pitched(forward: np.ndarray, angle: float) -> np.ndarray:
    """Unit vectors (T, 3) raised by an angle [rad]; what points up or down stays nearly as it is."""
    level = np.linalg.norm(forward[:, :2], axis=1, keepdims=True)
    return _unit(forward + np.tan(angle) * level * UP)


def _lift(gap: np.ndarray, stands: np.ndarray, usual: float) -> np.ndarray:
    """(T,) [m] by which a foot is raised: exactly onto the surface where it stands, between as before and after."""
    if not stands.any():
        return np.maximum(-gap, -usual)
    frames = np.arange(len(gap))
    return np.maximum(np.interp(frames, frames[stands], -gap[stands]), -gap)


def _toes(
    side: str, body: Skeleton, scene: TrueScene, ankle: np.ndarray, forward: np.ndarray, left: np.ndarray,
    foot: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """(T, 3, 3): flat while the heel rises from the ball."""
    soles = _soles(side, body)
    ball = ankle + turn(foot, soles["ball"])
    loose = np.clip((ball[:, 2] - scene.height_at(ball[:, :2])) / TOES_BEND_M, 0.0, 1.0)
    bent = forward * np.column_stack([np.ones((len(ball), 2)), np.where(forward[:, 2] < 0, loose, 1.0)])
    return _foot_rotation(_unit(bent), left, soles["toe"] - soles["heel"])


def _within(hip: np.ndarray, ankle: np.ndarray, reach: float, stands: np.ndarray) -> np.ndarray:
    """Ankles (T, 3) drawn to the hip's reach where the foot does not stand: a kick must not pull the pelvis down."""
    line = ankle - hip
    share = np.minimum(1.0, reach / np.maximum(np.linalg.norm(line, axis=1), 1e-9))
    return np.where(stands[:, None] > 0, ankle, hip + share[:, None] * line)


def _leg(side: str, motion: HumanMotion, body: Skeleton, reach: float, joints: dict, rotations: dict) -> None:
    """Knee, thigh and shin in the plane of the given leg; a straight one bends where the pelvis looks."""
    hip, ankle = joints[f"{side}_hip"], _within(joints[f"{side}_hip"], joints[f"{side}_ankle"], reach, np.zeros(1))
    given = [motion.joint(f"{side}_{part}") for part in ("hip", "knee", "ankle")]
    line = _unit(given[2] - given[0])
    bent = (given[1] - given[0]) - np.sum((given[1] - given[0]) * line, axis=1, keepdims=True) * line
    forward = gaussian_filter1d(bent + 0.02 * rotations["pelvis"][:, :, 0], 0.03 * motion.fps, axis=0)
    thigh, shin = body.length(f"{side}_knee", f"{side}_hip"), body.length(f"{side}_ankle", f"{side}_knee")
    joints[f"{side}_knee"] = knees(hip, ankle, thigh, shin, forward)
    left = np.cross(hip - ankle, forward)
    for segment, top, bottom in (("thigh", "hip", "knee"), ("shin", "knee", "ankle")):
        rest = limb_frame(body.offset(f"{side}_{bottom}", f"{side}_{top}"), np.array([0.0, 1.0, 0.0]))
        below = ankle if bottom == "ankle" else joints[f"{side}_knee"]
        rotations[f"{side}_{segment}"] = limb_frame(below - joints[f"{side}_{top}"], left) @ rest.T
    joints[f"{side}_ankle"] = ankle
    for part, offset in _soles(side, body).items():
        joints[f"{side}_{part}"] = ankle + turn(rotations[f"{side}_foot"], offset)
    ball, toe = (body.joints[f"{side}_{part}"] for part in ("ball", "toe"))
    joints[f"{side}_toe"] = joints[f"{side}_ball"] + turn(rotations[f"{side}_toes"], (toe - ball) * [1, 1, 0])
    joints[f"{side}_ball"] = joints[f"{side}_ball"] + turn(rotations[f"{side}_foot"], ball * [0, 0, 1])


def _arm(side: str, motion: HumanMotion, body: Skeleton, joints: dict, rotations: dict) -> None:
    """Elbow and wrist along the given directions, each segment turned by the shortest way from the one above."""
    above = rotations["chest"]
    for segment, top, bottom in (("upper_arm", "shoulder", "elbow"), ("forearm", "elbow", "wrist")):
        along = _unit(motion.joint(f"{side}_{bottom}") - motion.joint(f"{side}_{top}"))
        rest = body.offset(f"{side}_{bottom}", f"{side}_{top}")
        above = above @ shortest_arc(rest, np.einsum("tji,tj->ti", above, along))
        rotations[f"{side}_{segment}"] = above
        joints[f"{side}_{bottom}"] = joints[f"{side}_{top}"] + along * np.linalg.norm(rest)
    rotations[f"{side}_hand"] = above


def _contacts(joints: dict[str, np.ndarray], scene: TrueScene, fps: float) -> np.ndarray:
    """(T, 3) 0/1 of the body as posed: still, and at a surface; the seat as every other motion's."""
    human = as_human_motion(PersonMotion(fps, joints, {}, np.zeros((len(joints["pelvis"]), 3))), 1.75)
    feet = []
    for side, still in zip(SIDES, foot_contacts(human.joint_pos_world, fps), strict=True):
        soles = [joints[f"{side}_{part}"] for part in ("heel", "toe")]
        gap = np.min([sole[:, 2] - scene.height_at(sole[:, :2]) for sole in soles], axis=0)
        feet.append(still * (gap < RESTS_M))
    return np.column_stack([*feet, seat_contact(human.joint_pos_world, fps)])
