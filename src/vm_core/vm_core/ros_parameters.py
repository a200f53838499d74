"""Parameters of nodes, declared so that a slip on the command line is one line, not a traceback.

A node hands itself in; nothing of ROS is imported here.
"""

from __future__ import annotations

from typing import Any

from vm_core.errors import VmError

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list like [1, 2]"}


def declare_parameter(node: Any, name: str, default: Any, descriptor: Any) -> Any:
    """Declares a parameter whose type is its default's; a whole number is taken where any number is.

    Args:
        node: of rclpy.
        name: of the parameter.
        default: where the command line and parameter files give nothing.
        descriptor: of rcl_interfaces; its range is checked here, too.

    Returns:
        The parameter's value.

    Raises:
        VmError: what was given is of another type or out of range.
    """
    # a first declaration of any type tells what was given; rclpy has no other way to ask
    given = node.declare_parameter(name, default, type(descriptor)(dynamic_typing=True)).value
    node.undeclare_parameter(name)
    value = checked(name, given, default, _range(descriptor))
    node.declare_parameter(name, value, descriptor, ignore_override=True)
    return value


def checked(name: str, given: Any, default: Any, allowed: tuple[float, float] | None = None) -> Any:
    """What was given, as the default's type.

    Raises:
        VmError: another type, or out of the allowed range.
    """
    kind = type(default)
    if kind is float and type(given) is int:
        given = float(given)
    value: Any = list(given) if kind is list and hasattr(given, "__iter__") and not isinstance(given, str) else given
    if type(value) is not kind:
        raise VmError(f"parameter {name}: got {given!r}; expected {_KINDS[kind]}")
    if allowed is not None and not allowed[0] <= value <= allowed[1]:
        raise VmError(f"parameter {name}: got {value!r}; expected {allowed[0]:g} to {allowed[1]:g}")
    return value


def _range(descriptor: Any) -> tuple[float, float] | None:
    limits = [*descriptor.floating_point_range, *descriptor.integer_range]
    return (limits[0].from_value, limits[0].to_value) if limits else None
