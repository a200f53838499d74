"""`vm-evaluate POLICY`: the fixed benchmark; any policy file with a contract, on every course, in any physics.

The only file of this package that may use `vm_heightmap`: with `--grid estimated` its mapper and its odometry run on
simulated LiDAR, inertial and joint readings, one mapper a robot, and nothing of the truth reaches the policy.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import mujoco
import numpy as np
import tyro
from tqdm import tqdm

from vm_core import command_line, g1, livox_cdr, unitree_cdr
from vm_core.errors import VmError
from vm_core.height_grid import policy_heights
from vm_core.scene_asset import SceneAsset
from vm_heightmap.mapper import HeightMapper, MapperConfig
from vm_heightmap.scan_input import Scan
from vm_sim.imu import LIDAR_IMU, STANDARD_GRAVITY, Imu
from vm_sim.lidar import Mid360, join_sub_scans
from vm_training.benchmark import report
from vm_training.benchmark.courses import Course, chosen_courses, user_scene
from vm_training.benchmark.figures import EpisodeResult, row_of
from vm_training.benchmark.physics import physics_named
from vm_training.benchmark.robots import GridSource, Robots
from vm_training.benchmark.runner import refusal, run_course, simple_grid
from vm_training.policy_file import PolicyFile
from vm_training.visual.evaluate_task import EvaluateTask

GridName = Literal["true", "noisy", "estimated"]


@dataclass(frozen=True)
class Evaluate:
    """Runs the fixed benchmark.

    Attributes:
        policy: ONNX file with a contract.
        episodes: of every course.
        seed: decides places, starts, noise and pushes; equal for every policy.
        grid: height grids: true; noisy (as the mapper was measured to err); estimated (by the mapper itself, slow).
        physics: names of physics; nominal, time_step, solver, friction, mass, latency, varied.
        farther_m: stairs, kerbs and slabs stand so much farther ahead [m]; with estimated grids a metre more.
        courses: names of courses, or beginnings of names; all by default.
        scene: folders of scenes to be walked from their origin to their highest box; a tracker follows its clip there.
        json: file for the rows.
        plot: picture (.png) of the successes.
        video: folder for films of the worst episodes of each course.
        films: how many a course.
        threads: of the physics.
    """

    policy: Annotated[Path, tyro.conf.Positional]
    episodes: int = 100
    seed: int = 0
    grid: tuple[GridName, ...] = ("true",)
    physics: tuple[str, ...] = ("nominal",)
    farther_m: float = 0.0
    courses: tuple[str, ...] = ()
    scene: tuple[Path, ...] = ()
    json: Path | None = None
    plot: Path | None = None
    video: Path | None = None
    films: int = 1
    threads: int = 2

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.threads < 1 or self.films < 1 or self.seed < 0:
            raise VmError(
                f"episodes {self.episodes}, threads {self.threads}, films {self.films}, seed {self.seed}; "
                "expected at least 1, 1, 1 and 0"
            )
        if not 0.0 <= self.farther_m <= 10.0:
            raise VmError(f"--farther-m {self.farther_m}: expected 0 to 10 m")
        if not self.grid or not self.physics:
            raise VmError("expected at least one grid and one physics")
        for name in self.physics:
            physics_named(name)
        if self.plot is not None and self.plot.suffix != ".png":
            raise VmError(f"--plot {self.plot}: expected a name that ends in .png")


def evaluate(options: Evaluate) -> list[dict[str, Any]]:
    """All rows, printed as they come and written to the files that were asked for.

    Raises:
        VmError: a policy, course, scene or physics that is not there, or nothing that the policy could be run on.
    """
    policy = PolicyFile.load(options.policy)
    courses = _courses(options, policy)
    for course in [c for c in courses if refusal(policy, c)]:
        print(f"not run: {course.name}: {refusal(policy, course)}")
    courses = [course for course in courses if not refusal(policy, course)]
    if not courses:
        raise VmError(f"{options.policy.name}: there is no course for it")
    grids = options.grid if policy.contract.height_grid is not None else ("true",)
    if policy.contract.uses_odometry and "estimated" in grids:
        raise VmError(
            f"{options.policy.name}: follows a path in the scene's frame, which estimated odometry cannot know"
        )
    work = [(course, grid, physics) for physics in options.physics for grid in grids for course in courses]
    rows: list[dict[str, Any]] = []
    print(report.table_head())
    often_s = 0.1 if sys.stderr.isatty() else 15.0  # a log keeps every line
    form = "{desc}{percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=len(work), bar_format=form, leave=False, mininterval=often_s) as bar:
        for done, (course, grid, physics) in enumerate(work):
            bar.set_description(f"{course.name} ")
            results = _run(policy, course, grid, physics, options, bar, done)
            about = {"seed": options.seed, "grid": grid, "physics": physics, "policy": policy.contract.name}
            about |= {"farther_m": options.farther_m} if options.farther_m else {}
            rows.append(row_of(course.name, results, about))
            tqdm.write(report.table_line(rows[-1]))
            _write(options, policy, course, rows, results)
    return rows


def _courses(options: Evaluate, policy: PolicyFile) -> list[Course]:
    scenes = [user_scene(folder.name, SceneAsset.load(folder)) for folder in options.scene]
    if scenes and not options.courses:
        return scenes
    return chosen_courses(options.courses) + scenes


def _run(
    policy: PolicyFile, course: Course, grid: str, physics: str, options: Evaluate, bar: tqdm, done: int
) -> list[EpisodeResult]:
    def on_step(share: float) -> None:
        bar.n = done + share
        bar.update(0)

    return run_course(
        policy,
        course,
        options.episodes,
        seed=options.seed,
        grid=grid,
        variant=physics_named(physics),
        threads=options.threads,
        make_grid=make_grid,
        farther_m=options.farther_m,
        on_step=on_step,
    )


def _write(
    options: Evaluate, policy: PolicyFile, course: Course, rows: list[dict[str, Any]], results: list[EpisodeResult]
) -> None:
    if options.json is not None:
        report.write_json(options.json, rows)
    if options.plot is not None:
        report.draw_plot(options.plot, rows, policy.contract.name)
    if options.video is not None:
        name = f"{course.name}_{rows[-1]['grid']}_{rows[-1]['physics']}"
        scenes = [result.scene for result in results]
        report.film_worst(options.video, name, results, scenes, policy.contract.control_period_s, options.films)


def make_grid(robots: Robots, grid: str, seed: int) -> GridSource:
    """The height grids that a policy sees."""
    return EstimatedGrid(robots, seed) if grid == "estimated" else simple_grid(robots, grid, seed)


class EstimatedGrid:
    """A mapper with its own odometry for every robot, fed from that robot's simulated sensors."""

    WARM_UP_S = 2.5
    """Standing still before the start, as a robot does whose map has just been switched on."""

    def __init__(self, robots: Robots, seed: int) -> None:
        spec = robots.contract.height_grid
        assert spec is not None
        config = MapperConfig(grid=spec, own_odometry=True)
        self._heads = [
            _Head(robots, i, HeightMapper(config), np.random.default_rng([seed, i])) for i in range(robots.num)
        ]
        for head in tqdm(self._heads, desc="maps begin", leave=False):
            head.stand(robots.physics.qpos[head.index], self.WARM_UP_S)

    def heights(self, robots: Robots) -> np.ndarray:
        unknown = robots.contract.height_grid_unknown
        return np.stack([head.heights(unknown) for head in self._heads])

    def after_step(self, robots: Robots, active: np.ndarray) -> None:
        for i in active:
            self._heads[i].follow(robots)


class _Head:
    """One robot's LiDAR, its inertial unit and encoders, and the mapper that hears them."""

    def __init__(self, robots: Robots, index: int, mapper: HeightMapper, rng: np.random.Generator) -> None:
        self.index, self.mapper, self._rng = index, mapper, rng
        self._model = robots.models[index]
        self._data = mujoco.MjData(self._model)
        self._lidar, self._imu = Mid360(self._model, rng), Imu(self._model, LIDAR_IMU, rng)
        self._bias = rng.normal(0.0, [0.002] * 3 + [0.03] * 3)
        self._step_s = float(self._model.opt.timestep)
        self._every = max(round(0.004 / self._step_s), 1)
        self._sub_scan = max(round(0.01 / self._step_s), 1)
        self._cells = mapper.config.grid.num_cells
        self._ticks, self._parts = 0, []
        self._state = unitree_cdr.new_low_state()

    @property
    def time_s(self) -> float:
        return self._ticks * self._step_s

    def stand(self, qpos: np.ndarray, duration_s: float) -> None:
        """Everything is heard from one place."""
        self._data.qpos[:], self._data.qvel[:] = qpos, 0.0
        for _ in range(round(duration_s / self._step_s)):
            self._tick(still=True)

    def follow(self, robots: Robots) -> None:
        """Hears what the last control period brought."""
        nq = self._model.nq
        self._data.ctrl[:] = robots.target[self.index]
        for state in robots.physics.substates(self.index):
            if not np.isfinite(state).all():
                return
            self._data.qpos[:], self._data.qvel[:] = state[:nq], state[nq:]
            self._tick(still=False)

    def heights(self, unknown: float) -> np.ndarray:
        """(cells,) as the policy node reads them."""
        found = self.mapper.grid(self.time_s)
        if found is None:
            return np.full(self._cells, unknown)
        sample, shown = found
        return policy_heights(np.float64(shown.pose.pos[2]), sample.height, unknown)

    def _tick(self, still: bool) -> None:
        self._ticks += 1
        if self._ticks % self._every == 0:
            self._hear(still)
        if self._ticks % self._sub_scan == 0:
            mujoco.mj_kinematics(self._model, self._data)
            self._parts.append(self._lidar.sub_scan(self._data, self._sub_scan * self._step_s))
            if len(self._parts) == round(0.1 / (self._sub_scan * self._step_s)):
                points, self._parts = join_sub_scans(self._parts), []
                scan = livox_cdr.LivoxScan(0, "livox_frame", 0, points)
                start = self.time_s - 0.1
                offset = points["offset_time"].astype(np.float64) * 1e-9
                self.mapper.on_points(Scan(start, scan.xyz, offset), self.time_s)

    def _hear(self, still: bool) -> None:
        mujoco.mj_forward(self._model, self._data)
        reading = self._imu.read(self._data)
        gyro, force = reading.gyroscope, reading.accelerometer
        if still:  # held: nothing but gravity
            turn = np.zeros(9)
            mujoco.mju_quat2Mat(turn, reading.quat_wxyz)
            gyro = self._rng.normal(0.0, 0.003, 3)
            force = turn.reshape(3, 3).T @ [0.0, 0.0, STANDARD_GRAVITY] + self._rng.normal(0.0, 0.03, 3)
        noise = self._rng.normal(0.0, 1.0, (2, g1.NUM_MOTORS))
        unitree_cdr.set_motors(self._state, "q", self._data.qpos[7:] + 2e-4 * noise[0])
        unitree_cdr.set_motors(self._state, "dq", self._data.qvel[6:] + 0.02 * noise[1])
        self.mapper.on_low_state(self._state.tobytes())
        self.mapper.on_imu(self.time_s, gyro + self._bias[:3], force + self._bias[3:], self.time_s)


def _main() -> int:
    if "--task" in sys.argv:
        return tyro.cli(EvaluateTask, prog="vm-evaluate", args=sys.argv[1:]).run()
    evaluate(tyro.cli(Evaluate, prog="vm-evaluate", args=sys.argv[1:]))
    return 0


def main() -> None:
    """Console entry point of `vm-evaluate`."""
    command_line.run(_main)
