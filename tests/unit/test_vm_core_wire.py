"""Byte layouts of the robot's messages: CRC against its definition, round trips, damage."""

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core import livox_cdr, remote, unitree_cdr
from vm_core.errors import VmError


def crc_by_definition(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for word in struct.unpack(f"<{len(data) // 4}I", data):
        for bit in range(31, -1, -1):
            carry = (crc >> 31 & 1) ^ (word >> bit & 1)
            crc = (crc << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if carry else 0)
    return crc


@given(st.binary(min_size=4, max_size=80).map(lambda b: b[: len(b) // 4 * 4]))
def test_crc_is_the_definition(data):
    assert unitree_cdr.crc32_mpeg2(data) == crc_by_definition(data)


def test_low_cmd_crc_covers_the_c_structure():
    cmd = unitree_cdr.new_low_cmd()
    q = np.arange(29, dtype=float)
    unitree_cdr.set_motors(cmd, "q", q)
    unitree_cdr.set_motors(cmd, "mode", np.ones(29))
    cmd["mode_machine"] = 5
    motors = b"".join(struct.pack("<B3x5fI", i < 29, q[i] if i < 29 else 0, 0, 0, 0, 0, 0) for i in range(35))
    assert unitree_cdr.low_cmd_crc(cmd) == crc_by_definition(struct.pack("<2B2x", 0, 5) + motors + bytes(16))


def test_layout_sizes_and_field_places():
    assert unitree_cdr.LOW_CMD.itemsize == 1004 and unitree_cdr.LOW_STATE.itemsize == 2092
    state = unitree_cdr.new_low_state()
    unitree_cdr.set_motors(state, "q", np.arange(29) + 0.5)
    parsed = unitree_cdr.parse_low_state(state.tobytes())
    np.testing.assert_array_equal(unitree_cdr.get_motors(parsed, "q")[:29], np.arange(29) + 0.5)
    np.testing.assert_array_equal(unitree_cdr.get_motors(parsed, "q")[29:], 0)


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x00\x00", bytes(1004), bytes(5000)])
def test_damaged_low_messages(data):
    with pytest.raises(VmError):
        unitree_cdr.parse_low_cmd(data)
    with pytest.raises(VmError):
        unitree_cdr.parse_low_state(data)


@given(st.integers(0, 50), st.text("abcdefgh_", max_size=20), st.integers(0, 2**62))
@settings(max_examples=40)
def test_livox_round_trip(count, frame_id, stamp):
    points = np.zeros(count, dtype=livox_cdr.POINT)
    points["x"] = np.arange(count)
    points["offset_time"] = np.arange(count) * 5000
    stamp %= 2**31 * 10**9
    back = livox_cdr.decode_custom_msg(
        livox_cdr.encode_custom_msg(livox_cdr.LivoxScan(stamp, frame_id, stamp + 1, points))
    )
    assert (back.stamp_ns, back.frame_id, back.timebase_ns) == (stamp, frame_id, stamp + 1)
    np.testing.assert_array_equal(back.xyz[:, 0], np.arange(count))


@given(st.binary(max_size=300))
def test_damaged_lidar_messages_never_crash(data):
    for message in (data, b"\x00\x01\x00\x00" + data):
        with contextlib.suppress(VmError):
            livox_cdr.decode_custom_msg(message)


def test_remote_round_trip():
    state = remote.RemoteState(0.5, -0.25, 0.125, 1.0, frozenset({"A", "start"}))
    assert remote.decode_remote(remote.encode_remote(state)) == state
    for broken in (float("nan"), float("inf"), float("-inf")):
        assert remote.decode_remote(struct.pack("<2xH5f", 0, *[broken] * 5) + bytes(16)) == remote.RemoteState()
