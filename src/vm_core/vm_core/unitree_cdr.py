"""unitree_hg's LowState and LowCmd as fixed byte layouts: read and filled without building message objects.

CDR aligns each number to its own size behind the 4-byte header, so the first motor's one-byte mode follows two bytes of
the message and the others follow four-byte numbers. From its first float on, every motor looks alike: the field `motor`
(35,) begins there, and each of its elements ends with the mode of the *next* motor; `get_motors` and `set_motors` know.
The CRC is Unitree's: CRC-32/MPEG-2 over the little-endian words of the C structure, with zeros between its fields and
without the CRC itself.
"""

from __future__ import annotations

import zlib

import numpy as np

from vm_core.errors import VmError

NUM_MOTOR_SLOTS = 35
CDR_LITTLE_ENDIAN = b"\x00\x01\x00\x00"
MODE = "mode"

_NEXT = [("next_mode", "u1"), ("pad", "u1", (3,))]
_MOTOR_CMD = np.dtype(
    [("q", "<f4"), ("dq", "<f4"), ("tau", "<f4"), ("kp", "<f4"), ("kd", "<f4"), ("reserve", "<u4"), *_NEXT]
)
_MOTOR_STATE = np.dtype(
    [
        ("q", "<f4"),
        ("dq", "<f4"),
        ("ddq", "<f4"),
        ("tau_est", "<f4"),
        ("temperature", "<i2", (2,)),
        ("vol", "<f4"),
        ("sensor", "<u4", (2,)),
        ("motorstate", "<u4"),
        ("reserve", "<u4", (4,)),
        *_NEXT,
    ]
)
_IMU = np.dtype(
    [
        ("quaternion", "<f4", (4,)),
        ("gyroscope", "<f4", (3,)),
        ("accelerometer", "<f4", (3,)),
        ("rpy", "<f4", (3,)),
        ("temperature", "<i2"),
    ]
)


def _message(fields: list[tuple], motor: np.dtype) -> np.dtype:
    """What lies before the first mode, which has one pad byte; the motors; what lies behind the last one's numbers."""
    front = np.dtype([("cdr_header", "u1", (4,)), *fields])
    back = np.dtype([("reserve", "<u4", (4,)), ("crc", "<u4")])
    if motor is _MOTOR_STATE:
        back = np.dtype([("wireless_remote", "u1", (40,)), *back.descr])
    first = front.itemsize + 2  # behind the first mode and its pad
    behind = first + NUM_MOTOR_SLOTS * motor.itemsize - 4  # the last `next_mode` and its pad are the first bytes behind
    parts = [(name, front[name], front.fields[name][1]) for name in front.names]  # type: ignore[index,union-attr]
    parts += [(name, np.dtype("u1"), first - 2 + k) for k, name in enumerate(("first_mode", "first_pad"))]
    parts += [("motor", np.dtype((motor, NUM_MOTOR_SLOTS)), first)]
    parts += [(name, back[name], behind + back.fields[name][1]) for name in back.names]  # type: ignore[index,union-attr]
    names, formats, offsets = (list(part) for part in zip(*parts, strict=True))
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": behind + back.itemsize})


LOW_CMD = _message([("mode_pr", "u1"), ("mode_machine", "u1")], _MOTOR_CMD)
LOW_STATE = _message(
    [
        ("version", "<u4", (2,)),
        ("mode_pr", "u1"),
        ("mode_machine", "u1"),
        ("pad_tick", "u1", (2,)),
        ("tick", "<u4"),
        # the IMU ends with a two-byte temperature, so one pad byte brings the first motor's floats to four
        ("imu", _IMU),
    ],
    _MOTOR_STATE,
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
    """One field of all 35 motor slots, (35,) or (35, k); a view, but for `mode`, which is a copy."""
    if name == MODE:
        return np.concatenate([record["first_mode"][None], record["motor"]["next_mode"][:-1]])
    return record["motor"][name]


def set_motors(record: np.ndarray, name: str, values: np.ndarray) -> None:
    """Writes one field of the first len(values) motor slots."""
    if name == MODE:
        record["first_mode"] = values[0]
        record["motor"]["next_mode"][: len(values) - 1] = values[1:]
    else:
        record["motor"][name][: len(values)] = values


def set_motor(record: np.ndarray, name: str, motor: int, value: np.ndarray | float) -> None:
    """Writes one field of one motor slot."""
    if name == MODE and motor == 0:
        record["first_mode"] = value
    elif name == MODE:
        record["motor"]["next_mode"][motor - 1] = value
    else:
        record["motor"][name][motor] = value


def crc32_mpeg2(data: bytes) -> int:
    """CRC-32/MPEG-2 of little-endian 32-bit words, most significant bit first.

    zlib computes the reflected CRC; reflecting each input byte and the result gives the unreflected one at its speed.
    """
    swapped = np.frombuffer(data, dtype="<u4").byteswap().tobytes().translate(_REFLECTED)
    reflected = zlib.crc32(swapped) ^ 0xFFFFFFFF
    return int.from_bytes(reflected.to_bytes(4, "little").translate(_REFLECTED), "big")


def low_cmd_crc(record: np.ndarray) -> int:
    """The CRC that the robot expects in this LowCmd."""
    return crc32_mpeg2((_as_c(record) & _LOW_CMD_BYTES).tobytes())


def low_state_crc(record: np.ndarray) -> int:
    """The CRC that the robot sends with this LowState."""
    return crc32_mpeg2((_as_c(record) & _LOW_STATE_BYTES).tobytes())


_REFLECTED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _new(dtype: np.dtype) -> np.ndarray:
    record = np.zeros((), dtype=dtype)
    record["cdr_header"] = np.frombuffer(CDR_LITTLE_ENDIAN, dtype=np.uint8)
    return record


def _parse(data: bytes, dtype: np.dtype, name: str) -> np.ndarray:
    if len(data) != dtype.itemsize or bytes(data[:2]) != CDR_LITTLE_ENDIAN[:2]:
        raise VmError(f"{name} of {len(data)} bytes; expected {dtype.itemsize} bytes of little-endian CDR")
    return np.frombuffer(data, dtype=dtype)[0:1].reshape(())


def _as_c(record: np.ndarray) -> np.ndarray:
    """Words (n,) of the C structure without its CRC: there the first mode begins a word, as all others do."""
    data, mode = record.tobytes(), record.dtype.fields["first_mode"][1]  # type: ignore[index]
    to_word = bytes(-(mode - 4) % 4)
    return np.frombuffer(b"".join((data[4:mode], to_word, data[mode : mode + 2], bytes(2), data[mode + 2 : -4])), "<u4")


def _own_bytes(dtype: np.dtype) -> np.ndarray:
    """Words that are 0xff where a field of the message lies and 0 between fields, where a sender may leave anything."""
    record = np.frombuffer(b"\xff" * dtype.itemsize, dtype).copy().reshape(())
    record["motor"]["pad"][:-1] = record["first_pad"] = 0
    if "pad_tick" in (dtype.names or ()):
        record["pad_tick"] = 0
    return _as_c(record)


_LOW_CMD_BYTES, _LOW_STATE_BYTES = _own_bytes(LOW_CMD), _own_bytes(LOW_STATE)
