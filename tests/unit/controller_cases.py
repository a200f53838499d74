"""Robot states as bytes, and a controller that is driven by them, period by period."""

from __future__ import annotations

import itertools

import numpy as np

from vm_core import g1, unitree_cdr
from vm_core.remote import RemoteState, encode_remote
from vm_policy_node.controller import Controller

POSE = g1.DEFAULT_STAND_POSE
MOVED = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
TICKS = itertools.count(20, 20)


def low_state(
    *, tick: int | None = None, pose: np.ndarray = POSE, quat=(1.0, 0, 0, 0), remote=None, spoil: bool = False
) -> bytes:
    record = unitree_cdr.new_low_state()
    record["tick"], record["mode_machine"] = next(TICKS) if tick is None else tick, 5
    record["imu"]["quaternion"] = quat
    record["imu"]["gyroscope"][0] = 1e-5 * (int(record["tick"]) % 700)  # a sensor without any noise counts as frozen
    unitree_cdr.set_motors(record, "q", pose)
    record["wireless_remote"] = np.frombuffer(encode_remote(remote or RemoteState()), dtype=np.uint8)
    record["crc"] = unitree_cdr.low_state_crc(record) ^ int(spoil)
    return record.tobytes()


def motors(record: np.ndarray, name: str) -> np.ndarray:
    return unitree_cdr.get_motors(record, name)[: g1.NUM_MOTORS]


def drive(controller: Controller, start_s: float, seconds: float, **state) -> np.ndarray | None:
    record = None
    for k in range(round(seconds / 0.02)):
        now = start_s + 0.02 * k
        controller.on_low_state(low_state(**state), now)
        record = controller.step(now)
    return None if record is None else record.copy()


def to_running(controller: Controller) -> None:
    drive(controller, 0.0, 0.1)
    assert controller.request("stand", 0.1).accepted
    drive(controller, 0.1, 2.1)
    assert controller.request("run", 2.2).accepted
