"""ROS types by name: their classes, and the texts of their definitions as viewers and recordings want them."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vm_core.errors import VmError

_SEPARATOR = "=" * 80
_PRIMITIVE = {
    *("bool", "byte", "char", "float32", "float64", "string", "wstring"),
    *(f"{sign}int{size}" for sign in ("", "u") for size in (8, 16, 32, 64)),
}
_NAME = re.compile(r"[A-Za-z]\w*/(msg|srv)/[A-Za-z]\w*")


def message_type(name: str) -> Any:
    """The class of a type such as `std_msgs/msg/String` or `std_srvs/srv/Trigger`.

    Raises:
        VmError: no such type is installed.
    """
    if not _NAME.fullmatch(name):
        raise VmError(f"type {name!r}; expected PACKAGE/msg/NAME or PACKAGE/srv/NAME")
    package, kind, short = name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), short)
    except (ImportError, AttributeError):
        raise VmError(f"type {name} is not installed") from None


def message_definition(name: str, read: Callable[[str], str] | None = None) -> str:
    """A message's definition with those of all the types in it, in the form that MCAP calls ros2msg.

    Args:
        name: `PACKAGE/msg/NAME`.
        read: gives the text of one type's own .msg file; by default it is looked for in the sourced install prefixes.

    Raises:
        VmError: a definition is not installed.
    """
    read = read or installed_definition
    texts = {name: read(name)}
    waiting = [name]
    while waiting:
        package = (current := waiting.pop(0)).split("/")[0]
        for inner in _types_within(texts[current], package):
            if inner not in texts:
                texts[inner] = read(inner)
                waiting.append(inner)
    first, *rest = texts.items()
    parts = [first[1]]
    for full, text in rest:
        package, _, short = full.split("/")
        parts.append(f"{_SEPARATOR}\nMSG: {package}/{short}\n{text}")
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


def service_definitions(name: str) -> tuple[str, str]:
    """Request and response of a service of plain fields, as two definitions.

    Raises:
        VmError: it is not installed.
    """
    request, _, response = installed_definition(name).partition("---")
    return request.strip(), response.strip()


def installed_definition(name: str, prefixes: Sequence[Path] | None = None) -> str:
    """The text of a type's .msg or .srv file in an install prefix of the environment.

    Raises:
        VmError: none has it.
    """
    package, kind, short = name.split("/")
    if prefixes is None:
        prefixes = [Path(part) for part in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part]
    paths = [prefix / "share" / package / kind / f"{short}.{kind}" for prefix in prefixes]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise VmError(f"no definition of {name} is installed; start by vm-ros-env, or source ROS 2")
    return path.read_text()


def _types_within(text: str, package: str) -> list[str]:
    """Full names of the message types that a definition's fields have."""
    found = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if len(words) < 2 or "=" in words[1]:
            continue
        kind = re.sub(r"(\[.*\]|<=\d+)", "", words[0])
        if kind in _PRIMITIVE:
            continue
        parts = kind.split("/")
        found.append(f"{parts[0] if len(parts) > 1 else package}/msg/{parts[-1]}")
    return found
