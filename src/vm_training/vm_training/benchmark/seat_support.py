"""Who really sits in the benchmark: a seat bears the robot, and the robot is still."""

from __future__ import annotations

import mujoco
import numpy as np

from vm_core.scene_asset import SEAT
from vm_training.benchmark.robots import Robots

LEAST_SHARE = 0.3
"""Of the weight, borne by the seat."""
STILL_M_S, STILL_RAD_S = 0.1, 0.3
"""Fastest pelvis of one who sits."""


class SeatSupport:
    """Says of robots how they are borne."""

    def __init__(self, robots: Robots) -> None:
        self._robots = robots
        self._seats = [
            {
                robots.models[i].geom(f"scene_{k}").id
                for k, box in enumerate(episode.scene.boxes)
                if episode.seat_m > 0.0 and box.label == SEAT
            }
            for i, episode in enumerate(robots.episodes)
        ]
        self._data = [mujoco.MjData(robots.models[i]) if seats else None for i, seats in enumerate(self._seats)]

    def look(self, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N,) bool: which of robots (E,) sit; (N,) how much of their weight the seat bears. The others do not."""
        sits, share = np.zeros(self._robots.num, dtype=bool), np.zeros(self._robots.num)
        for i in active:
            if self._seats[i]:
                share[i] = self.share(i)
                sits[i] = self._still(i) and share[i] > LEAST_SHARE
        return sits, share

    def share(self, i: int) -> float:
        """How much of robot `i`'s weight its seat bears."""
        model, data, robots = self._robots.models[i], self._data[i], self._robots
        assert data is not None
        data.qpos[:], data.qvel[:] = robots.physics.qpos[i], robots.physics.qvel[i]
        data.ctrl[:] = robots.target[i]
        if not np.isfinite(data.qpos).all():
            return 0.0
        mujoco.mj_forward(model, data)
        up, force = 0.0, np.zeros(6)
        for k, contact in enumerate(data.contact):
            if self._seats[i] & {int(contact.geom1), int(contact.geom2)}:
                mujoco.mj_contactForce(model, data, k, force)
                sign = 1.0 if int(contact.geom1) in self._seats[i] else -1.0
                up += sign * float(contact.frame.reshape(3, 3)[:, 2] @ force[:3])
        return up / float(np.sum(model.body_mass) * 9.81)

    def _still(self, i: int) -> bool:
        speed = self._robots.physics.qvel[i]
        return bool(np.linalg.norm(speed[:3]) < STILL_M_S and np.linalg.norm(speed[3:6]) < STILL_RAD_S)
