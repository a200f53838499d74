"""What a fault writes into a LowState record. The checksum is right afterwards: these are lies, not noise on a wire."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vm_core import g1
from vm_core.frames import quat_from_rotvec
from vm_core.remote import RemoteState, encode_remote
from vm_core.unitree_cdr import get_motors, set_motor, set_motors

KNEE = g1.motor_index("left_knee_joint")
Damage = Callable[[np.ndarray, np.ndarray, float], None]
"""Takes the record to be changed, the record at the fault's beginning, and the time since then [s]."""


def _knee(name: str, value: float) -> Damage:
    def change(record: np.ndarray, first: np.ndarray, elapsed_s: float) -> None:
        set_motor(record, name, KNEE, value)

    return change


def _imu(name: str, value: np.ndarray | float) -> Damage:
    def change(record: np.ndarray, first: np.ndarray, elapsed_s: float) -> None:
        record["imu"][name] = value

    return change


def _plain(name: str, value: int) -> Damage:
    def change(record: np.ndarray, first: np.ndarray, elapsed_s: float) -> None:
        record[name] = value

    return change


def _voltage(value: float) -> Damage:
    def change(record: np.ndarray, first: np.ndarray, elapsed_s: float) -> None:
        set_motors(record, "vol", np.full(g1.NUM_MOTORS, value, dtype=np.float32))

    return change


def _remote(state: bytes) -> Damage:
    def change(record: np.ndarray, first: np.ndarray, elapsed_s: float) -> None:
        record["wireless_remote"] = np.frombuffer(state, dtype=np.uint8)

    return change


def _frozen_imu(record: np.ndarray, first: np.ndarray, elapsed_s: float) -> None:
    record["imu"] = first["imu"]


def _frozen_encoders(record: np.ndarray, first: np.ndarray, elapsed_s: float) -> None:
    for name in ("q", "dq"):
        set_motors(record, name, get_motors(first, name))


def _restarted(record: np.ndarray, first: np.ndarray, elapsed_s: float) -> None:
    record["tick"] = round(1000.0 * elapsed_s)


def _offset_encoder(record: np.ndarray, first: np.ndarray, elapsed_s: float) -> None:
    record["motor"]["q"][KNEE] += 0.9


def _overtorque(record: np.ndarray, first: np.ndarray, elapsed_s: float) -> None:
    record["motor"]["tau_est"][KNEE] = 2.0 * g1.TORQUE_LIMIT[KNEE]


def _too_fast(record: np.ndarray, first: np.ndarray, elapsed_s: float) -> None:
    record["motor"]["dq"][KNEE] = -2.0 * g1.VELOCITY_LIMIT[KNEE]


DAMAGE: dict[str, Damage] = {
    "robot_restarted": _restarted,
    "position_nan": _knee("q", np.nan),
    "velocity_nan": _knee("dq", np.nan),
    "torque_nan": _knee("tau_est", np.nan),
    "orientation_nan": _imu("quaternion", np.nan),
    "gyroscope_nan": _imu("gyroscope", np.nan),
    "orientation_zero": _imu("quaternion", 0.0),
    "imu_frozen": _frozen_imu,
    "encoders_frozen": _frozen_encoders,
    "imu_tilted": _imu("quaternion", quat_from_rotvec(np.array([0.0, 1.4, 0.0]))),
    "gyroscope_runaway": _imu("gyroscope", np.array([0.0, 20.0, 0.0])),
    "encoder_jump": _offset_encoder,
    "encoder_beyond": _knee("q", 3.3),
    "joint_too_fast": _too_fast,
    "motor_overtorque": _overtorque,
    "motor_hot": _knee("temperature", 110),
    "motor_fault": _knee("motorstate", 1),
    "motor_dead": _knee("mode", 0),
    "battery_low": _voltage(38.0),
    "battery_dip": _voltage(38.0),
    "mode_machine_wrong": _plain("mode_machine", 9),
    "mode_pr_wrong": _plain("mode_pr", 1),
    "remote_stop": _remote(encode_remote(RemoteState(pressed=frozenset({"L2", "B"})))),
    "remote_nan": _remote(encode_remote(RemoteState(left_x=float("nan"), left_y=float("nan"), right_x=float("nan")))),
}
