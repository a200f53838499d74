"""A generator's DAgger: it acts, a script or a teacher that knows everything says what it should have said."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import nn

from vm_core.errors import VmError
from vm_sim.depth_noise import DepthNoiseConfig
from vm_training.progress import Progress
from vm_training.student import digest
from vm_training.tasks.work_folder import WorkFolder
from vm_training.visual.commander import Commander, LearntCommander
from vm_training.visual.gait_table import GaitTable
from vm_training.visual.generator import COMMAND_SCALE_M, MEMORY_M, PLACE_SIZE, Generator, Sight
from vm_training.visual.generator_weights import generator_arrays, generator_of
from vm_training.visual.object_world import ObjectWorld, Tracker, WorldConfig
from vm_training.visual.scripted import ScriptedGenerator
from vm_training.visual.seen_lessons import SeenLessons, glance_around, learn_to_find
from vm_training.visual.tasks.base import ObjectTask, marked


@dataclass(frozen=True)
class GeneratorConfig:
    """Everything that decides a generator's imitation.

    Attributes:
        sight: what it knows of the thing.
        rounds: of acting and learning.
        steps: control steps of each world in a round.
        longest_s: of an episode.
        teacher_share: of worlds that the teacher drives in the second round; half as many in each later one.
        hidden: layers.
        passes: gradient steps, in passes over the newest lessons.
        batch: lessons a gradient step.
        learning_rate: at the first round; falls to a twentieth by the last.
        lessons: most that are kept.
        by_thought: the script says what is to be done if thing and robot are where the student thinks, not where they
            are: what it does is then a function of what it knows. Where the mark is the thing's middle only.
        glances, glance_steps: pictures, and gradient steps on them, that teach eyes where the thing is; 0: they stay.
        world: how robots and objects differ.
        depth_noise: of the camera.
        seed: of everything random.
    """

    sight: Sight = "state"
    rounds: int = 24
    steps: int = 120
    longest_s: float = 20.0
    teacher_share: float = 0.5
    hidden: tuple[int, ...] = (256, 128)
    passes: float = 8.0
    batch: int = 256
    learning_rate: float = 1e-3
    lessons: int = 80_000
    by_thought: bool = False
    glances: int = 9_600
    glance_steps: int = 1_500
    world: WorldConfig = field(default_factory=lambda: WorldConfig(worlds=32, run_share=1.0, toggle_s=12.0))
    depth_noise: DepthNoiseConfig = field(default_factory=DepthNoiseConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.rounds, self.steps, self.batch, *self.hidden) < 1 or self.seed < 0 or self.lessons < self.batch:
            raise VmError(f"{self}: expected whole numbers from 1, a seed from 0, and room for a batch of lessons")


class GeneratorSchool:
    """A generator that learns, its worlds, its teacher."""

    def __init__(
        self,
        task: ObjectTask,
        tracker: Tracker,
        table: GaitTable,
        config: GeneratorConfig,
        teacher: Generator | None = None,
    ) -> None:
        if config.by_thought and (config.sight != "depth" or task.mark != "middle" or teacher is not None):
            raise VmError(f"by_thought for {task.name}, {config.sight}; expected depth, a script, the middle as mark")
        self.config = config
        self.generator = Generator(config.sight, config.hidden)
        self.world = ObjectWorld(task, tracker, table, config.world, config.seed)
        self._pupil = LearntCommander(self.world, self.generator, config.depth_noise)
        self._teacher: Commander = (
            ScriptedGenerator(self.world) if teacher is None else LearntCommander(self.world, teacher)
        )
        self._lessons = SeenLessons(config.lessons, config.sight)
        self._off_m: list[float] = []
        self._optimizer = torch.optim.Adam(self.generator.mlp.parameters(), lr=config.learning_rate)
        self.world.age[:] = self.world.rng.integers(0, round(config.longest_s * 50.0), self.world.num_envs)

    def open_eyes(self) -> float:
        """Before anything else: where the thing is, from pictures of it at places drawn at random; the last loss."""
        config, world = self.config, self.world
        rng = np.random.default_rng([config.seed, 10_000])
        lessons = glance_around(world, self._pupil.eyes, self._go_on, -(-config.glances // world.num_envs), rng)
        return learn_to_find(self.generator, lessons, config.glance_steps, rng)

    def _go_on(self) -> None:
        self.world.tick()
        self.world.step(self.world.tracker.clamped(self._teacher.command()))
        self._renew()

    def _renew(self) -> np.ndarray:
        """Starts anew the worlds whose robots fell, lift or lost their thing or went on for long; (N,) which fell."""
        world, view = self.world, self.world.view()
        fallen = world.fallen()
        far = np.linalg.norm(np.nan_to_num(view.thing - view.root)[:, :2], axis=1) > 4.0
        over = np.flatnonzero(fallen | (far & world.run) | world.lifts | (world.age * 0.02 > self.config.longest_s))
        for part in (world, self._pupil, self._teacher):
            part.reset(over)
        return fallen

    def round(self, index: int, *, fresh: bool) -> dict[str, float]:
        """One round of acting and learning; in a fresh one the teacher acts."""
        config, rng = self.config, np.random.default_rng([self.config.seed, index])
        before = self._lessons.written
        self._off_m.clear()
        falls, acted = self._gather(1.0 if fresh else config.teacher_share * 0.5 ** (index - 1))
        if fresh:
            own = self._lessons.seen[: self._lessons.count, : len(self.generator.mean)]
            self.generator.normalize(own.astype(np.float32))
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * 0.05 ** (index / max(config.rounds - 1, 1))
        newest = self._lessons.written - before
        loss = self._learn(rng, newest, max(round(config.passes * newest / config.batch), 1))
        off_m = float(np.median(self._off_m)) if self._off_m else float("nan")
        return {"steps": newest, "loss": loss, "seconds_a_fall": acted / 50.0 / max(falls, 1), "thought_off_m": off_m}

    def _gather(self, share: float) -> tuple[int, int]:
        world, config = self.world, self.config
        driven = world.rng.random(world.num_envs) < share
        falls = 0
        for _ in range(config.steps):
            world.tick()
            seen, depth = self._pupil.eyes.look()
            said, thought = self.generator.look(seen, depth)
            self._pupil.remember(thought)
            wanted = world.tracker.clamped(self._wanted(thought))
            view = world.view()
            thing = np.clip(np.nan_to_num(view.ahead(marked(world.task, view))), -MEMORY_M, MEMORY_M)
            if thought.shape[1]:
                self._off_m.append(float(np.median(np.linalg.norm(thought[:, :PLACE_SIZE] - thing, axis=1))))
            fine = np.isfinite(wanted).all(axis=1) & (world.walks | (not world.config.halts))
            self._lessons.add(seen[fine], thought[fine], wanted[fine])
            command = np.where(driven[:, None], wanted, said)
            place = np.where(driven[:, None], thing, thought[:, :PLACE_SIZE]) if thought.shape[1] else None
            world.step(command, place)
            fallen = self._renew()
            falls += int((fallen & ~driven).sum())
        return falls, int((~driven).sum()) * config.steps

    def _wanted(self, thought: np.ndarray) -> np.ndarray:
        if isinstance(self._teacher, ScriptedGenerator):
            return self._teacher.command(thought if self.config.by_thought else None)
        return self._teacher.command()

    def _learn(self, rng: np.random.Generator, newest: int, steps: int) -> float:
        lessons, losses, loss_of = self._lessons, [], nn.SmoothL1Loss(beta=0.2)
        recent = (lessons.written - 1 - np.arange(min(newest, lessons.count))) % len(lessons.command)
        for _ in range(steps):
            third = self.config.batch // 3
            where = np.concatenate(
                [rng.choice(recent, third), rng.integers(0, lessons.count, self.config.batch - third)]
            )
            seen, thought, command = lessons.at(where)
            loss = loss_of(self.generator.act(seen, thought) / COMMAND_SCALE_M, command / COMMAND_SCALE_M)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses[-(len(losses) // 3 + 1) :]))


def train_generator(
    task: ObjectTask,
    tracker: Tracker,
    table: GaitTable,
    config: GeneratorConfig,
    folder: WorkFolder,
    teacher: Generator | None = None,
    start: Generator | None = None,
) -> tuple[Generator, list[dict[str, float]]]:
    """All rounds that are not done yet; a resumed run goes on from the last whole round and gathers lessons anew.

    Args:
        task, tracker, table: where it acts.
        config: everything that decides the result.
        folder: for what a resumed run needs.
        teacher: that knows the thing's state; None: the task's script.
        start: an earlier generator that sees the same and has the same layers, to begin from.
    """
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    networks = {"tracker": digest(tracker.student), "teacher": digest(teacher), "start": digest(start)}
    folder.begin({"task": task.name, "config": asdict(config), **networks})
    school = GeneratorSchool(task, tracker, table, config, teacher)
    records = []
    if (folder / "generator.npz").is_file():
        saved = folder.read_arrays("generator.npz")
        records = folder.read_json("generator.json")[: int(saved["rounds"])]
        school.generator.load_state_dict(generator_of(saved, config.sight).state_dict())
    else:
        if start is not None:
            school.generator.load_state_dict(start.state_dict())
        if config.sight == "depth" and config.glances:
            print(f"eyes: loss {school.open_eyes():.3f} in the last of {config.glance_steps} steps")
            folder.write_json("generator.json", records)
            folder.write_arrays("generator.npz", generator_arrays(school.generator, 0))
    with Progress(f"{task.name}, {config.sight}", config.rounds, len(records)) as bar:
        for index in range(len(records), config.rounds):
            records.append(school.round(index, fresh=index == 0 and start is None))
            newest = records[-1]
            bar.round_done(loss=f"{newest['loss']:.4f}", s_a_fall=f"{newest['seconds_a_fall']:.1f}")
            folder.write_json("generator.json", records)
            folder.write_arrays("generator.npz", generator_arrays(school.generator, len(records)))
    school.world.close()
    return school.generator, records
