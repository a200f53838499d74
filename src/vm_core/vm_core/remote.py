"""The 40 bytes of Unitree's wireless remote inside LowState.

Layout (Unitree's public gamepad structure): two head bytes, 16 button bits, then lx, rx, ry, L2, ly as floats.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

BUTTONS = ("R1", "L1", "start", "select", "R2", "L2", "F1", "F2", "A", "B", "X", "Y", "up", "right", "down", "left")
_LAYOUT = struct.Struct("<2xH5f")


@dataclass(frozen=True)
class RemoteState:
    """Sticks in -1..1 (right and up positive) and the buttons that are held."""

    left_x: float = 0.0
    left_y: float = 0.0
    right_x: float = 0.0
    right_y: float = 0.0
    pressed: frozenset[str] = frozenset()


def decode_remote(data: np.ndarray | bytes) -> RemoteState:
    """Reads the 40 bytes; sticks that are not finite count as centred."""
    keys, left_x, right_x, right_y, _, left_y = _LAYOUT.unpack_from(bytes(data))
    pressed = frozenset(name for bit, name in enumerate(BUTTONS) if keys >> bit & 1)
    sticks = [min(max(v, -1.0), 1.0) if math.isfinite(v) else 0.0 for v in (left_x, left_y, right_x, right_y)]
    return RemoteState(*sticks, pressed=pressed)


def encode_remote(state: RemoteState) -> bytes:
    """The 40 bytes of a remote's state."""
    keys = sum(1 << BUTTONS.index(name) for name in state.pressed)
    packed = _LAYOUT.pack(keys, state.left_x, state.right_x, state.right_y, 0.0, state.left_y)
    return packed + b"\x00" * (40 - len(packed))
