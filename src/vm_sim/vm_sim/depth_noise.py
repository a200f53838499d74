"""What a real depth camera does to a picture, and what training adds so that a policy does not lean on it.

Pure: all randomness comes from `Draws`, so one seed gives the same pictures, on numpy and torch alike. Pictures are
depths [m] with holes as 0; `DepthSpec.scaled` makes of them what networks see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from array_api_compat import array_namespace, device

from vm_core.depth_image import HOLE, DepthSpec
from vm_core.errors import VmError
from vm_core.frames import Array, quat_from_rotvec

_BASELINE_M = 0.05  # between the D435i's two imagers
_NEAREST_SHADOW_M = 0.2  # nearer things throw a shadow as wide as one here
_STEEP = 0.1  # share of the depth by which neighbours differ at an edge
_BLOB_PX = 4


class Draws(Protocol):
    """Random numbers as arrays of the kind that the pictures are."""

    def uniform(self, shape: tuple[int, ...]) -> Array: ...
    def normal(self, shape: tuple[int, ...]) -> Array: ...


class NumpyDraws:
    """Float32 numbers of a numpy generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def uniform(self, shape: tuple[int, ...]) -> np.ndarray:
        return self._rng.random(shape, dtype=np.float32)

    def normal(self, shape: tuple[int, ...]) -> np.ndarray:
        return self._rng.standard_normal(shape, dtype=np.float32)


@dataclass(frozen=True)
class DepthNoiseConfig:
    """How bad pictures are; zeros for none.

    Attributes:
        range_std: standard deviation at 1 m [m]; it grows with the square of the depth.
        blob_share: largest share of a picture that is lost in blobs; each picture draws its own.
        shadows: leave out what only one of the two imagers sees, left of near edges.
        fat_share: share of the pixels beside an edge that show the nearer side's depth.
        nearest_m: least and largest depth below which the camera measures nothing; fixed for an episode.
        patch_share: share of episodes with a white patch in the lower left corner.
        patch_px: its width and height.
        masks, mask_share, mask_px: so many rectangles, each there with this probability, up to this wide and high.
        tilt_rad: largest turn of the camera in its mount, about each axis; fixed for an episode.
        latency_s: least and largest time from exposure to the policy; fixed for an episode.
    """

    range_std: float = 0.006
    blob_share: float = 0.03
    shadows: bool = True
    fat_share: float = 0.3
    nearest_m: tuple[float, float] = (0.1, 0.25)
    patch_share: float = 0.2
    patch_px: tuple[int, int] = (16, 14)
    masks: int = 6
    mask_share: float = 0.1
    mask_px: int = 30
    tilt_rad: float = math.radians(5.0)
    latency_s: tuple[float, float] = (0.0, 0.06)

    def __post_init__(self) -> None:
        shares = (self.blob_share, self.fat_share, self.patch_share, self.mask_share)
        if not all(0.0 <= share <= 1.0 for share in shares) or min(self.range_std, self.tilt_rad) < 0.0:
            raise VmError(f"{self}: expected shares of 0 to 1 and nothing negative")
        for low, high in (self.nearest_m, self.latency_s):
            if not 0.0 <= low <= high:
                raise VmError(f"{self}: expected ranges from 0 on that rise")

    @staticmethod
    def none() -> DepthNoiseConfig:
        """A perfect camera."""
        return DepthNoiseConfig(0.0, 0.0, False, 0.0, (0.0, 0.0), 0.0, (1, 1), 0, 0.0, 1, 0.0, (0.0, 0.0))


class DepthNoise:
    """The cameras of N worlds.

    Attributes:
        tilt: (N, 4) wxyz, turn of each camera's optical frame, for rendering.
        latency_s: (N,) from exposure to the policy.
    """

    def __init__(self, count: int, spec: DepthSpec, config: DepthNoiseConfig, draws: Draws) -> None:
        self._count, self._spec, self._config, self._draws = count, spec, config, draws
        zeros = 0.0 * draws.uniform((count, 3))
        self.tilt = quat_from_rotvec(zeros)
        self.latency_s, self._nearest, self._patched = zeros[:, 0] + 0.0, zeros[:, 0] + 0.0, zeros[:, 0] + 0.0
        self.reset(slice(None), count)

    def reset(self, worlds: Any, count: int) -> None:
        """Draws the cameras of `count` worlds anew; `worlds` indexes them."""
        config, uniform = self._config, self._draws.uniform
        self.tilt[worlds] = quat_from_rotvec(config.tilt_rad * (2.0 * uniform((count, 3)) - 1.0))
        self.latency_s[worlds] = _between(config.latency_s, uniform((count,)))
        self._nearest[worlds] = _between(config.nearest_m, uniform((count,)))
        self._patched[worlds] = uniform((count,))

    def apply(self, depth: Array) -> Array:
        """Pictures (N, height, width) [m] as the cameras give them, holes as 0."""
        config, xp = self._config, array_namespace(depth)
        depth, clean = depth + 0.0, depth
        if config.fat_share > 0.0:
            depth = self._fatten(depth)
        if config.range_std > 0.0:
            depth = depth + config.range_std * clean**2 * self._draws.normal(tuple(depth.shape))
        holes = clean < self._nearest[:, None, None]
        if config.shadows:
            holes = holes | self._shadows(clean)
        if config.blob_share > 0.0:
            holes = holes | self._blobs(depth)
        depth = xp.where(holes, xp.ones_like(depth) * HOLE, xp.clip(depth, 0.0, None))
        return self._mask(depth)

    def _fatten(self, depth: Array) -> Array:
        xp = array_namespace(depth)
        left = xp.concat([depth[..., :1], depth[..., :-1]], axis=-1)
        right = xp.concat([depth[..., 1:], depth[..., -1:]], axis=-1)
        nearest = xp.minimum(left, right)
        edge = nearest < (1.0 - _STEEP) * depth
        return xp.where(edge & (self._draws.uniform(tuple(depth.shape)) < self._config.fat_share), nearest, depth)

    def _shadows(self, depth: Array) -> Array:
        """Left of a near edge the other imager's view is blocked: as many pixels as the disparities differ by."""
        xp = array_namespace(depth)
        columns = xp.arange(self._spec.width, dtype=depth.dtype, device=device(depth))
        # a pixel is hidden by any to its right that stands as far left of its own place in the other picture
        place = self._spec.focal_px * _BASELINE_M / xp.clip(depth, 0.1, None) - columns
        right = xp.concat([place[..., 1:], place[..., :1] * 0.0 - float("inf")], axis=-1)
        step, widest = 1, self._spec.focal_px * _BASELINE_M / _NEAREST_SHADOW_M
        while step < widest:  # the greatest of all to the right, by doubling
            ahead = xp.concat([right[..., step:], right[..., :step] * 0.0 - float("inf")], axis=-1)
            right = xp.maximum(right, ahead)
            step *= 2
        return right >= place

    def _blobs(self, depth: Array) -> Array:
        xp, (count, height, width) = array_namespace(depth), depth.shape
        rows, columns = -(-height // _BLOB_PX), -(-width // _BLOB_PX)
        share = self._config.blob_share * self._draws.uniform((count, 1, 1))
        lost = self._draws.uniform((count, rows, columns)) < share
        spread = xp.broadcast_to(lost[:, :, None, :, None], (count, rows, _BLOB_PX, columns, _BLOB_PX))
        return xp.reshape(spread, (count, rows * _BLOB_PX, columns * _BLOB_PX))[:, :height, :width]

    def _mask(self, depth: Array) -> Array:
        """The corner's patch, then rectangles: white (far), black (near) or any grey."""
        config, spec, xp = self._config, self._spec, array_namespace(depth)
        wide, high = config.patch_px
        patched = self._patched < config.patch_share
        depth[patched, -high:, :wide] = spec.far_m
        rows = xp.arange(spec.height, device=device(depth))[None, :, None]
        columns = xp.arange(spec.width, device=device(depth))[None, None, :]
        for _ in range(config.masks):
            there = self._draws.uniform((self._count,)) < config.mask_share
            x, y, w, h, kind, grey = (self._draws.uniform((self._count, 6))[there, i, None, None] for i in range(6))
            left, top = x * spec.width, y * spec.height
            inside = (columns >= left) & (columns < left + 1 + w * (config.mask_px - 1))
            inside = inside & (rows >= top) & (rows < top + 1 + h * (config.mask_px - 1))
            fill = xp.where(kind < 1 / 3, xp.ones_like(grey), xp.where(kind < 2 / 3, xp.zeros_like(grey), grey))
            depth[there] = xp.where(inside, spec.near_m + fill * (spec.far_m - spec.near_m), depth[there])
        return depth


class DepthDelay:
    """Holds pictures back: cameras expose at their own rate and moment, and what they see comes late."""

    def __init__(self, count: int, spec: DepthSpec, period_s: float, longest_s: float, draws: Draws) -> None:
        """Prepares memory for pictures that come once a control period and count until `longest_s` later."""
        self._spec, self._period_s, self._draws = spec, period_s, draws
        depth = math.ceil((longest_s + 1.0 / spec.rate_hz) / period_s) + 1
        self._past = [0.0 * draws.uniform((count, spec.height, spec.width)) for _ in range(depth)]
        self._moment = draws.uniform((count,)) / spec.rate_hz
        self._age = 0.0 * self._moment
        self._fresh = self._moment > -1.0
        self._time_s = 0.0

    def reset(self, worlds: Any, count: int) -> None:
        """Forgets the pictures of `count` worlds; `worlds` indexes them."""
        self._moment[worlds] = self._draws.uniform((count,)) / self._spec.rate_hz
        self._fresh[worlds] = True

    def push(self, depth: Array, latency_s: Array) -> Array:
        """Takes the pictures (N, height, width) of now; gives those that the policies have by now.

        Args:
            depth: of this control period.
            latency_s: (N,) from exposure to the policy.
        """
        xp = array_namespace(depth)
        self._past = [depth, *(xp.where(self._fresh[:, None, None], depth, old) for old in self._past[:-1])]
        self._fresh = self._fresh & (self._moment > 1e9)
        self._time_s += self._period_s
        # newest exposure that has arrived: exposures are at moment + k / rate
        rate = self._spec.rate_hz
        arrived = xp.floor((self._time_s - latency_s - self._moment) * rate) / rate + self._moment
        steps = xp.clip(xp.round((self._time_s - arrived) / self._period_s), 0, len(self._past) - 1)
        seen = self._past[0]
        for age, picture in enumerate(self._past[1:], 1):
            seen = xp.where((steps == age)[:, None, None], picture, seen)
        return seen


def _between(limits: tuple[float, float], share: Array) -> Array:
    return limits[0] + (limits[1] - limits[0]) * share
