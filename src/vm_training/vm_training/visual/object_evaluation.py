"""What generators achieve: the paper's measures over 60 s rollouts, success as each task says it, and pauses."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from vm_training.progress import Progress
from vm_training.visual.commander import Commander, LearntCommander, Saying
from vm_training.visual.gait_table import GaitTable
from vm_training.visual.measures import Measures
from vm_training.visual.object_world import PERIOD_S, ObjectWorld, Tracker, WorldConfig
from vm_training.visual.scripted import ScriptedGenerator
from vm_training.visual.tasks.base import ObjectTask

ROLLOUT_S, RUN_AFTER_S = 60.0, 1.0
STILL_RAD_S, STILL_M_S, STILL_FOR_S = 0.5, 0.05, 1.0
"""A robot is still whose joints move slower than this (rms, mean of 0.2 s) and whose pelvis than that, for so long."""
_MEAN = 10  # control steps


@dataclass(frozen=True)
class Figures:
    """Means over rollouts; a rollout counts until its robot falls.

    Attributes:
        who: acts.  rollouts: how many.
        distance, forward, drift: of the object from its start: straight, along x, and |y| [m].
        height: of its centre at the end.  goal: from it to the task's [m].
        dropped: share of rollouts in which it was lifted and fell.
        falls: share of rollouts.  alive: mean time until then [s].
        success: share.
    """

    who: str
    rollouts: int
    distance: float
    forward: float
    drift: float
    height: float
    goal: float
    dropped: float
    falls: float
    alive: float
    success: float

    def line(self) -> str:
        """One row of a table."""
        return (
            f"{self.who:<14} {self.rollouts:4d} {self.distance:8.2f} {self.forward:8.2f} {self.drift:7.2f} "
            f"{self.height:8.2f} {self.goal:6.2f} {self.dropped:6.0%} {self.falls:6.0%} "
            f"{self.alive:6.1f} {self.success:8.0%}"
        )


HEADER = (
    f"{'who':<14} {'runs':>4} {'dist m':>8} {'fwd m':>8} {'drift m':>7} {'height m':>8} {'goal m':>6} {'drops':>6} "
    f"{'falls':>6} {'alive s':>6} {'success':>8}"
)


def commander_of(world: ObjectWorld, who: str, generator: Saying | None) -> Commander:
    """Who acts in a world: the script or a generator."""
    return ScriptedGenerator(world) if generator is None else LearntCommander(world, generator)


def evaluate_task(
    task: ObjectTask,
    tracker: Tracker,
    table: GaitTable,
    who: str,
    generator: Saying | None,
    rollouts: int,
    seed: int,
    rollout_s: float = ROLLOUT_S,
) -> Figures:
    """Lets a generator, or the task's script, act; the bit becomes 1 after a second.

    Args:
        task, tracker, table: where it acts.
        who: name of the row.
        generator: None for the script.
        rollouts: worlds.
        seed: of robots, objects and starts, whoever acts.
        rollout_s: of each.
    """
    world = ObjectWorld(task, tracker, table, world_config(rollouts, generator), seed)
    commander = commander_of(world, who, generator)
    commander.reset(np.arange(rollouts))
    up, alive = np.ones(rollouts, dtype=bool), np.zeros(rollouts)
    seen = Measures(task, rollouts)
    with Progress(who, round(rollout_s), unit="s") as bar:
        for step in range(round(rollout_s / PERIOD_S)):
            world.tick()
            world.step(commander.command(), commander.place)
            up &= ~world.fallen()
            alive += PERIOD_S * up
            seen.update(world.view(), up)
            if step % 50 == 49:
                bar.round_done(up=f"{up.mean():.0%}")
            if not up.any():
                break
    world.close()
    alive[up] = ROLLOUT_S  # rounding, and shorter looks count as whole ones
    success = task.success(seen.values | {"alive": alive})
    means = {name: float(seen.values[name].mean()) for name in ("distance", "forward", "drift", "height", "goal")}
    return Figures(
        who,
        rollouts,
        **means,
        dropped=float(np.mean(seen.values["dropped"])),
        falls=float(1.0 - up.mean()),
        alive=float(alive.mean()),
        success=float(success.mean()),
    )


class Stillness:
    """Since when each of N robots has been still.

    Attributes:
        at: (N,) control step from which it was, for STILL_FOR_S at least; infinite while it has not been.
    """

    def __init__(self, count: int) -> None:
        self.at = np.full(count, np.inf)
        self._joints, self._pelvis = np.full((count, _MEAN), np.inf), np.full((count, _MEAN), np.inf)
        self._lasted = np.zeros(count, dtype=int)

    def update(self, step: int, qvel: np.ndarray, counts: np.ndarray) -> None:
        """Takes velocities (N, 29) of a control step; where `counts` (N,) is false nobody is still."""
        self._joints[:, step % _MEAN] = np.sqrt(np.mean(qvel[:, 6:] ** 2, axis=1))
        self._pelvis[:, step % _MEAN] = np.linalg.norm(qvel[:, :2], axis=1)
        still = (self._joints.mean(axis=1) < STILL_RAD_S) & (self._pelvis.mean(axis=1) < STILL_M_S) & counts
        self._lasted = np.where(still, self._lasted + 1, 0)
        came = (self._lasted == round(STILL_FOR_S / PERIOD_S)) & np.isinf(self.at)
        self.at[came] = step + 1 - self._lasted[came]


@dataclass(frozen=True)
class PauseFigures:
    """What robots do whose run bit becomes 0 while they work.

    Still is who is so for a second from then on; a moment between two movements does not count.

    Attributes:
        pauses: robots that were up when it did.
        still_within_s: mean time until they are still; of those that come to be.
        still_in_1_s, still_in_3_s: shares that are by then.
        standing_10_s: share that are upright ten seconds later.
    """

    pauses: int
    still_within_s: float
    still_in_1_s: float
    still_in_3_s: float
    standing_10_s: float

    def line(self) -> str:
        """In words."""
        return (
            f"pauses: {self.pauses}; still within 1 s {self.still_in_1_s:.0%}, within 3 s {self.still_in_3_s:.0%}, "
            f"mean {self.still_within_s:.1f} s; upright after 10 s {self.standing_10_s:.0%}"
        )


def evaluate_pauses(
    task: ObjectTask, tracker: Tracker, table: GaitTable, generator: Saying | None, robots: int, seed: int
) -> PauseFigures:
    """The bit becomes 0 at a random moment between 3 and 8 s after the start."""
    world = ObjectWorld(task, tracker, table, world_config(robots, generator), seed)
    commander = commander_of(world, "pause", generator)
    commander.reset(np.arange(robots))
    pause = np.round(world.rng.uniform(3.0, 8.0, robots) / PERIOD_S).astype(int)
    up, counted = np.ones(robots, dtype=bool), np.zeros(robots, dtype=bool)
    still, stood = Stillness(robots), np.zeros(robots, dtype=bool)
    for step in range(int(pause.max()) + 500):
        counted |= (step == pause) & up
        world.force_run((step < pause) & (step >= RUN_AFTER_S / PERIOD_S))
        world.tick()
        world.step(commander.command(), commander.place)
        up &= ~world.fallen()
        still.update(step, np.nan_to_num(world.qvel, nan=9.0), (step > pause) & up)
        stood |= (step == pause + 499) & up
    world.close()
    came = (PERIOD_S * (still.at - pause))[counted]
    total = max(int(counted.sum()), 1)
    return PauseFigures(
        int(counted.sum()),
        float(came[np.isfinite(came)].mean()) if np.isfinite(came).any() else float("nan"),
        float((came <= 1.0).sum() / total),
        float((came <= 3.0).sum() / total),
        float(stood[counted].mean()) if counted.any() else 0.0,
    )


def world_config(worlds: int, generator: Saying | None) -> WorldConfig:
    """All are told to run after a second, and rest and lift as the generator's contract says (None: a script)."""
    config = replace(WorldConfig(), worlds=worlds, run_share=1.0, run_after_s=(RUN_AFTER_S, RUN_AFTER_S))
    if generator is None:
        return config
    return replace(config, halts=generator.halts, steps_to_rest=generator.steps_to_rest, lift=generator.lift)


def as_rows(figures: list[Figures]) -> list[dict[str, float | str]]:
    """For a file."""
    return [asdict(row) for row in figures]
