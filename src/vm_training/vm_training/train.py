"""`vm-train TASK …`: trains what TASK says; `vm-train --list` says what can be trained."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Protocol

import numpy as np
import tyro

from vm_core import command_line
from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import BESIDE_CLIP, BESIDE_POLICY, SceneAsset
from vm_training.benchmark.courses import SIT_SKILL
from vm_training.clip_tracking_command import TrackClips
from vm_training.export import check_policy_name, export_policy, walking_contract
from vm_training.mdp.lane import make_lane
from vm_training.motions.planned import SIT
from vm_training.motions.seat_place import sits
from vm_training.rl.run_task import FilmedRunTask, told
from vm_training.rl.trainer import Trainer
from vm_training.tasks import finetuning, motion_pretraining, scene_tracking
from vm_training.tasks.climb import ClimbConfig, train_climb
from vm_training.tasks.climb_checks import Check
from vm_training.tasks.finetuning import FinetuneConfig, train_finetune
from vm_training.tasks.lqr_teachers import LqrTeachersConfig, train_lqr_teachers
from vm_training.tasks.motion_folder import load_motion
from vm_training.tasks.motion_pretraining import MotionPretrainingConfig, train_motion_pretraining
from vm_training.tasks.scene_tracking import SceneTrackingConfig, train_scene_tracking
from vm_training.tasks.sit import SitConfig, train_sit
from vm_training.tasks.walk import good_motions, kinds_of, train_walk
from vm_training.tasks.walk_config import WalkConfig
from vm_training.tasks.walk_evaluation import evaluate_commands, evaluate_walk
from vm_training.tasks.walk_report import WalkReport, motions_by_kind, records_of
from vm_training.tasks.work_folder import WorkFolder
from vm_training.visual import commands as visual
from vm_training.walker_arrivals import AddWalker, ExchangeWalker
from vm_training.walker_joining import GateWalkers, MixWalkers, PaceWalkers, SplitWalkers


class Task(Protocol):
    """Options of a task, as its command line takes them."""

    def run(self) -> int: ...


@dataclass(frozen=True)
class DemoSteps:
    """A policy that climbs a scene's steps and stands on top: planned reference, sampled LQR teacher, DAgger.

    Attributes:
        scene: scene folder as vm-reconstruct writes it.
        out: policy file to write.
        work: folder for what a resumed run needs; by default beside `out`.
        config: everything that decides the result.
    """

    scene: Path
    out: Path
    work: Path | None = None
    config: ClimbConfig = field(default_factory=ClimbConfig)

    def run(self) -> int:
        check_policy_name(self.out)
        scene = SceneAsset.load(self.scene)
        work = self.work or self.out.with_suffix(".training")
        checks = train_climb(scene, self.config, WorkFolder(work), self.out, "demo_steps")
        return _checked(self.out, "reaches the top and stands", checks)


@dataclass(frozen=True)
class FromVideo:
    """A policy that does what the person in a video did: sits down on the seat and gets up, or climbs the steps.

    Attributes:
        folder: as vm-reconstruct writes it, with clip.npz and scene/.
        out: policy file to write; beside it goes its scene.
        work: folder for what a resumed run needs; by default beside `out`.
        sit: everything that decides the result where the person sits.
        climb: the same where the person does not, and the scene has steps.
    """

    folder: Path
    out: Path
    work: Path | None = None
    sit: SitConfig = field(default_factory=SitConfig)
    climb: ClimbConfig = field(default_factory=ClimbConfig)

    def run(self) -> int:
        check_policy_name(self.out)
        seen, scene = MotionClip.load(self.folder / "clip.npz"), SceneAsset.load(self.folder / BESIDE_CLIP)
        work = WorkFolder(self.work or self.out.with_suffix(".training"))
        scene.save(self.out.with_suffix(BESIDE_POLICY))  # where vm-bringup looks for the place that a policy is for
        if sits(seen):
            checks = train_sit(scene, seen, self.sit, work, self.out, self.out.stem)
            return _checked(self.out, "sits down, gets up and stands", checks)
        checks = train_climb(scene, self.climb, work, self.out, self.out.stem)
        return _checked(self.out, "reaches the top and stands", checks)


def _checked(out: Path, what: str, checks: list[Check]) -> int:
    print(f"policy: {out}\n{what} for 3 s (collision shapes of the whole body, 2 ms):")
    for check in checks:
        print(f"  {check.condition:<20} {check.success:4.0%} of {check.starts}, {check.upright_s:.1f} s")
    return 0


@dataclass(frozen=True)
class LqrTeachers:
    """A sampled LQR teacher for each motion of a folder that vm-make-motions wrote; a second start does the rest.

    Attributes:
        motions: folder of motions.
        out: folder of teachers to write.
        config: everything that decides the result.
    """

    motions: Path
    out: Path
    config: LqrTeachersConfig = field(default_factory=LqrTeachersConfig)

    def run(self) -> int:
        found = train_lqr_teachers(self.motions, self.config, WorkFolder(self.out))
        for name, success in found.items():
            print(f"  {name:<24} {success:4.0%} reach the end")
        return 0


@dataclass(frozen=True)
class Walk:
    """A walker that sees a root command, a gait clock and the height grid: DAgger from many LQR teachers.

    Attributes:
        motions: folder of motions.
        teachers: folder of their teachers.
        out: policy file to write.
        work: folder for what a resumed run needs; by default beside `out`.
        start: work folder or policy file of an earlier walker, to begin from what it can.
        config: everything that decides the result.
    """

    motions: Path
    teachers: Path
    out: Path
    work: Path | None = None
    start: Path | None = None
    config: WalkConfig = field(default_factory=WalkConfig)

    def run(self) -> int:
        check_policy_name(self.out)
        folder = WorkFolder(self.work or self.out.with_suffix(".training"))
        student, default = train_walk(self.motions, self.teachers, self.config, folder, self.start)
        names = good_motions(self.motions, WorkFolder(self.teachers), self.config.least_teacher)
        kinds = kinds_of(names)
        first = load_motion(self.motions, next(name for name in names if name.startswith(kinds[0])))
        checks = evaluate_walk(student, default, self.config.lane, first.gait, kinds, self.config.seed)
        obeyed = evaluate_commands(student, default, self.config.lane, first, self.config.seed)
        training = {
            "seed": self.config.seed,
            "commit": folder.commit,
            "checks": [asdict(c) for c in (*checks, *obeyed)],
        } | ({"skills": [SIT_SKILL]} if SIT in kinds else {})
        lane = make_lane(first, None, default, self.config.lane, self.config.seed)
        middle = np.full(lane.env.num_envs, first.clip.num_frames // 2)
        lane.reset(np.arange(lane.env.num_envs), middle)
        contract = walking_contract(self.out.stem, default, first.gait.step_s, training, self.config.lane.grid)
        export_policy(student, contract, lane.observer.observe()[0], self.out)
        WalkReport(
            records_of(folder, self.start),
            motions_by_kind(names),
            self.config,
            " ".join(["vm-train", *sys.argv[1:]]),
            folder.commit,
            checks,
            obeyed,
        ).write(self.out)
        print(f"policy: {self.out}; beside it a model card (.md) and the learning curve (.png)")
        print("walks courses that it has not seen, upright to within 0.5 m of their end:")
        for check in checks:
            print(f"  {check.kind:<12} {check.success:4.0%} of {check.starts} starts on {check.courses} courses")
        print("obeys a command for 10 s on flat ground and rests for 6 s, upright; speed, turn, drift at rest:")
        for check in obeyed:
            did = f"{check.speed:.2f} m/s, {check.yaw_rate:+.2f} rad/s, {100 * check.rest_drift_m:.0f} cm"
            print(f"  {check.command:<24} {check.success:4.0%} of {check.starts}; {did}")
        return 0


@dataclass(frozen=True, kw_only=True)
class MotionPretraining(FilmedRunTask):
    """Reinforcement learning, stage 1: one policy that tracks many clips on level ground (a run folder).

    Attributes:
        config: everything that decides the result.
    """

    config: Annotated[MotionPretrainingConfig, tyro.conf.arg(name="")]

    def run(self) -> int:
        return _told(train_motion_pretraining(self.config, self.out, self.resume), self.video)


@dataclass(frozen=True, kw_only=True)
class SceneTracking(FilmedRunTask):
    """Reinforcement learning, stage 2: clips on their scenes with a height map, from a pretrained tracker.

    Attributes:
        config: everything that decides the result.
    """

    config: Annotated[SceneTrackingConfig, tyro.conf.arg(name="")]

    def run(self) -> int:
        return _told(train_scene_tracking(self.config, self.out, self.resume), self.video)


@dataclass(frozen=True, kw_only=True)
class Finetune(FilmedRunTask):
    """Reinforcement learning, stage 4: a student goes on under commands, pushes and the map's errors.

    Attributes:
        config: everything that decides the result.
    """

    config: Annotated[FinetuneConfig, tyro.conf.arg(name="")]

    def run(self) -> int:
        return _told(train_finetune(self.config, self.out, self.resume), self.video)


def _told(trainer: Trainer, video: bool) -> int:
    code = told(trainer, video)
    print(f"policy: vm-export {trainer.folder.path}")
    return code


TASKS: dict[str, type[Task]] = {
    "demo_steps": DemoSteps,
    "from_video": FromVideo,
    "lqr_teachers": LqrTeachers,
    "track_clips": TrackClips,
    "walk": Walk,
    "mix_walkers": MixWalkers,
    "gate_walkers": GateWalkers,
    "pace_walkers": PaceWalkers,
    "exchange_walker": ExchangeWalker,
    "add_walker": AddWalker,
    "split_walkers": SplitWalkers,
    motion_pretraining.NAME: MotionPretraining,
    scene_tracking.NAME: SceneTracking,
    finetuning.NAME: Finetune,
    **visual.TASKS,
}
"""What can be trained, by name."""


def _main() -> int:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: vm-train TASK [OPTIONS]; every task has its own --help\n")
    if not arguments or arguments[0] in ("--list", "-h", "--help"):
        print("\n".join(f"{name:<18} {(task.__doc__ or '').splitlines()[0]}" for name, task in TASKS.items()))
        return 0
    name, *rest = arguments
    if name not in TASKS:
        raise VmError(f"unknown task {name!r}; there are {', '.join(TASKS)}")
    return tyro.cli(TASKS[name], args=rest, prog=f"vm-train {name}").run()


def main() -> None:
    """Console entry point."""
    command_line.run(_main)
