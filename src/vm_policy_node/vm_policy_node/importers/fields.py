"""Numbers and names from other projects' files, checked where they come in."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from vm_core import g1
from vm_core.errors import VmError

MAX_TEXT_BYTES = 2**20
DAMAGE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)
"""What reading a file of another shape than expected may raise; importers turn it into one line."""
_HELD_PARTS = ("waist", "wrist")


def numbers(values: Any, count: int, what: str) -> tuple[float, ...]:
    """`count` finite numbers.

    Raises:
        VmError: another count, or numbers that are none.
    """
    found = tuple(float(value) for value in values)
    if len(found) != count or not all(map(math.isfinite, found)):
        raise VmError(f"{what} has {len(found)} values; expected {count} finite ones")
    return found


def scale_of(value: Any, what: str) -> tuple[float, ...]:
    """A scale that may be missing, one number or a list."""
    if value is None:
        return (1.0,)
    found = tuple(float(part) for part in value) if isinstance(value, Iterable) else (float(value),)
    if not found or not all(map(math.isfinite, found)):
        raise VmError(f"{what} has a scale of {len(found)} values; expected finite ones")
    return found if len(set(found)) > 1 else found[:1]


def clip_of(value: Any, what: str) -> tuple[float, float] | None:
    """Lower and upper bound, or None where there are none; one infinite bound is a large number."""
    if value is None:
        return None
    low, high = (float(part) for part in value)
    if math.isnan(low) or math.isnan(high) or low >= high:
        raise VmError(f"{what} is clipped to {low} .. {high}; expected lower < upper")
    if math.isinf(low) and math.isinf(high):
        return None
    return (max(low, -1e9), min(high, 1e9))


def known_joints(names: Sequence[str], what: str) -> tuple[str, ...]:
    """The names, each a motor of the G1 and named once.

    Raises:
        VmError: naming those that are not.
    """
    unknown = [name for name in names if name not in g1.MOTOR_NAMES]
    if unknown or len(set(names)) != len(names):
        wrong = ", ".join(unknown) or "some joint twice"
        raise VmError(f"{what} names {wrong}; the G1 has {', '.join(g1.MOTOR_NAMES)}")
    return tuple(names)


def held_joints(moved: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Position [rad] and gains for the waist and wrist joints that a policy does not move.

    Raises:
        VmError: the policy leaves a leg or an arm to nobody.
    """
    left = [name for name in g1.MOTOR_NAMES if name not in moved]
    alone = [name for name in left if not name.startswith("waist") and "wrist" not in name]
    if alone:
        raise VmError(
            f"the policy does not move {', '.join(alone)}; only joints of {' and '.join(_HELD_PARTS)} are held"
        )
    at = {name: g1.motor_index(name) for name in left}
    return {
        name: (float(g1.DEFAULT_STAND_POSE[i]), float(g1.MJLAB_KP[i]), float(g1.MJLAB_KD[i])) for name, i in at.items()
    }


def read_yaml_text(text: str, name: str) -> dict[str, Any]:
    """A map from YAML (or JSON, which is YAML), never constructing objects.

    Raises:
        VmError: too large, not YAML, or not a map.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise VmError(f"{name}: {len(text) >> 10} KB; expected a configuration below 1 MB")
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, TypeError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise VmError(f"{name}: not readable YAML ({reason[:160]})") from None
    if not isinstance(content, dict):
        raise VmError(f"{name}: expected a map, got {type(content).__name__}")
    return content


def split_csv(text: str) -> list[str]:
    """The parts of a comma-separated metadata value; brackets and quotes of printed Python lists are dropped."""
    return [part.strip(" \t'\"") for part in text.strip(" []()").split(",")]


def read_json(text: str, what: str) -> Any:
    """A JSON value.

    Raises:
        VmError: not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise VmError(f"{what} is not JSON: {text[:60]!r}") from None
