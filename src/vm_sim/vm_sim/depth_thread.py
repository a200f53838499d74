"""The depth camera beside the physics: pictures are made in a thread of their own, from copies of the configuration."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import mujoco
import numpy as np

from vm_core import g1
from vm_core.depth_image import DepthSpec
from vm_sim.depth_noise import DepthNoise, DepthNoiseConfig, NumpyDraws
from vm_sim.depth_shapes import DepthCamera

WIDTH, HEIGHT, HORIZONTAL_FOV_DEG = 424, 240, 87.0
"""The D435i's smallest picture of its full angle of view; 30 of them a second are its slowest rate there."""
_FOV_DEG = 2.0 * math.degrees(math.atan(HEIGHT / WIDTH * math.tan(0.5 * math.radians(HORIZONTAL_FOV_DEG))))
D435I = DepthSpec(width=WIDTH, height=HEIGHT, fov_deg=_FOV_DEG, near_m=0.1, far_m=10.0)
D435I_NOISE = DepthNoiseConfig(
    range_std=0.004, blob_share=0.02, nearest_m=(0.12, 0.12), patch_share=0.0, masks=0, tilt_rad=0.0,
    latency_s=(0.0, 0.0),
)  # fmt: skip
_FAR_AWAY_M = (0.0, 0.0, -50.0)


class DepthThread:
    """Takes configurations 30 times a second and hands over pictures (240, 424) uint16 [mm], 0 where nothing is known.

    Attributes:
        period_s: between two pictures.
        dropped: configurations that were overtaken by a later one.
    """

    def __init__(self, model: mujoco.MjModel, publish: Callable[[int, np.ndarray], None], seed: int) -> None:
        """Starts the thread; `publish(stamp_ns, picture)` is called in it."""
        self.period_s, self.dropped = 1.0 / D435I.rate_hz, 0
        self._camera = DepthCamera([model], D435I)
        self._noise = DepthNoise(1, D435I, D435I_NOISE, NumpyDraws(np.random.default_rng(seed)))
        self._publish = publish
        self._waiting: tuple[int, np.ndarray] | None = None
        self._changed = threading.Condition()
        self._ends = False
        self.picture(model.qpos0)  # compiled before time runs
        self._thread = threading.Thread(target=self._work, name="depth", daemon=True)
        self._thread.start()

    def picture(self, qpos: np.ndarray) -> np.ndarray:
        """The picture (240, 424) uint16 [mm] of a configuration (nq,)."""
        depth = self._noise.apply(self._camera.render(qpos[None]))[0]
        far = depth >= D435I.far_m
        return np.where(far, 0.0, np.rint(1000.0 * depth)).astype(np.uint16)

    def offer(self, stamp_ns: int, qpos: np.ndarray, *, without_object: bool = False) -> None:
        """Gives the configuration (nq,) of an exposure; never waits for the picture."""
        shown = qpos.copy()
        if without_object:
            shown[7 + g1.NUM_MOTORS :][:3] = _FAR_AWAY_M
        with self._changed:
            self.dropped += self._waiting is not None
            self._waiting = (stamp_ns, shown)
            self._changed.notify()

    def stop(self) -> None:
        """Ends the thread after what it is doing now."""
        with self._changed:
            self._ends = True
            self._changed.notify()
        self._thread.join(timeout=2.0)

    def _work(self) -> None:
        while True:
            with self._changed:
                while self._waiting is None and not self._ends:
                    self._changed.wait()
                if self._ends or self._waiting is None:
                    return
                stamp_ns, qpos = self._waiting
                self._waiting = None
            self._publish(stamp_ns, self.picture(qpos))
