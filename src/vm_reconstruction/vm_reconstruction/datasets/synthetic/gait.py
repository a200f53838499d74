"""From footsteps and sittings to a whole person: feet exact, a pelvis the legs can carry, limbs by geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vm_reconstruction.datasets.synthetic.route import LEVEL_DZ_M, Placement, Walker
from vm_reconstruction.demo.person import SIDES, PersonMotion, about, place_trunk, pose_arm, pose_leg, turned
from vm_reconstruction.demo.walking_motion import LEG_REACH, STAND_REACH, Skeleton, carry_pelvis

ROLL_OFF_S, ROLL_DOWN_S = 0.24, 0.12
SEAT_DEPTH_SHARE = 0.09 / 1.75  # of the height: hip centres above the seat


@dataclass(frozen=True)
class FootTrack:
    """One foot over T frames: ground (T, 3) under the ankle [m]; yaw, slope, pitch (T,) [rad]; lift (T,) [m]."""

    ground: np.ndarray
    yaw: np.ndarray
    slope: np.ndarray
    pitch: np.ndarray
    lift: np.ndarray
    contact: np.ndarray


def smooth_step(s: np.ndarray) -> np.ndarray:
    """0 to 1 with level ends and no jerk at them."""
    s = np.clip(s, 0.0, 1.0)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2)


def foot_track(walker: Walker, side: int, time_s: np.ndarray) -> FootTrack:
    """Follows one foot through its swings."""
    frames = len(time_s)
    ground = np.tile(walker.start_feet[side], (frames, 1))
    yaw = np.full(frames, walker.start_yaw)
    slope, pitch, lift, contact = np.zeros(frames), np.zeros(frames), np.zeros(frames), np.ones(frames)
    for step in (p for p in walker.placements if p.side == side):
        rise = step.end[2] - step.start[2]
        on_slope = bool(step.start_slope or step.end_slope)
        kind = 0 if on_slope or abs(rise) < LEVEL_DZ_M else int(np.sign(rise))
        after = time_s >= step.lift_s
        s = (time_s - step.lift_s) / (step.land_s - step.lift_s)
        # On stairs the foot goes up before it goes forward, and forward before it goes down.
        along = smooth_step({0: s, 1: (s - 0.18) / 0.82, -1: s / 0.82}[kind])
        up = smooth_step({0: s, 1: s / 0.5, -1: (s - 0.5) / 0.5}[kind])
        share = np.column_stack([along, along, up])[after]
        ground[after] = step.start + share * (step.end - step.start)
        yaw[after] = step.start_yaw + along[after] * (step.end_yaw - step.start_yaw)
        slope[after] = step.start_slope + along[after] * (step.end_slope - step.start_slope)
        swing = after & (s < 1.0)
        contact[swing] = 0.0
        clearance = 0.09 if kind else 0.035 + 0.02 * on_slope
        lift[swing] = 1.3 * clearance * np.sin(np.pi * s[swing]) ** 2
        _roll(pitch, step, time_s, s, kind)
    return FootTrack(ground, yaw, slope, pitch, lift, contact)


def _roll(pitch: np.ndarray, step: Placement, time_s: np.ndarray, s: np.ndarray, kind: int) -> None:
    """Writes the heel-off before, the pitch during and the roll-down after one swing into `pitch` (T,)."""
    length = float(np.linalg.norm(step.end[:2] - step.start[:2]))
    heel_off = {0: 0.42, 1: 0.34, -1: 0.30}[kind] * min(1.0, length / 0.35)
    toe_up = 0.14 * min(1.0, length / 0.5) if kind == 0 else 0.0
    rolling = (time_s >= step.lift_s - ROLL_OFF_S) & (time_s < step.lift_s)
    pitch[rolling] = heel_off * smooth_step((time_s[rolling] - step.lift_s) / ROLL_OFF_S + 1.0)
    swing = (time_s >= step.lift_s) & (s < 1.0)
    fade = 0.4 if kind else 0.75
    pitch[swing] = heel_off * (1 - smooth_step(s[swing] / fade)) - toe_up * smooth_step((s[swing] - 0.5) / 0.5)
    landed = s >= 1.0
    pitch[landed] = -toe_up * (1 - smooth_step((time_s[landed] - step.land_s) / ROLL_DOWN_S))


def _pose_foot(side: str, foot: FootTrack, body: Skeleton, joints: dict, rotations: dict) -> None:
    """Foot turned about the ball of its sole (about the heel while the toe is up); toes stay flat as the heel rises."""
    ankle = body.joints[f"{side}_ankle"]
    ball_rest = body.joints[f"{side}_ball"] * [1, 0, 0] + ankle * [0, 1, 0]
    arm = float(body.joints[f"{side}_ball"][0] - body.joints[f"{side}_heel"][0])
    flat = about(2, foot.yaw) @ about(1, -foot.slope)
    ball = foot.ground + turned(flat, ball_rest - ankle * [1, 1, 0]) + foot.lift[:, None] * [0.0, 0.0, 1.0]
    toe_up = np.minimum(foot.pitch, 0.0)
    ball += turned(flat, np.column_stack([-arm * (1 - np.cos(toe_up)), 0 * toe_up, arm * np.sin(-toe_up)]))
    loose = np.clip(foot.lift / 0.06, 0.0, 1.0)
    rotation = flat @ about(1, foot.pitch)
    toes = flat @ about(1, np.where(foot.pitch > 0, loose * foot.pitch, foot.pitch))
    joints[f"{side}_ankle"] = ball + turned(rotation, ankle - ball_rest)
    joints[f"{side}_ball"] = ball + turned(rotation, body.joints[f"{side}_ball"] - ball_rest)
    for part, turn in (("heel", rotation), ("toe", toes)):
        joints[f"{side}_{part}"] = ball + turned(turn, body.joints[f"{side}_{part}"] * [1, 1, 0] - ball_rest)
    rotations[f"{side}_foot"], rotations[f"{side}_toes"] = rotation, toes


def _trunk(feet: list[FootTrack], target: np.ndarray, seated: np.ndarray, fps: float) -> dict[str, np.ndarray]:
    """Rotations of pelvis, spine, chest, neck, head from stride, climb and sitting down."""
    yaw = gaussian_filter1d(0.5 * (feet[0].yaw + feet[1].yaw), 0.15 * fps, mode="nearest")
    ahead = np.column_stack([np.cos(yaw), np.sin(yaw)])
    stride = gaussian_filter1d(np.sum((feet[1].ground - feet[0].ground)[:, :2] * ahead, axis=1), 0.06 * fps)
    velocity = gaussian_filter1d(np.gradient(target, axis=0) * fps, 0.25 * fps, axis=0)
    speed, climb = np.sum(velocity[:, :2] * ahead, axis=1), velocity[:, 2] * (1 - seated)
    load = gaussian_filter1d(feet[0].contact - feet[1].contact, 0.10 * fps)
    bow = 0.55 * 4 * seated * (1 - seated) + 0.04 * seated
    lean = 0.03 + 0.03 * speed * (1 - seated) + 0.45 * np.abs(climb) * (climb > 0)
    turn, face = 0.14 * np.clip(stride, -0.6, 0.6), about(2, yaw)
    return {
        "pelvis": face @ about(2, turn) @ about(1, 0.6 * lean + 0.7 * bow) @ about(0, 0.03 * load),
        "spine": face @ about(2, 0.1 * turn) @ about(1, 0.9 * lean + bow),
        "chest": face @ about(2, -0.8 * turn) @ about(1, 1.2 * lean + 1.1 * bow) @ about(0, -0.015 * load),
        "neck": face @ about(1, 0.6 * lean + 0.6 * bow),
        "head": face @ about(1, 0.10 + 0.6 * lean + 0.4 * bow),
    }


def _seated(walker: Walker, time_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of sitting (T,), the seat's place (T, 3), and contact with it (T,)."""
    share, contact = np.zeros(len(time_s)), np.zeros(len(time_s))
    seat = np.zeros((len(time_s), 3))
    for sitting in walker.sittings:
        down = smooth_step((time_s - sitting.down_s) / sitting.transition_s)
        up = smooth_step((time_s - sitting.up_s) / sitting.transition_s)
        share += down - up
        seat[down - up > 0] = sitting.seat_world
        contact[(time_s >= sitting.down_s + sitting.transition_s) & (time_s <= sitting.up_s)] = 1.0
    return share, seat, contact


def walk_person(walker: Walker, body: Skeleton, height_m: float, fps: float, duration_s: float) -> PersonMotion:
    """The walker's footsteps as a moving person; contact (T, 3): left foot, right foot, seat."""
    time_s = np.arange(round(duration_s * fps)) / fps
    feet = [foot_track(walker, side, time_s) for side in (0, 1)]
    seated, seat, on_seat = _seated(walker, time_s)
    target = _pelvis_target(feet, fps)
    rotations, joints = _trunk(feet, target, seated, fps), {}
    for side, foot in zip(SIDES, feet, strict=True):
        _pose_foot(side, foot, body, joints, rotations)
    leg = body.length("left_knee", "left_hip") + body.length("left_ankle", "left_knee")
    stand = np.array([0.0, 0.0, body.joints["left_ankle"][2] + STAND_REACH * leg])
    sit = seat + np.array([0.0, 0.0, SEAT_DEPTH_SHARE * height_m])
    target = (1 - seated)[:, None] * (target + stand) + seated[:, None] * sit
    hips = [turned(rotations["pelvis"], body.offset(f"{side}_hip", "pelvis")) for side in SIDES]
    ankles = [joints[f"{side}_ankle"] for side in SIDES]
    joints |= place_trunk(carry_pelvis(target, hips, ankles, LEG_REACH * leg, fps), rotations, body)
    for k, side in enumerate(SIDES):
        pose_leg(side, body, joints, rotations)
        heading = rotations["pelvis"][:, :2, 0]
        reach = np.sum((feet[1 - k].ground - feet[k].ground)[:, :2] * heading, axis=1)
        swing = 0.02 + 0.45 * gaussian_filter1d(reach, 0.12 * fps, mode="nearest")
        pose_arm(side, (1 - seated) * swing + 0.35 * seated, body, joints, rotations)
    return PersonMotion(fps, joints, rotations, np.column_stack([feet[0].contact, feet[1].contact, on_seat]))


def _pelvis_target(feet: list[FootTrack], fps: float) -> np.ndarray:
    """Path (T, 3) [m] of the ground under the pelvis: between the feet, leaning toward the one that carries."""
    load = np.stack([foot.contact for foot in feet])
    load = gaussian_filter1d(load, 0.07 * fps, axis=1, mode="nearest") + 1e-6
    load /= load.sum(axis=0)
    carried = load[0, :, None] * feet[0].ground + load[1, :, None] * feet[1].ground
    middle = 0.5 * (feet[0].ground + feet[1].ground)
    path = 0.5 * carried + 0.5 * middle
    path[:, 2] = carried[:, 2]
    return gaussian_filter1d(path, 0.18 * fps, axis=0, mode="nearest")
