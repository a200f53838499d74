"""BVH motion capture: hierarchy, channels in any order, positions of all joints by forward kinematics."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vm_core.errors import VmError
from vm_reconstruction.solver.joint import so3

_AXES = {"X": np.array([1.0, 0, 0]), "Y": np.array([0, 1.0, 0]), "Z": np.array([0, 0, 1.0])}
_Y_UP_TO_Z_UP = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # forward z becomes forward x


def read_bvh(path: Path) -> tuple[np.ndarray, list[str], float]:
    """Joint positions (T, N, 3), z up, in metres; names; frames a second.

    BVH has no unit: offsets whose skeleton is taller than 3 are taken for centimetres (or inches and millimetres by the
    same rule: the skeleton's height becomes the nearest to 1.7 m of the usual units). Y is up by the format's custom.

    Raises:
        VmError: not a BVH file, or one whose numbers do not match its hierarchy.
    """
    try:
        words = path.read_text(errors="replace").split()
        joints, place = _hierarchy(words)
        frames, place = int(words[place + 2]), place + 3
        frame_time, place = float(words[place + 2]), place + 3
        width = sum(len(joint["channels"]) for joint in joints)
        values = np.array(words[place : place + frames * width], dtype=np.float64).reshape(frames, width)
    except OSError as error:
        raise VmError(f"{path}: {error.strerror}") from None
    except (ValueError, IndexError, KeyError) as error:
        raise VmError(f"{path} is no BVH file ({error})") from None
    if not frames or frame_time <= 0.0 or not np.isfinite(values).all():
        raise VmError(f"{path}: {frames} frames of {frame_time} s; expected finite values and at least one frame")
    positions = _positions(joints, values)
    scale = _unit(joints)
    return positions @ _Y_UP_TO_Z_UP.T * scale, [j["name"] for j in joints], 1.0 / frame_time


def _hierarchy(words: list[str]) -> tuple[list[dict], int]:
    """Joints in the order of their channels, and where MOTION stands."""
    if not words or words[0] != "HIERARCHY":
        raise ValueError("it does not begin with HIERARCHY")
    joints: list[dict] = []
    stack: list[int] = []
    place, end_site = 1, False
    while words[place] != "MOTION":
        word = words[place]
        if word in ("ROOT", "JOINT"):
            joints.append({"name": words[place + 1], "parent": stack[-1] if stack else -1, "channels": []})
            place += 2
        elif word == "End":
            end_site, place = True, place + 2
        elif word == "{":
            stack.append(-2 if end_site else len(joints) - 1)
            end_site, place = False, place + 1
        elif word == "}":
            stack.pop()
            place += 1
        elif word == "OFFSET":
            offset = np.array(words[place + 1 : place + 4], dtype=np.float64)
            if stack[-1] >= 0:
                joints[stack[-1]]["offset"] = offset
            place += 4
        elif word == "CHANNELS":
            count = int(words[place + 1])
            joints[stack[-1]]["channels"] = words[place + 2 : place + 2 + count]
            place += 2 + count
        else:
            raise ValueError(f"unexpected {word!r}")
    return joints, place


def _positions(joints: list[dict], values: np.ndarray) -> np.ndarray:
    frames, column = len(values), 0
    pos, rot = np.zeros((frames, len(joints), 3)), np.zeros((frames, len(joints), 3, 3))
    for index, joint in enumerate(joints):
        shift, turn = np.tile(joint["offset"], (frames, 1)), np.tile(np.eye(3), (frames, 1, 1))
        moved = False
        for channel in joint["channels"]:
            value, axis = values[:, column], _AXES[channel[0].upper()]
            if channel.lower().endswith("position"):
                shift = shift if moved else np.zeros_like(shift)  # position channels replace the offset
                moved, shift = True, shift + value[:, None] * axis
            else:
                turn = turn @ so3.exp(np.radians(value)[:, None] * axis)
            column += 1
        if joint["parent"] < 0:
            pos[:, index], rot[:, index] = shift, turn
        else:
            above = joint["parent"]
            pos[:, index] = pos[:, above] + np.einsum("tij,tj->ti", rot[:, above], shift)
            rot[:, index] = rot[:, above] @ turn
    return pos


def _unit(joints: list[dict]) -> float:
    """Metres a unit, from the height of the rest pose."""
    rest = _positions([{**j, "channels": []} for j in joints], np.zeros((1, 0)))[0]
    tall = float(np.ptp(rest, axis=0).max())
    return min((1.0, 0.0254, 0.01, 0.001), key=lambda unit: abs(np.log(max(tall, 1e-9) * unit / 1.6)))
