"""Whether a controller of the robot's own is active, asked once a second while ours is idle. Pure: time comes in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vm_core.motion_switcher import CHECK_MODE, OK, mode_of

EVERY_S = 1.0
FORGOTTEN_S = 5.0
"""An answer older than this tells nothing: the switcher may be gone."""


@dataclass
class MotionModeWatch:
    """Knows the newest answer of the motion switcher; where there is none, it knows nothing and forbids nothing.

    Where there is one, it must have answered before a start: on a busy computer the operator may be faster.
    """

    _asked_s: float = -math.inf
    _asked_id: int = 0
    _mode: str = ""
    _told_s: float = -math.inf
    _heard: bool = False

    def question(self, now_s: float) -> int | None:
        """The id of a CHECK_MODE request to send now, or None while the last one is young."""
        if now_s - self._asked_s < EVERY_S:
            return None
        self._asked_s, self._asked_id = now_s, int(now_s * 1e9)
        return self._asked_id

    def on_response(self, request_id: int, api_id: int, code: int, data: str, now_s: float) -> None:
        """Takes a response; those to others' requests and other kinds are none of ours."""
        if request_id != self._asked_id or api_id != CHECK_MODE:
            return
        self._heard = True
        if code != OK:
            return
        mode = mode_of(data)
        if mode is not None:
            self._mode, self._told_s = mode, now_s

    def obstacle(self, now_s: float, *, there: bool) -> str:
        """Why the robot must not be commanded, or nothing; `there`: whether a motion switcher listens to questions."""
        if there and not self._heard:
            return "motion mode: the robot's motion switcher has not answered yet whether its own controller is active"
        if not self._mode or now_s - self._told_s > FORGOTTEN_S:
            return ""
        return f"motion mode: the robot's own controller {self._mode[:20]!r} is active; vm-motion-mode release ends it"
