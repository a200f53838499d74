"""What stands around the robot, what it cannot see, and who looks at the grid."""

from __future__ import annotations

import numpy as np
from judging import SEEDED, UNKNOWN, WALK, error_m, known, spikes
from world import World, box

from vm_core import g1
from vm_core.scene_asset import SceneAsset


def people(world: World) -> dict:
    world.reset(SceneAsset(), mover=True)
    world.play(1.5)
    for k in range(40):  # 1 m/s, 1.1 m ahead of the robot
        world.mover = np.array([1.1, -2.0 + 0.1 * k, 0.9])
        world.play(0.1)
    world.mover = np.array([50.0, 0.0, 0.9])
    world.play(0.9)
    world.play(2.5, WALK)
    return {"spikes": spikes(world), "error_m": error_m(world), "known": known(world)}


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
    world.play_until(lambda: int(world.values.get("body", 0)) > 0)
    dropped = max(dropped, int(world.values.get("body", 0)))
    return {
        "spikes": spikes(world),
        "error_m": error_m(world),
        "body_points": dropped,
        "known": known(world),
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


def standing_for_minutes(world: World) -> dict:
    world.reset(SceneAsset())
    world.play(4.0, WALK)
    before, error = known(world), error_m(world)
    for _ in range(10):
        world.still(60.0, 0.5)
        world.play(0.3)
    std = float(np.sqrt(np.nanmax(np.array(world.grid.variance))))
    after = known(world)
    return {"before": before, "after": after, "error_m": error_m(world) - error, "std_m": std}


def viewers(world: World) -> dict:
    """Needs a node that knows no joints yet, so that there is no seed."""
    world.reset(SceneAsset())
    world.send_joints = False
    world.play(0.5)
    world.look()
    found = {"nan": int(np.isnan(world.heights()).sum()), "empty": world.cloud.width}
    world.play(1.0, WALK)
    world.look()
    values = np.frombuffer(bytes(world.cloud.data), dtype=np.float32)
    told = int(np.sum(world.sources() != UNKNOWN))
    found |= {"points": world.cloud.width, "told": told}
    return found | {"all_finite": bool(np.isfinite(values).all()), "dense": world.cloud.is_dense}
