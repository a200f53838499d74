"""What is wrong with a scan: points that are none, too few, or of what is not there."""

from __future__ import annotations

import numpy as np
from judging import WALK, error_m, known, set_points, spikes
from world import World

from vm_core.scene_asset import SceneAsset


def not_finite(world: World) -> dict:
    world.reset(SceneAsset())

    def two_percent(points, _):
        for value in (np.nan, np.inf, -np.inf, 1e30):
            points = set_points(points, world.rng.random(len(points)) < 0.005, value)
        return points

    world.alter = two_percent
    world.play(3.0, WALK)
    world.play_until(lambda: int(world.values.get("not_finite", 0)) > 0)
    found = {"error_m": error_m(world), "counted": int(world.values.get("not_finite", 0))}
    world.alter = lambda points, _: set_points(points, np.ones(len(points), dtype=bool), np.nan)
    named = world.play_until(lambda: world.heard("lidar", "not finite", 2))
    return found | {"named": named, "after_m": error_m(world)}


def no_returns(world: World) -> dict:
    world.reset(SceneAsset())
    world.alter = lambda points, _: set_points(points, world.rng.random(len(points)) < 0.07, 0.0)
    world.play(3.0, WALK)
    world.listen()
    world.play_until(lambda: world.reports("lidar") >= 2)
    found = {"error_m": error_m(world), "quiet": not world.heard("lidar", "no-return")}
    world.alter = lambda points, _: set_points(points, world.rng.random(len(points)) < 0.99, 0.0)
    named = world.play_until(lambda: world.heard("lidar", "no-returns", 2))
    return found | {"named": named, "after_m": error_m(world)}


def tiny_scans(world: World) -> dict:
    world.reset(SceneAsset())
    world.play(2.0, WALK)
    found = {}
    for count in (0, 3):
        world.alter = lambda points, _, count=count: points[:count]
        before = world.grids
        world.play(0.3)
        world.listen()
        world.play(1.0)
        named = world.play_until(lambda: world.heard("lidar", "", 2))
        found |= {f"named_{count}": named, f"grids_{count}": world.grids - before}
    world.reset(SceneAsset())
    world.alter = lambda points, _: points[::13]
    world.play(5.0, WALK)
    return found | {"error_m": error_m(world), "known": known(world)}


def dropped_scans(world: World) -> dict:
    world.reset(SceneAsset())
    world.play(3.0, WALK)
    variance = np.array(world.grid.variance)
    found = {"warned": world.wait_until(lambda: _warned(world))}
    world.alter = lambda points, _: None
    world.play(0.5)
    world.wait_until(lambda: world.heard("lidar", "none for", 2))
    grown = np.array(world.grid.variance) - variance  # it stood, so these are the same cells
    world.play(1.0, WALK)
    found |= {"error_at_1s": world.heard("lidar", "none for", 2), "error_m": error_m(world)}
    found["variance_grows"] = float(np.nanmedian(grown)) > 0.0
    world.alter = None
    world.play(1.5, WALK)
    return found | {"after_m": error_m(world)}


def _warned(world: World) -> bool:
    """Whether the first complaint once scans cease is a warning: a node that is held up goes on to the error."""
    world.alter = None
    world.play(0.2)
    world.listen()
    world.wait_until(lambda: world.heard("lidar", "none for"))
    return world.heard("lidar", "none for", 1)


def mirrors(world: World) -> dict:
    world.reset(SceneAsset())

    def wet_floor(points, _):
        down = (points["z"] > 0.6) & (world.rng.random(len(points)) < 0.05)
        for axis in "xyz":  # an image as far below the floor as something stands above it
            points[axis][down] *= 1.4
        return points

    world.alter = wet_floor
    world.play(6.0, WALK)
    return {"spikes": spikes(world), "error_m": error_m(world), "known": known(world)}


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
    return {"p99_m": float(np.nanpercentile(off, 99)), "known": known(world)}
