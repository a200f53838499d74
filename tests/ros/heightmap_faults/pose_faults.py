"""What is wrong with time, poses and the mount."""

from __future__ import annotations

import numpy as np
from judging import SEEN, WALK, error_m, known
from world import World, box

from vm_core.scene_asset import SceneAsset


def time_jumps(world: World) -> dict:
    world.reset(SceneAsset())
    world.play(2.0, WALK)
    found = {}
    for name, jump_s in (("back", -1.0), ("ahead", 5.0), ("loop", -30.0)):
        epoch = world.grid.epoch
        world.time_s += jump_s
        world.play(2.0, WALK)
        found |= {f"{name}_epochs": int(world.grid.epoch - epoch), f"{name}_m": error_m(world)}
    return found


def odometry_jumps(world: World) -> dict:
    world.reset(SceneAsset())
    world.play(2.0, WALK)
    epoch = world.grid.epoch
    at = world.time_s
    world.alter = lambda points, _: points  # a scan that a jump cuts in two is refused
    world.odometry_error = lambda time_s: np.array([0.0, 0.0, 0.5 if time_s > at else 0.0])
    world.play(0.2, WALK)
    found = {"z_epochs": int(world.grid.epoch - epoch), "z_m": float(np.nanmax(np.abs(world.heights() - 0.5)))}
    epoch = world.grid.epoch
    world.yaw = np.deg2rad(30.0)
    world.play(0.2)
    found |= {"yaw_epochs": int(world.grid.epoch - epoch)}
    return found | {"yaw_m": float(np.nanmax(np.abs(world.heights() - 0.5)))}


def height_drift(world: World) -> dict:
    world.reset(SceneAsset())
    world.play(6.0, WALK)
    world.play_until(lambda: "map_shifted_m" in world.values)
    quiet = abs(float(world.values.get("map_shifted_m", "nan")))
    start = world.time_s
    world.odometry_error = lambda time_s: np.array([0.0, 0.0, 0.01 * max(time_s - start, 0.0)])
    world.play(6.0, WALK)
    moved = world.odometry_error(world.time_s)[2]
    off = np.abs(world.heights() - moved)
    return {"no_drift_shift_m": quiet, "mae_m": float(np.nanmean(off)), "moved_m": float(moved)}


def late_poses(world: World) -> dict:
    found = {}
    for delay_s in (0.05, 0.2, 0.3):
        world.reset(SceneAsset())
        world.odometry_delay_s = delay_s
        world.play(3.0, WALK)
        found[f"error_{delay_s}"] = error_m(world)
        found[f"known_{delay_s}"] = known(world)
        found[f"seen_{delay_s}"] = float(np.mean(world.sources() == SEEN))
    return found


def acceleration_units(world: World) -> dict:
    """Needs a node with its own odometry."""
    found = {}
    for name, unit_name, unit in (("g", "g", 1.0), ("si", "m/s2", 9.80665)):
        world.reset(
            SceneAsset(boxes=(box((3.0, 3.2), (-3, 3), (0, 2), "wall"), box((-3, 3), (2.5, 2.7), (0, 2), "wall")))
        )
        world.accel_unit = unit
        world.play_until(lambda: world.values.get("acceleration_unit") == unit_name)  # noqa: B023
        world.play(2.0)
        pose = world.own_pose.pose.pose
        tilt = 2.0 * float(np.hypot(pose.orientation.x, pose.orientation.y))
        found |= {
            f"{name}_unit": world.values.get("acceleration_unit", ""),
            f"{name}_tilt_deg": float(np.rad2deg(tilt)),
        }
        found |= {f"{name}_height_m": pose.position.z - float(world._stand[2])}
        found |= {f"{name}_moved_m": float(np.hypot(pose.position.x, pose.position.y))}
    return found


def wrong_mount(world: World) -> dict:
    """Needs a node whose mount is set wrong."""
    world.reset(SceneAsset())
    world.alter = lambda points, _: points  # none of them is taken
    world.play(3.0)
    world.play_until(lambda: world.heard("mount", level=2))
    messages = [message for name, level, message in world.said if name.endswith("mount") and level == 2]
    return {"said": messages[-1] if messages else "", "seen": int(np.sum(world.sources() == SEEN))}
