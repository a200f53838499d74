"""The robot's motion switcher: which of the vendor's own controllers moves the robot, as requests over two topics.

A request names an API number and carries JSON; the response repeats the request's id. As in Unitree's public SDK
(`motion_switcher_client`). While a mode is active the vendor's controller writes motor commands of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

REQUEST_TOPIC = "/api/motion_switcher/request"
RESPONSE_TOPIC = "/api/motion_switcher/response"
CHECK_MODE, SELECT_MODE, RELEASE_MODE = 1001, 1002, 1003
OK = 0
ERROR_NOT_IMPLEMENTED, ERROR_PARAMETER = 3203, 3204
G1_MODES = ("ai", "normal", "advanced")
MAX_PARAMETER_CHARS = 10_000


def mode_of(data: str) -> str | None:
    """The active mode of a CHECK_MODE response, empty if none is; None for anything that is no such response."""
    if len(data) > MAX_PARAMETER_CHARS:
        return None
    try:
        name = json.loads(data)["name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return name if isinstance(name, str) else None


@dataclass
class MotionSwitcher:
    """What answers such requests: the simulated robot's.

    Attributes:
        mode: name of the active controller; empty: released, motor commands from outside count.
        modes: that can be selected.
    """

    mode: str = ""
    modes: tuple[str, ...] = G1_MODES

    def answer(self, api_id: int, parameter: str) -> tuple[int, str]:
        """Status code and JSON data for a request."""
        if api_id == CHECK_MODE:
            return OK, json.dumps({"form": "0", "name": self.mode})
        if api_id == RELEASE_MODE:
            self.mode = ""
            return OK, ""
        if api_id != SELECT_MODE:
            return ERROR_NOT_IMPLEMENTED, ""
        name = mode_of(parameter)
        if name not in self.modes:
            return ERROR_PARAMETER, ""
        self.mode = name
        return OK, ""
