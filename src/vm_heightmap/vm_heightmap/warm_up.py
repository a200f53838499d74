"""Compiles everything once, so that no message ever waits for the compiler."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vm_core import g1, livox_cdr, unitree_cdr
from vm_heightmap.inertial_filter import GRAVITY
from vm_heightmap.mapper import HeightMapper
from vm_heightmap.mapper_config import MapperConfig
from vm_heightmap.mount_check import MountLimits


def compile_now(config: MapperConfig) -> None:
    """Feeds a mapper of this configuration with a second of a robot that stands on a floor."""
    mapper = HeightMapper(replace(config, mount=MountLimits(0.0)))
    state = unitree_cdr.new_low_state()
    unitree_cdr.set_motors(state, "q", g1.DEFAULT_STAND_POSE)
    upright, rng = np.array([1.0, 0.0, 0.0, 0.0]), np.random.default_rng(0)
    pelvis = np.array([0.0, 0.0, g1.STAND_PELVIS_HEIGHT_M])
    for k in range(280):
        time_s = 0.005 * k
        mapper.on_low_state(state.tobytes())
        if config.own_odometry:
            mapper.on_imu(time_s, np.zeros(3), np.array([0.0, 0.0, -GRAVITY]), time_s)
        elif k % 2 == 0:
            mapper.on_odometry(time_s, pelvis, upright, time_s)
        if k in (240, 260, 279):
            mapper.on_scan(_floor_scan(time_s - 0.1, rng), time_s)
    mapper.elevation.shift(1e-6)
    mapper.grid(2.0)


def _floor_scan(start_s: float, rng: np.random.Generator) -> bytes:
    points = np.zeros(4000, dtype=livox_cdr.POINT)
    angle, radius = rng.uniform(0.0, 2.0 * np.pi, 4000), rng.uniform(1.0, 3.0, 4000)
    points["x"], points["y"], points["z"] = radius * np.cos(angle), radius * np.sin(angle), 1.2
    points["offset_time"] = np.arange(4000) * 25_000
    stamp = round(max(start_s, 0.0) * 1e9)
    return livox_cdr.encode_custom_msg(livox_cdr.LivoxScan(stamp, "livox_frame", stamp, points))
