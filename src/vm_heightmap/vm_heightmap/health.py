"""What is wrong with the mapper's inputs now, part by part, and whether a grid is still fit to walk on."""

from __future__ import annotations

import numpy as np

from vm_heightmap.mapper_config import MapperConfig


class Health:
    """Keeps problems until they are over; times are this process's clock.

    Attributes:
        problems: by part: `odometry`, `lidar`, `joints`, `imu`.
        odometry_at_s, lidar_at_s: when the newest came; -inf before.
    """

    def __init__(self, config: MapperConfig) -> None:
        self._config = config
        self.problems: dict[str, str] = {}
        self.odometry_at_s = self.lidar_at_s = -np.inf

    def note(self, part: str, problem: str) -> None:
        """Sets a part's problem; an empty one is over."""
        if problem:
            self.problems[part] = problem
        else:
            self.problems.pop(part, None)

    def errors(self, now_s: float, mount: str, *, joints_known: bool) -> dict[str, str]:
        """All that is wrong now, by part, what the mount's check says among it; empty if nothing is."""
        found = dict(self.problems)
        if mount:
            found["mount"] = mount
        if not joints_known:
            found.setdefault("joints", "no LowState yet: waist taken as straight, no seed from the feet")
        for part, at_s, limit_s in (
            ("odometry", self.odometry_at_s, self._config.odometry_stale_s),
            ("lidar", self.lidar_at_s, self._config.lidar_stale_s),
        ):
            if now_s - at_s > limit_s:
                age = f"none for {now_s - at_s:.2f} s (limit {limit_s} s)" if np.isfinite(at_s) else "none yet"
                found[part] = f"{age}; {found[part]}" if part in found else age
        return found

    def is_lost(self, part: str, now_s: float) -> bool:
        """Whether what `errors` says of a part makes the grid unfit to walk on, beyond a warning."""
        if part == "lidar" and "lidar" not in self.problems:
            return now_s - self.lidar_at_s > self._config.lidar_lost_s
        return part != "joints"
