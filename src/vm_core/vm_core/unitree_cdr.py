"""unitree_hg's LowState and LowCmd as fixed byte layouts: read and filled without building message objects.

CDR aligns each number to its own size behind the 4-byte header, so the first motor's one-byte mode follows two bytes
of the message and the others follow four-byte numbers. The CRC is Unitree's: CRC-32/MPEG-2 over the little-endian
words of the C structure (its own padding), without the CRC itself.
"""

from __future__ import annotations

import zlib

import numpy as np

from vm_core.errors import VmError

NUM_MOTOR_SLOTS = 35
CDR_LITTLE_ENDIAN = b"\x00\x01\x00\x00"
_HEADER = ("cdr_header", "u1", (4,))

_MOTOR_CMD_BODY = [("q", "<f4"), ("dq", "<f4"), ("tau", "<f4"), ("kp", "<f4"), ("kd", "<f4"), ("reserve", "<u4")]
_MOTOR_STATE_BODY = [
    ("q", "<f4"),
    ("dq", "<f4"),
    ("ddq", "<f4"),
    ("tau_est", "<f4"),
    ("temperature", "<i2", (2,)),
    ("vol", "<f4"),
    ("sensor", "<u4", (2,)),
    ("motorstate", "<u4"),
    ("reserve", "<u4", (4,)),
]
_IMU = [
    ("quaternion", "<f4", (4,)),
    ("gyroscope", "<f4", (3,)),
    ("accelerometer", "<f4", (3,)),
    ("rpy", "<f4", (3,)),
    ("temperature", "<i2"),
]


def _motor(body: list, pad: int) -> np.dtype:
    return np.dtype([("mode", "u1"), ("pad", "u1", (pad,)), *body])


LOW_CMD = np.dtype(
    [
        _HEADER,
        ("mode_pr", "u1"),
        ("mode_machine", "u1"),
        ("motor_0", _motor(_MOTOR_CMD_BODY, 1)),
        ("motor_rest", _motor(_MOTOR_CMD_BODY, 3), (NUM_MOTOR_SLOTS - 1,)),
        ("reserve", "<u4", (4,)),
        ("crc", "<u4"),
    ]
)
LOW_STATE = np.dtype(
    [
        _HEADER,
        ("version", "<u4", (2,)),
        ("mode_pr", "u1"),
        ("mode_machine", "u1"),
        ("pad_tick", "u1", (2,)),
        ("tick", "<u4"),
        ("imu", np.dtype(_IMU)),
        # the IMU ends with a two-byte temperature, so one pad byte brings the first motor's floats to four
        ("motor_0", _motor(_MOTOR_STATE_BODY, 1)),
        ("motor_rest", _motor(_MOTOR_STATE_BODY, 3), (NUM_MOTOR_SLOTS - 1,)),
        ("wireless_remote", "u1", (40,)),
        ("reserve", "<u4", (4,)),
        ("crc", "<u4"),
    ]
)
_C_MOTOR_CMD = _motor(_MOTOR_CMD_BODY, 3)
_C_MOTOR_STATE = _motor(_MOTOR_STATE_BODY, 3)
_C_LOW_CMD = np.dtype(
    [
        ("mode_pr", "u1"),
        ("mode_machine", "u1"),
        ("pad", "u1", (2,)),
        ("motor", _C_MOTOR_CMD, (NUM_MOTOR_SLOTS,)),
        ("reserve", "<u4", (4,)),
    ]
)
_C_LOW_STATE = np.dtype(
    [
        ("version", "<u4", (2,)),
        ("mode_pr", "u1"),
        ("mode_machine", "u1"),
        ("pad_tick", "u1", (2,)),
        ("tick", "<u4"),
        ("imu", np.dtype([*_IMU, ("pad", "u1", (2,))])),
        ("motor", _C_MOTOR_STATE, (NUM_MOTOR_SLOTS,)),
        ("wireless_remote", "u1", (40,)),
        ("reserve", "<u4", (4,)),
    ]
)


def new_low_cmd() -> np.ndarray:
    """A zeroed LowCmd record, shape (), with its CDR header set."""
    return _new(LOW_CMD)


def new_low_state() -> np.ndarray:
    """A zeroed LowState record, shape (), with its CDR header set."""
    return _new(LOW_STATE)


def parse_low_cmd(data: bytes) -> np.ndarray:
    """A read-only LowCmd record, shape (), over the bytes of a message.

    Raises:
        VmError: not little-endian CDR of the right length.
    """
    return _parse(data, LOW_CMD, "LowCmd")


def parse_low_state(data: bytes) -> np.ndarray:
    """A read-only LowState record, shape (), over the bytes of a message; errors as in `parse_low_cmd`."""
    return _parse(data, LOW_STATE, "LowState")


def get_motors(record: np.ndarray, name: str) -> np.ndarray:
    """One field of all 35 motor slots, (35,) or (35, k); a copy."""
    return np.concatenate([record["motor_0"][name][None], record["motor_rest"][name]])


def set_motors(record: np.ndarray, name: str, values: np.ndarray) -> None:
    """Writes one field of the first len(values) motor slots."""
    record["motor_0"][name] = values[0]
    record["motor_rest"][name][: len(values) - 1] = values[1:]


def crc32_mpeg2(data: bytes) -> int:
    """CRC-32/MPEG-2 of little-endian 32-bit words, most significant bit first.

    zlib computes the reflected CRC; reflecting each input byte and the result gives the unreflected one at its speed.
    """
    swapped = np.frombuffer(data, dtype="<u4").byteswap().tobytes().translate(_REFLECTED)
    reflected = zlib.crc32(swapped) ^ 0xFFFFFFFF
    return int.from_bytes(reflected.to_bytes(4, "little").translate(_REFLECTED), "big")


def low_cmd_crc(record: np.ndarray) -> int:
    """The CRC that the robot expects in this LowCmd."""
    return crc32_mpeg2(_as_c(record, _C_LOW_CMD, ("mode_pr", "mode_machine", "reserve")))


def low_state_crc(record: np.ndarray) -> int:
    """The CRC that the robot sends with this LowState."""
    plain = ("version", "mode_pr", "mode_machine", "tick", "wireless_remote", "reserve")
    return crc32_mpeg2(_as_c(record, _C_LOW_STATE, plain))


_REFLECTED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _new(dtype: np.dtype) -> np.ndarray:
    record = np.zeros((), dtype=dtype)
    record["cdr_header"] = np.frombuffer(CDR_LITTLE_ENDIAN, dtype=np.uint8)
    return record


def _parse(data: bytes, dtype: np.dtype, name: str) -> np.ndarray:
    if len(data) != dtype.itemsize or bytes(data[:2]) != CDR_LITTLE_ENDIAN[:2]:
        raise VmError(f"{name} of {len(data)} bytes; expected {dtype.itemsize} bytes of little-endian CDR")
    return np.frombuffer(data, dtype=dtype)[0:1].reshape(())


def _as_c(record: np.ndarray, dtype: np.dtype, plain: tuple[str, ...]) -> bytes:
    c = np.zeros((), dtype=dtype)
    for name in plain:
        c[name] = record[name]
    body_names = [name for name in dtype["motor"].base.names or () if name != "pad"]
    for name in body_names:
        c["motor"][name][0] = record["motor_0"][name]
        c["motor"][name][1:] = record["motor_rest"][name]
    if "imu" in (dtype.names or ()):
        for name, *_ in _IMU:
            c["imu"][name] = record["imu"][name]
    return c.tobytes()
