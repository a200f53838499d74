"""Robots that a tracker moves, each before an object of its own: where generators act, learn and are judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import mujoco
import numpy as np
import torch

from vm_core import keypoint_command as kc
from vm_core.errors import VmError
from vm_core.frames import yaw_from_quat
from vm_core.gait_clock import QUICK_STOP
from vm_core.halting import Halting, may_halt
from vm_core.lifting import Lifting, LiftPath
from vm_core.observation import build_terms
from vm_core.scene_asset import SceneAsset
from vm_sim.batch_kinematics import BatchKinematics
from vm_sim.batch_physics import BatchPhysics
from vm_sim.g1_model import load_g1_spec
from vm_sim.objects import ObjectSpec, add_object, object_qpos_address, object_qvel_address, vary_object
from vm_sim.terrain import add_scene
from vm_training.mdp.clip_tracking import NUM_JOINTS, NUM_SPEEDS
from vm_training.mdp.observations import DEFAULT_JOINT_POS, SensorNoise
from vm_training.mdp.randomization import DomainRanges, vary_model
from vm_training.visual.gait_table import BatchGaitClock, GaitTable
from vm_training.visual.lift_path import lift_path
from vm_training.visual.motions import SLOW_STEP_S
from vm_training.visual.tasks.base import ObjectTask, ObjectView
from vm_training.visual.tracker import (
    ACTION_SCALE_RAD,
    COMMAND_TERM,
    OBSERVATION_SIZE,
    PROPRIOCEPTION,
    TRACKER_TERMS,
    Proprioceptor,
    scaled,
)
from vm_training.visual.tracker_evaluation import fallen
from vm_training.visual.tracker_training import act

PERIOD_S = 0.02
NUM_QPOS = 7 + NUM_JOINTS


@dataclass(frozen=True)
class Tracker:
    """A frozen tracker and the commands that it was taught with.

    Attributes:
        student: the network.
        statistics: of the commands.
        clip: whether commands are clamped to them (without: an ablation).
        step_s: time of the steps that it was taught.
    """

    student: Callable[[torch.Tensor], torch.Tensor]
    statistics: kc.CommandStatistics
    clip: bool = True
    step_s: float = SLOW_STEP_S

    def clamped(self, command: np.ndarray) -> np.ndarray:
        """Commands (N, 18) [m] as the tracker may be given them."""
        return self.statistics.clamped(command) if self.clip else command


@dataclass(frozen=True)
class WorldConfig:
    """How robots and objects differ, and when they are told to run.

    Attributes:
        worlds: N.
        ranges: how robots differ.
        sensors: noise on what networks see.
        run_share: share of episodes whose run bit becomes 1; in the others it stays 0.
        run_after_s: least and largest time before it does; every robot starts with 0.
        halts: whether `vm_core.halting` acts while the bit is 0, whoever else commands.
        steps_to_rest: of the gait clock, where it does not.
        lift: where `vm_core.lifting` leads those whose task it is; None: along the path that comes with this package.
        toggle_s: mean time between changes of the bit afterwards; 0 for none.
        vary: whether objects differ from the nominal one.
        threads: of the physics.
    """

    worlds: int = 32
    ranges: DomainRanges = field(default_factory=lambda: DomainRanges(box_height_m=0.0))
    sensors: SensorNoise = field(default_factory=SensorNoise)
    run_share: float = 0.5
    run_after_s: tuple[float, float] = (0.3, 1.5)
    halts: bool = True
    steps_to_rest: float = QUICK_STOP
    lift: LiftPath | None = None
    toggle_s: float = 0.0
    vary: bool = True
    threads: int = 1

    def __post_init__(self) -> None:
        if self.worlds < 1 or not 0.0 <= self.run_share <= 1.0 or not 0.0 <= self.run_after_s[0] <= self.run_after_s[1]:
            raise VmError(f"{self}: expected at least one world, a share in [0, 1], rising times")


class ObjectWorld:
    """N worlds of a task.

    Attributes:
        run: (N,) bool, the bit.  age: (N,) control steps since each start.
        command: (N, 18) [m] the last one, as the tracker got it.
        seen: (N, n) what the tracker saw last.
        clock: since_s and walk_s of the gait clock in this control period.
    """

    def __init__(self, task: ObjectTask, tracker: Tracker, table: GaitTable, config: WorldConfig, seed: int) -> None:
        self.task, self.tracker, self.table, self.config = task, tracker, table, config
        self.rng = np.random.default_rng(seed)
        self.num_envs = count = config.worlds
        model = object_model(task.scene.thing, task.scene.furniture)
        self.things = [self._drawn() for _ in range(count)]
        self.models = [vary_model(model, config.ranges, self.rng) for _ in range(count)]
        for varied, thing in zip(self.models, self.things, strict=True):
            vary_object(varied, thing)
        self.physics = BatchPhysics(self.models, control_period_s=PERIOD_S, threads=config.threads)
        self.kinematics = BatchKinematics(model, kc.KEYPOINT_BODIES)
        self._at, self._speed_at = object_qpos_address(model), object_qvel_address(model)
        self.half_size = np.array([thing.half_size for thing in self.things])
        self.weight_n = np.array([9.81 * thing.mass_kg * max(thing.friction, thing.rolling) for thing in self.things])
        if task.scene.thing.shape == "ball":
            self.weight_n[:] = 0.0
        self._senses = Proprioceptor(TRACKER_TERMS, count, config.sensors)
        self._halting = Halting(table.stand_keypoints, count)
        self.lifting = Lifting(config.lift or lift_path(), count) if task.lifts else None
        self.gait = BatchGaitClock(count, config.steps_to_rest, table.step_s)
        self.run, self.age = np.zeros(count, dtype=bool), np.zeros(count, dtype=int)
        self.command = np.zeros((count, kc.COMMAND_SIZE))
        self._target, self._start = np.zeros((count, NUM_JOINTS)), np.zeros((count, 3))
        self._run_at = np.zeros(count)
        self.clock = np.full(count, np.nan), np.full(count, np.inf)
        self.seen = np.zeros((count, OBSERVATION_SIZE), np.float32)
        self.reset(np.arange(count))

    def _drawn(self) -> ObjectSpec:
        scene = self.task.scene
        return scene.ranges.draw(scene.thing, self.rng) if self.config.vary else scene.thing

    def reset(self, envs: np.ndarray) -> None:
        """Robots (E,) stand before their objects, which are put somewhere else; the bit is 0."""
        count, rng, table = len(envs), self.rng, self.table
        if not count:
            return
        qpos, qvel = np.zeros((count, NUM_QPOS + 7)), np.zeros((count, NUM_SPEEDS + 6))
        qpos[:, :NUM_QPOS] = table.stand_qpos
        qpos[:, :2] = 0.0
        qpos[:, 7:NUM_QPOS] += rng.normal(0.0, 0.01, (count, NUM_JOINTS))
        for row, env in enumerate(envs):
            thing = self.things[env]
            if self.config.vary:
                ranges, nominal = self.task.scene.ranges, self.task.scene.thing
                x, y = (c + rng.uniform(-r, r) for c, r in zip(nominal.start_pos, ranges.xy_m, strict=False))
                turn = nominal.start_yaw + rng.uniform(-ranges.yaw_rad, ranges.yaw_rad)
                thing = thing.resting((x, y), nominal.start_pos[2] - 0.5 * nominal.size[2], turn)
            qpos[row, self._at : self._at + 7] = thing.start_qpos
        self.physics.reset(envs, qpos, qvel)
        self._start[envs] = qpos[:, self._at : self._at + 3]
        self._senses.reset(envs)
        self._halting.reset(envs)
        if self.lifting is not None:
            self.lifting.reset(envs)
        self.gait.reset(envs)
        self.age[envs], self.run[envs], self.command[envs] = 0, False, 0.0
        self._target[envs] = table.stand_target
        runs = rng.random(count) < self.config.run_share
        self._run_at[envs] = np.where(runs, rng.uniform(*self.config.run_after_s, count), np.inf)

    # -- the state -----------------------------------------------------------------------------------------------------

    @property
    def qpos(self) -> np.ndarray:
        """(N, 30) of the robots."""
        return self.physics.qpos[:, :NUM_QPOS]

    @property
    def qvel(self) -> np.ndarray:
        """(N, 29) of the robots."""
        return self.physics.qvel[:, :NUM_SPEEDS]

    def keypoints(self) -> np.ndarray:
        """(N, 5, 3) of the robots in the world [m]."""
        position, quat, _, _ = self.kinematics.compute(self.physics.qpos, self.physics.qvel)
        return kc.keypoints_on_bodies(position, quat)

    def view(self) -> ObjectView:
        """What scripts and rewards see."""
        qpos, qvel, at, points = self.physics.qpos, self.physics.qvel, self._at, self.keypoints()
        return ObjectView(
            root=qpos[:, :3],
            heading=yaw_from_quat(qpos[:, 3:7]),
            thing=qpos[:, at : at + 3],
            thing_yaw=yaw_from_quat(qpos[:, at + 3 : at + 7]),
            thing_vel=qvel[:, self._speed_at : self._speed_at + 3],
            start=self._start,
            half_size=self.half_size,
            weight_n=self.weight_n,
            hands=points[:, 1:3],
            feet=points[:, 3:5],
        )

    def place_things(self, xy: np.ndarray) -> np.ndarray:
        """Puts the things to (N, 2) [m] in the world; returns where they were."""
        at = slice(self._at, self._at + 2)
        before = self.physics.qpos[:, at].copy()
        self.physics.qpos[:, at] = xy
        return before

    def fallen(self) -> np.ndarray:
        """(N,) bool."""
        return fallen(self.qpos) | ~np.isfinite(self.physics.qpos).all(axis=1)

    # -- time ----------------------------------------------------------------------------------------------------------

    def tick(self) -> tuple[np.ndarray, np.ndarray]:
        """The bit, which no robot heeds in the midst of a landing (`vm_core.halting.may_halt`), and the gait clock of a
        new control period: since_s and walk_s (N,); call once before `step`."""
        waits = self.run & ~may_halt(self.gait.since_s, self.table.step_s) & self.config.halts
        self.run = (self._run_at <= self.age * PERIOD_S) | waits
        if self.config.toggle_s > 0.0:
            changes = self.rng.random(self.num_envs) < PERIOD_S / self.config.toggle_s
            self._run_at[changes & self.run] = np.inf
            stopped = changes & ~self.run & (self.age * PERIOD_S > self.config.run_after_s[1])
            self._run_at[stopped] = 0.0
        if self.config.halts:
            self.gait.reset(np.flatnonzero(~self.walks))
        self.clock = self.gait.update(self.walks, PERIOD_S)
        return self.clock

    @property
    def walks(self) -> np.ndarray:
        """(N,) bool: those that do what they are commanded; no law leads them."""
        return self.run if self.lifting is None else self.run & ~self.lifting.settles & ~self.lifting.begun

    @property
    def lifts(self) -> np.ndarray:
        """(N,) bool: those that `vm_core.lifting` leads."""
        return np.zeros(self.num_envs, dtype=bool) if self.lifting is None else self.lifting.begun

    def force_run(self, run: np.ndarray) -> None:
        """Sets the bit (N,) from now on."""
        self._run_at = np.where(run, 0.0, np.inf)

    def step(self, command: np.ndarray, place: np.ndarray | None = None) -> None:
        """One control period with commands (N, 18) [m] in the axes of the pelvis' heading; see `WorldConfig.halts`.

        Args:
            command: what who walks is told.
            place: (N, 2) where the thing is thought to be, ahead and to the left of the pelvis [m], for those who lift
                it; None: where it is.
        """
        inputs = self._senses.sense(self.qpos, self.qvel, self.rng)
        senses = (inputs.root_quat_wxyz, inputs.root_ang_vel_body, inputs.joint_pos, inputs.joint_vel)
        if self.lifting is not None:
            view = self.view()
            self.lifting.update(self.run, *(view.ahead(view.thing) if place is None else place).T)
        if self.config.halts:
            command = np.where(self.walks[:, None], command, self._halting.command(~self.walks, *senses))
        if self.lifting is not None:
            command = np.where(self.lifting.begun[:, None], self.lifting.command(self.run, *senses), command)
        self.command = self.tracker.clamped(np.nan_to_num(command))
        values = build_terms(PROPRIOCEPTION, inputs) | {COMMAND_TERM: scaled(TRACKER_TERMS[-1], self.command)}
        self.seen = np.nan_to_num(self._senses.observe(values))
        target = act(self.tracker.student, self.seen)
        self._senses.last_action = (target - DEFAULT_JOINT_POS) / ACTION_SCALE_RAD
        delay = np.floor(self.rng.uniform(0.0, self.config.ranges.delay_s / 0.005 + 1.0, self.num_envs))
        self.physics.step(target, self._target, np.minimum(delay, 3.0))
        self._target = target
        self.age += 1

    def close(self) -> None:
        """Ends the physics' threads."""
        self.physics.close()


def object_model(thing: ObjectSpec, furniture: tuple = (), *, meshes: bool = False) -> mujoco.MjModel:
    """The 23-joint G1 on level ground with an object; physics as in training."""
    spec = load_g1_spec(collision="spheres", wrists=False, meshes=meshes)
    add_scene(spec, SceneAsset(boxes=furniture, source="task"))
    add_object(spec, thing)
    spec.option.timestep = 0.005
    return spec.compile()
