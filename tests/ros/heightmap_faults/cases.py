"""The ways in which real systems fail, one function each: `python cases.py NAME…` prints what a running node did.

Each plays a fault and returns figures that the test judges. Run by test_vm_heightmap_faults_ros.py.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from world import World, box

from vm_core import g1
from vm_core.scene_asset import SceneAsset

WALK = (0.35, 0.0, 0.0)
SEEDED, SEEN, UNKNOWN = 3, 1, 0


def _error(world: World) -> float:
    """Error that 98 of 100 cells stay below, of those whose height is told [m]."""
    off = np.abs(world.heights() - world.truth())
    return float(np.nanpercentile(off, 98)) if np.isfinite(off).any() else float("nan")


def _spikes(world: World) -> int:
    """Cells that are off by more than 5 cm."""
    return int(np.nansum(np.abs(world.heights() - world.truth()) > 0.05))


def _set(points: np.ndarray, pick: np.ndarray, values) -> np.ndarray:
    for axis, value in zip("xyz", np.broadcast_to(np.asarray(values, dtype=float), (3,)), strict=True):
        points[axis][pick] = value
    return points


def not_finite(world: World) -> dict:
    world.reset(SceneAsset())

    def two_percent(points, _):
        for value in (np.nan, np.inf, -np.inf, 1e30):
            points = _set(points, world.rng.random(len(points)) < 0.005, value)
        return points

    world.alter = two_percent
    world.play(3.0, WALK)
    found = {"error_m": _error(world), "counted": int(world.values.get("not_finite", 0))}
    world.alter = lambda points, _: _set(points, np.ones(len(points), dtype=bool), np.nan)
    world.play(1.2)
    world.listen()
    world.wait(0.7)
    return found | {"named": world.heard("lidar", "not finite", 2), "after_m": _error(world)}


def no_returns(world: World) -> dict:
    world.reset(SceneAsset())
    world.alter = lambda points, _: _set(points, world.rng.random(len(points)) < 0.07, 0.0)
    world.play(3.0, WALK)
    world.listen()
    world.wait(0.2)
    world.play(1.0)
    found = {"error_m": _error(world), "quiet": not world.heard("lidar", "no-return")}
    world.alter = lambda points, _: _set(points, world.rng.random(len(points)) < 0.99, 0.0)
    world.play(1.2)
    world.listen()
    world.wait(0.7)
    return found | {"named": world.heard("lidar", "no-returns", 2), "after_m": _error(world)}


def tiny_scans(world: World) -> dict:
    world.reset(SceneAsset())
    world.play(2.0, WALK)
    found = {}
    for count in (0, 3):
        world.alter = lambda points, _, count=count: points[:count]
        before = world.grids
        world.play(1.2)
        world.listen()
        world.wait(0.7)
        found |= {f"named_{count}": world.heard("lidar", "", 2), f"grids_{count}": world.grids - before}
    world.reset(SceneAsset())
    world.alter = lambda points, _: points[::13]
    world.play(5.0, WALK)
    return found | {"error_m": _error(world), "known": float(np.mean(world.sources() != UNKNOWN))}


def dropped_scans(world: World) -> dict:
    world.reset(SceneAsset())
    world.play(3.0, WALK)
    variance = float(np.nanmin(np.array(world.grid.variance)))
    world.alter = lambda points, _: None
    world.listen()
    world.wait(0.85)
    world.play(0.5, WALK)
    found = {"warned": world.heard("lidar", "none for", 1)}
    world.wait(1.0)
    world.play(1.0, WALK)
    found |= {"error_at_1s": world.heard("lidar", "none for", 2), "error_m": _error(world)}
    found["variance_grows"] = float(np.nanmin(np.array(world.grid.variance))) > variance
    world.alter = None
    world.play(1.5, WALK)
    return found | {"after_m": _error(world)}


def time_jumps(world: World) -> dict:
    world.reset(SceneAsset())
    world.play(2.0, WALK)
    found = {}
    for name, jump_s in (("back", -1.0), ("ahead", 5.0), ("loop", -30.0)):
        epoch = world.grid.epoch
        world.time_s += jump_s
        world.play(2.0, WALK)
        found |= {f"{name}_epochs": int(world.grid.epoch - epoch), f"{name}_m": _error(world)}
    return found


def odometry_jumps(world: World) -> dict:
    world.reset(SceneAsset())
    world.play(2.0, WALK)
    epoch = world.grid.epoch
    at = world.time_s
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
    quiet = abs(float(world.values.get("map_shifted_m", "nan")))
    start = world.time_s
    world.odometry_error = lambda time_s: np.array([0.0, 0.0, 0.01 * max(time_s - start, 0.0)])
    world.play(6.0, WALK)
    moved = world.odometry_error(world.time_s)[2]
    off = np.abs(world.heights() - moved)
    return {"no_drift_shift_m": quiet, "mae_m": float(np.nanmean(off)), "moved_m": float(moved)}


def mirrors(world: World) -> dict:
    world.reset(SceneAsset())

    def wet_floor(points, _):
        down = (points["z"] > 0.6) & (world.rng.random(len(points)) < 0.05)
        for axis in "xyz":  # an image as far below the floor as something stands above it
            points[axis][down] *= 1.4
        return points

    world.alter = wet_floor
    world.play(6.0, WALK)
    return {"spikes": _spikes(world), "error_m": _error(world), "known": float(np.mean(world.sources() != UNKNOWN))}


def people(world: World) -> dict:
    world.reset(SceneAsset(), mover=True)
    world.play(1.5)
    for k in range(40):  # 1 m/s, 1.1 m ahead of the robot
        world.mover = np.array([1.1, -2.0 + 0.1 * k, 0.9])
        world.play(0.1)
    world.mover = np.array([50.0, 0.0, 0.9])
    world.play(0.9)
    world.play(2.5, WALK)
    return {"spikes": _spikes(world), "error_m": _error(world), "known": float(np.mean(world.sources() != UNKNOWN))}


def rain(world: World) -> dict:
    world.reset(SceneAsset())

    def drops(points, _):
        pick = world.rng.random(len(points)) < 0.01
        for axis, (low, high) in zip("xyz", ((-3, 3), (-3, 3), (-0.5, 1.2)), strict=True):
            points[axis][pick] = world.rng.uniform(low, high, int(pick.sum()))
        return points

    world.alter = drops
    world.play(6.0, WALK)
    off = np.abs(world.heights() - world.truth())
    return {"p99_m": float(np.nanpercentile(off, 99)), "known": float(np.mean(world.sources() != UNKNOWN))}


def own_body(world: World) -> dict:
    world.reset(SceneAsset())
    pitch = [g1.motor_index(f"{side}_shoulder_pitch_joint") for side in ("left", "right")]
    dropped = 0

    def swing():  # 0.6 rad at 0.8 Hz, hands in front of the chest
        world.joints[pitch] = -0.9 + 0.6 * np.sin(5.0 * world.time_s) * np.array([1.0, -1.0])

    world.on_tick = swing
    for _ in range(40):
        world.play(0.1, WALK)
        dropped = max(dropped, int(world.values.get("body", 0)))
    return {
        "spikes": _spikes(world),
        "error_m": _error(world),
        "body_points": dropped,
        "known": float(np.mean(world.sources() != UNKNOWN)),
    }


def edges_and_holes(world: World) -> dict:
    steps = [
        box((-3, 1.6), (-1, 1), (-4, 0)),
        box((1.6, 1.9), (-1, 1), (-4, -0.15)),
        box((1.9, 4), (-1, 1), (-4, -0.3)),
    ]
    world.reset(SceneAsset(boxes=tuple(steps), ground=(0.0, 0.0, -4.0)))
    world.play(1.0)
    world.play(4.4, WALK)
    told = world.sources() != UNKNOWN
    middle = slice(2, 9)
    off = np.abs(world.heights() - world.truth())
    found = {"stairs_known": float(np.mean(told[:, middle])), "stairs_mae_m": float(np.nanmean(off[:, middle]))}
    world.reset(
        SceneAsset(boxes=(box((-3, 1.6), (-1, 1), (-4, 0)), box((1.9, 4), (-1, 1), (-4, 0))), ground=(0, 0, -4.0))
    )
    world.play(1.0)
    world.play(4.6, WALK)
    deep = world.truth() < -1.0
    inside = deep & np.roll(deep, 1, axis=0) & np.roll(deep, -1, axis=0)  # 5 cm and more from its edges
    in_gap = inside[:, middle]
    as_floor = np.abs(world.heights()[:, middle]) < 0.05
    return found | {"gap_cells": int(in_gap.sum()), "gap_as_floor": float(np.mean(as_floor[in_gap]))}


def blind_start(world: World) -> dict:
    found = {}
    for name, z in (("flat", 0.0), ("step", 0.15)):
        world.reset(SceneAsset(boxes=(box((-0.6, 0.6), (-0.6, 0.6), (-1.0, 0.15)),) if z else ()), z)
        world.play(0.3)
        found |= {f"{name}_seeded": float(np.mean(world.sources() == SEEDED))}
        found |= {f"{name}_m": float(np.nanmax(np.abs(world.heights() - z)))}
        found |= {f"{name}_std_m": float(np.sqrt(np.nanmin(np.array(world.grid.variance))))}
    return found


def late_poses(world: World) -> dict:
    found = {}
    for delay_s in (0.05, 0.2, 0.3):
        world.reset(SceneAsset())
        world.odometry_delay_s = delay_s
        world.play(3.0, WALK)
        found[f"error_{delay_s}"] = _error(world)
        found[f"known_{delay_s}"] = float(np.mean(world.sources() != UNKNOWN))
        found[f"seen_{delay_s}"] = float(np.mean(world.sources() == SEEN))
    return found


def standing_for_minutes(world: World) -> dict:
    world.reset(SceneAsset())
    world.play(4.0, WALK)
    before, error = float(np.mean(world.sources() != UNKNOWN)), _error(world)
    for _ in range(10):
        world.still(60.0, 0.5)
        world.play(0.3)
    std = float(np.sqrt(np.nanmax(np.array(world.grid.variance))))
    after = float(np.mean(world.sources() != UNKNOWN))
    return {"before": before, "after": after, "error_m": _error(world) - error, "std_m": std}


def viewers(world: World) -> dict:
    """Needs a node that knows no joints yet, so that there is no seed."""
    world.reset(SceneAsset())
    world.send_joints = False
    world.play(0.5)
    world.wait(0.1)
    found = {"nan": int(np.isnan(world.heights()).sum()), "empty": world.cloud.width}
    world.play(1.0, WALK)
    world.wait(0.1)
    values = np.frombuffer(bytes(world.cloud.data), dtype=np.float32)
    told = int(np.sum(world.sources() != UNKNOWN))
    found |= {"points": world.cloud.width, "told": told}
    return found | {"all_finite": bool(np.isfinite(values).all()), "dense": world.cloud.is_dense}


def acceleration_units(world: World) -> dict:
    """Needs a node with its own odometry."""
    found = {}
    for name, unit in (("g", 1.0), ("si", 9.80665)):
        world.reset(
            SceneAsset(boxes=(box((3.0, 3.2), (-3, 3), (0, 2), "wall"), box((-3, 3), (2.5, 2.7), (0, 2), "wall")))
        )
        world.accel_unit = unit
        world.play(3.0)
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
    world.listen()
    world.play(3.0)
    messages = [message for name, level, message in world.said if name.endswith("mount") and level == 2]
    return {"said": messages[-1] if messages else "", "seen": int(np.sum(world.sources() == SEEN))}


if __name__ == "__main__":
    names = sys.argv[1:]
    world = World(own="acceleration_units" in names)
    world.send_joints = names[0] != "viewers"
    # the node compiles first
    for _ in range(60):
        world.play(0.1)
        if world.grid is not None or world.own_pose is not None:
            break
    for name in names:
        print(json.dumps({name: globals()[name](world)}), flush=True)
