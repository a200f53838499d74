"""The Unitree G1 (29 motors): names, limits, gains and frames. Lengths in metres, angles in radians.

Sources: the MJCF that mjlab ships (Unitree's description, BSD-3-Clause) for limits, link offsets and collision
geometry; Unitree's motor data for rotor inertias and gears. A contract test compares all of it with the compiled model.
"""

from __future__ import annotations

import math

import numpy as np

_LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
_WAIST = ("waist_yaw_joint", "waist_roll_joint", "waist_pitch_joint")
_ARM = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll", "wrist_pitch", "wrist_yaw")


def _side(side: str, parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{side}_{part}_joint" for part in parts)


MOTOR_NAMES: tuple[str, ...] = (
    *_side("left", _LEG),
    *_side("right", _LEG),
    *_WAIST,
    *_side("left", _ARM),
    *_side("right", _ARM),
)
"""All joints in the order of the motors in unitree_hg's LowCmd and LowState."""

WRIST_JOINT_NAMES: tuple[str, ...] = tuple(name for name in MOTOR_NAMES if "wrist" in name)
POLICY_JOINT_NAMES: tuple[str, ...] = tuple(name for name in MOTOR_NAMES if "wrist" not in name)
"""The 23 joints that this project's policies move; the wrists are held."""

NUM_MOTORS = len(MOTOR_NAMES)
PELVIS_BODY = "pelvis"
TORSO_BODY = "torso_link"
FOOT_BODIES = ("left_ankle_roll_link", "right_ankle_roll_link")
ROBOT_HEIGHT_M = 1.32
LEG_LENGTH_M = 0.60  # hip pitch axis to ankle axis, straight leg, by the link offsets below


def motor_index(name: str) -> int:
    """Index of a joint in motor order.

    Raises:
        KeyError: for a name that the G1 does not have; lists what exists.
    """
    try:
        return MOTOR_NAMES.index(name)
    except ValueError:
        raise KeyError(f"no G1 joint {name!r}; joints: {', '.join(MOTOR_NAMES)}") from None


def _by_joint(values: dict[str, float], default: float | None = None) -> np.ndarray:
    """One value a motor; keys are joint names without side and `_joint`, values of the left side."""
    keys = [name.removesuffix("_joint").removeprefix("left_").removeprefix("right_") for name in MOTOR_NAMES]
    return np.array([values[key] if default is None else values.get(key, default) for key in keys])


_MIRRORED = ("hip_roll", "hip_yaw", "ankle_roll", "shoulder_roll", "shoulder_yaw", "wrist_roll", "wrist_yaw")
_RANGES = {
    "hip_pitch": (-2.5307, 2.8798),
    "hip_roll": (-0.5236, 2.9671),
    "hip_yaw": (-2.7576, 2.7576),
    "knee": (-0.087267, 2.8798),
    "ankle_pitch": (-0.87267, 0.5236),
    "ankle_roll": (-0.2618, 0.2618),
    "waist_yaw": (-2.618, 2.618),
    "waist_roll": (-0.52, 0.52),
    "waist_pitch": (-0.52, 0.52),
    "shoulder_pitch": (-3.0892, 2.6704),
    "shoulder_roll": (-1.5882, 2.2515),
    "shoulder_yaw": (-2.618, 2.618),
    "elbow": (-1.0472, 2.0944),
    "wrist_roll": (-1.97222, 1.97222),
    "wrist_pitch": (-1.61443, 1.61443),
    "wrist_yaw": (-1.61443, 1.61443),
}


def _joint_ranges() -> np.ndarray:
    ranges = []
    for name in MOTOR_NAMES:
        key = name.removesuffix("_joint").removeprefix("left_").removeprefix("right_")
        low, high = _RANGES[key]
        ranges.append((-high, -low) if name.startswith("right_") and key in _MIRRORED else (low, high))
    return np.array(ranges)


JOINT_LOWER: np.ndarray = _joint_ranges()[:, 0]
JOINT_UPPER: np.ndarray = _joint_ranges()[:, 1]

# Motor types of each joint; waist roll/pitch and ankles are driven by two 5020 motors through a linkage, so their
# nominal armature and torque are twice those of one (mjlab's approximation).
_MOTOR_TYPE = {
    **dict.fromkeys(("hip_pitch", "hip_yaw", "waist_yaw"), "7520_14"),
    **dict.fromkeys(("hip_roll", "knee"), "7520_22"),
    **dict.fromkeys(("ankle_pitch", "ankle_roll", "waist_roll", "waist_pitch"), "2x5020"),
    **dict.fromkeys(("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll"), "5020"),
    **dict.fromkeys(("wrist_pitch", "wrist_yaw"), "4010"),
}


def _armature(rotors: tuple[float, float, float], gears: tuple[float, float, float]) -> float:
    """Inertia [kg m²] that a two-stage planetary gear reflects to the joint."""
    return rotors[0] * (gears[1] * gears[2]) ** 2 + rotors[1] * gears[2] ** 2 + rotors[2]


_ARMATURE_5020 = _armature((0.139e-4, 0.017e-4, 0.169e-4), (1, 1 + 46 / 18, 1 + 56 / 16))
_MOTORS = {  # armature [kg m²], torque [Nm], speed [rad/s]
    "5020": (_ARMATURE_5020, 25.0, 37.0),
    "2x5020": (2 * _ARMATURE_5020, 50.0, 37.0),
    "7520_14": (_armature((0.489e-4, 0.098e-4, 0.533e-4), (1, 4.5, 1 + 48 / 22)), 88.0, 32.0),
    "7520_22": (_armature((0.489e-4, 0.109e-4, 0.738e-4), (1, 4.5, 5)), 139.0, 20.0),
    "4010": (_armature((0.068e-4, 0.0, 0.0), (1, 5, 5)), 5.0, 22.0),
}
ARMATURE, TORQUE_LIMIT, VELOCITY_LIMIT = (
    _by_joint({joint: _MOTORS[kind][i] for joint, kind in _MOTOR_TYPE.items()}) for i in range(3)
)

_NATURAL_FREQUENCY = 10.0 * 2.0 * math.pi  # rad/s
_DAMPING_RATIO = 2.0
MJLAB_KP: np.ndarray = ARMATURE * _NATURAL_FREQUENCY**2
"""Position gains [Nm/rad] of a 10 Hz second-order joint; 29 values in motor order."""
MJLAB_KD: np.ndarray = 2.0 * _DAMPING_RATIO * ARMATURE * _NATURAL_FREQUENCY
"""Velocity gains [Nm s/rad] for a damping ratio of 2."""

_STAND = {"hip_pitch": -0.312, "knee": 0.669, "ankle_pitch": -0.363, "shoulder_pitch": 0.2, "elbow": 0.6}
DEFAULT_STAND_POSE: np.ndarray = _by_joint(_STAND, 0.0)
DEFAULT_STAND_POSE[motor_index("left_shoulder_roll_joint")] = 0.2
DEFAULT_STAND_POSE[motor_index("right_shoulder_roll_joint")] = -0.2
DEFAULT_STAND_POSE.setflags(write=False)
STAND_PELVIS_HEIGHT_M = 0.76

# Frames: the chain pelvis -> torso_link and the sensors on it.
WAIST_ROLL_IN_WAIST_YAW = np.array([-0.0039635, 0.0, 0.044])
"""Offset of the waist roll (and pitch, torso) origin in the waist yaw link [m]; the other waist offsets are zero."""
LIDAR_POS_IN_TORSO = np.array([0.0002835, 0.00003, 0.41618])
LIDAR_TILT_RAD = 0.0401426
LIDAR_QUAT_IN_TORSO_WXYZ = np.array([0.0, math.cos(LIDAR_TILT_RAD / 2), 0.0, -math.sin(LIDAR_TILT_RAD / 2)])
"""Ry(2.3°) Rx(180°): the Mid-360 hangs upside down on the head, unlike the upright frame in the URDF."""
CAMERA_POS_IN_TORSO = np.array([0.0576235, 0.01753, 0.42987])
"""The head's depth camera (RealSense D435i) as in Unitree's G1 description."""
CAMERA_TILT_RAD = 0.8307767
"""How far it looks down from the torso's x axis."""
IMU_POS_IN_PELVIS = np.array([0.04525, 0.0, -0.08339])

SOLE_SPHERE_RADIUS_M = 0.005
SOLE_POINTS: np.ndarray = np.array(
    [[-0.05, 0.025, -0.03], [-0.05, -0.025, -0.03], [0.12, 0.03, -0.03], [0.12, -0.03, -0.03]]
)
"""Centres (4, 3) of the sole's contact spheres in the ankle roll link [m]."""
SOLE_HEIGHT_M = 0.035  # from the ankle roll origin down to the sole
SOLE_CENTER: np.ndarray = np.array([SOLE_POINTS[:, 0].mean(), 0.0, -SOLE_HEIGHT_M])
"""Middle of the sole (3,) in the ankle roll link [m]."""
SOLE_TOE: np.ndarray = np.array([SOLE_POINTS[:, 0].max(), 0.0, SOLE_POINTS[0, 2]])
"""Between the front spheres (3,) in the ankle roll link [m]: a foot that lifts its heel rolls about this."""
