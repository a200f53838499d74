"""The fixed list of videos: what happens where, to whom, seen by which camera; everything follows from the seed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from vm_core.errors import VmError
from vm_core.scene_asset import SceneBox
from vm_reconstruction.datasets.synthetic.bodies import PHENOTYPE_COUNT
from vm_reconstruction.datasets.synthetic.route import Walker
from vm_reconstruction.datasets.synthetic.scenes import Ramp, TrueScene, flight, slab

KINDS = ("walk", "stairs_up", "stairs_down", "stairs_over", "kerb", "slope_up", "slope_down", "sit", "cross")
# 24 videos; stairs most, as they are what the robot is to climb.
SET_KINDS = (
    ("walk",) * 3 + ("stairs_up",) * 4 + ("stairs_down",) * 4 + ("stairs_over",) * 2 + ("kerb",) * 3
    + ("slope_up",) * 2 + ("slope_down",) + ("sit",) * 3 + ("cross",) * 2
)  # fmt: skip
BEFORE_EDGE_M, BEYOND_EDGE_M = 0.36, 0.27  # ankles before a step; middle of the sole beyond the last edge


@dataclass(frozen=True)
class Recipe:
    """One video; `name` is its folder."""

    name: str
    kind: str
    seed: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise VmError(f"no kind of video {self.kind!r}; there are {', '.join(KINDS)}")


@dataclass(frozen=True)
class Plan:
    """A recipe worked out: the place, who walks it (phenotype, height [m], clothes' seed each), how long [s]."""

    scene: TrueScene
    walkers: list[Walker]
    people: list[tuple[int, float, int]]
    duration_s: float


def recipes(seed: int, count: int = len(SET_KINDS)) -> list[Recipe]:
    """The first `count` videos of the set with this seed."""
    if not 1 <= count <= len(SET_KINDS):
        raise VmError(f"{count} videos: the set has 1 to {len(SET_KINDS)}")
    order = sorted(range(len(SET_KINDS)), key=lambda k: (SET_KINDS[:k].count(SET_KINDS[k]), KINDS.index(SET_KINDS[k])))
    kinds = [SET_KINDS[k] for k in order]
    return [Recipe(f"{k:02d}_{kind}", kind, video_seed(seed, k)) for k, kind in enumerate(kinds[:count])]


def video_seed(seed: int, index: int) -> int:
    """A seed of its own for each video, the same on every machine."""
    return zlib.crc32(f"{seed}/{index}".encode())


def plan(recipe: Recipe) -> Plan:
    """Place and footsteps of one video."""
    rng = np.random.default_rng(recipe.seed)
    scene, walkers = _BUILDERS[recipe.kind](rng)
    people = [
        (int(rng.integers(PHENOTYPE_COUNT)), float(rng.uniform(1.55, 1.90)), int(rng.integers(1 << 30)))
        for _ in walkers
    ]
    return Plan(scene, walkers, people, max(walker.time_s for walker in walkers) + 0.5)


def _walker(rng: np.random.Generator, scene: TrueScene, x: float, y: float = 0.0, yaw: float = 0.0) -> Walker:
    return Walker(
        scene, np.array([x, y]), yaw, half_width=rng.uniform(0.08, 0.11), step_m=rng.uniform(0.5, 0.64),
        swing_s=rng.uniform(0.40, 0.50), double_s=rng.uniform(0.09, 0.15), first_side=int(rng.integers(2)),
        time_s=rng.uniform(0.4, 0.9),
    )  # fmt: skip


def _to(walker: Walker, x: float) -> Walker:
    """Straight on along x until the ankles are at x [m]."""
    return walker.walk(abs(x - float(walker.xy[0])))


def _stairs(rng: np.random.Generator) -> tuple[int, float, float, float]:
    return int(rng.integers(3, 6)), rng.uniform(0.12, 0.18), rng.uniform(0.30, 0.36), rng.uniform(0.6, 0.9)


def _up(start: float, count: int, rise: float, run: float, width: float, landing: float) -> list[SceneBox]:
    steps = flight(start, run, [rise * (k + 1) for k in range(count - 1)], width)
    top = slab(start + run * (count - 1), start + run * (count - 1) + landing, width, rise * count, f"step {count}")
    return [*steps, top]


def _down(start: float, count: int, rise: float, run: float, width: float) -> list[SceneBox]:
    return flight(start, run, [rise * (count - k - 1) for k in range(count - 1)], width, "step down")


def _treads(start: float, run: float, count: int, beyond: float) -> list[float]:
    return [start + run * (k + 0.5) for k in range(count - 1)] + [start + run * (count - 1) + beyond]


def _build_walk(rng: np.random.Generator) -> tuple[TrueScene, list[Walker]]:
    scene = TrueScene((slab(-0.4, 0.4, 0.4, rng.uniform(0.4, 0.8), "table"),))
    walker = _walker(rng, scene, -2.0, -0.9 + rng.uniform(-0.2, 0.1))
    walker.walk(rng.uniform(1.4, 2.0)).walk(rng.uniform(1.8, 2.4), turn=rng.uniform(0.7, 1.4)).walk(0.9)
    return scene, [walker]


def _build_stairs_up(rng: np.random.Generator) -> tuple[TrueScene, list[Walker]]:
    count, rise, run, width = _stairs(rng)
    scene = TrueScene(tuple(_up(0.0, count, rise, run, width, 1.5)))
    walker = _to(_walker(rng, scene, -rng.uniform(1.3, 1.9)), -BEFORE_EDGE_M)
    return scene, [walker.cross(_treads(0.0, run, count, BEYOND_EDGE_M)).walk(0.55)]


def _build_stairs_down(rng: np.random.Generator) -> tuple[TrueScene, list[Walker]]:
    count, rise, run, width = _stairs(rng)
    landing = slab(-1.8, 0.0, width, rise * count, "landing")
    scene = TrueScene((landing, *_down(0.0, count, rise, run, width)))
    walker = _to(_walker(rng, scene, -rng.uniform(1.0, 1.4)), -0.26)
    return scene, [walker.cross(_treads(0.0, run, count, BEYOND_EDGE_M)).walk(rng.uniform(0.8, 1.3))]


def _build_stairs_over(rng: np.random.Generator) -> tuple[TrueScene, list[Walker]]:
    _, rise, run, width = _stairs(rng)
    count = 3
    up = _up(0.0, count, rise, run, width, 1.25)
    edge = run * (count - 1) + 1.25
    scene = TrueScene((*up, *_down(edge, count, rise, run, width)))
    walker = _to(_walker(rng, scene, -1.2), -BEFORE_EDGE_M).cross(_treads(0.0, run, count, BEYOND_EDGE_M))
    return scene, [_to(walker, edge - 0.26).cross(_treads(edge, run, count, BEYOND_EDGE_M)).walk(0.5)]


def _build_kerb(rng: np.random.Generator) -> tuple[TrueScene, list[Walker]]:
    scene = TrueScene((slab(0.0, 1.9, 1.4, rng.uniform(0.10, 0.17), "kerb"),))
    walker = _to(_walker(rng, scene, -rng.uniform(1.2, 1.6)), -BEFORE_EDGE_M).cross([BEYOND_EDGE_M])
    return scene, [_to(walker, 1.9 - 0.26).cross([1.9 + BEYOND_EDGE_M]).walk(rng.uniform(0.5, 0.9))]


def _build_slope_up(rng: np.random.Generator) -> tuple[TrueScene, list[Walker]]:
    length, angle = rng.uniform(2.2, 2.8), np.radians(rng.uniform(4.5, 8.0))
    top = float(length * np.tan(angle))
    scene = TrueScene((slab(length, length + 1.6, 0.8, top, "landing"),), (Ramp(0.0, length, 0.8, top),))
    return scene, [_to(_walker(rng, scene, -1.0), length + 0.9)]


def _build_slope_down(rng: np.random.Generator) -> tuple[TrueScene, list[Walker]]:
    length, angle = rng.uniform(2.2, 2.8), np.radians(rng.uniform(4.5, 8.0))
    top = float(length * np.tan(angle))
    scene = TrueScene((slab(-1.6, 0.0, 0.8, top, "landing"),), (Ramp(length, 0.0, 0.8, top),))
    return scene, [_to(_walker(rng, scene, -0.9), length + 0.9)]


def _build_sit(rng: np.random.Generator) -> tuple[TrueScene, list[Walker]]:
    top = rng.uniform(0.40, 0.48)
    scene = TrueScene((slab(0.0, 0.42, 0.7, top, "bench"),))
    walker = _to(_walker(rng, scene, -rng.uniform(1.3, 1.9)), -0.31)
    walker.turn(float(rng.choice([-np.pi, np.pi])), 5).wait(0.3).sit(rng.uniform(1.2, 2.0), 0.45, top)
    return scene, [walker.walk(rng.uniform(0.6, 1.0))]


def _build_cross(rng: np.random.Generator) -> tuple[TrueScene, list[Walker]]:
    scene = TrueScene((slab(2.6, 3.0, 0.7, 0.45, "bench"),))
    far, near = _walker(rng, scene, -1.7, 0.4), _walker(rng, scene, 1.8, -0.45, np.pi)
    return scene, [far.walk(3.3), near.walk(3.5)]


_BUILDERS = {
    "walk": _build_walk, "stairs_up": _build_stairs_up, "stairs_down": _build_stairs_down,
    "stairs_over": _build_stairs_over, "kerb": _build_kerb, "slope_up": _build_slope_up,
    "slope_down": _build_slope_down, "sit": _build_sit, "cross": _build_cross,
}  # fmt: skip
