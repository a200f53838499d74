"""Planned motions for keypoint trackers: made in numbers, kept in one file each, with load, timing and keypoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_training.motions.clip import reference_clip
from vm_training.motions.feasibility import Feasibility
from vm_training.motions.footsteps import Gait
from vm_training.progress import Progress
from vm_training.visual.halts import halted
from vm_training.visual.lift_plans import random_lift
from vm_training.visual.motions import ARMS_AT_EASE, SLOW_STEP_S, MotionPlan, gait_of, random_plan, working_plan
from vm_training.visual.planned_motion import TIMING_FPS, PlannedMotion


def planned(plan: MotionPlan, source: str) -> tuple[PlannedMotion, str]:
    """The motion of a plan and what rules it out, empty if nothing does."""
    reference = plan.reference()
    clip = reference_clip(reference, source)
    load = plan.body(np.arange(clip.num_frames) / clip.fps).load_n
    steps = len(plan.steps) + 1 if len(plan.steps) else 0
    motion = PlannedMotion(clip, np.zeros(clip.num_frames) if load is None else load, steps, plan.gait.step_s)
    return motion, Feasibility.of(reference).problems


def planned_halt(plan: MotionPlan, frame: int, source: str) -> tuple[PlannedMotion, str]:
    """The same of a plan's walk that is told to halt at a frame."""
    walk = plan.reference()
    halt = halted(plan, walk, frame)
    clip = reference_clip(halt.reference, source)
    qpos = walk.motion.qpos[frame : frame + MOST_LEAD]
    steps = len(plan.steps) + 1
    none, step_s = np.zeros(clip.num_frames), plan.gait.step_s
    motion = PlannedMotion(clip, none, steps, step_s, (frame, *halt.landed), qpos)
    # the limbs' inertia is not allowed for in the fifth of a second that a foot takes to come down
    ends = replace(Feasibility.of(halt.reference), root_residual=0.0)
    return motion, Feasibility.of(walk).problems or ends.problems


def steady_plan(
    step: np.ndarray, count: int = 8, arms: np.ndarray = ARMS_AT_EASE, load_n: float = 0.0, gait: Gait | None = None
) -> MotionPlan:
    """`count` equal steps (3,), the first and the last half, arms (8,) held."""
    steps = np.tile(step, (count, 1))
    steps[[0, -1], :2] *= 0.5
    return MotionPlan(steps, np.array([0.0, 60.0]), np.tile(arms, (2, 1)), load_n, gait or Gait())


@cache
def common_motion(step_s: float = SLOW_STEP_S) -> PlannedMotion:
    """The walk that common gains of steps of this time are found for: eight of 15 cm, as fast where they are quick."""
    gait = gait_of(step_s)
    plan = steady_plan(np.array([0.15 * step_s / SLOW_STEP_S, 0.0, 0.0]), gait=gait)
    return planned(plan, "common walk")[0]


MOST_LEAD = 25
"""Frames of a walk that are kept from where it was told to halt."""


def _halting(rng: np.random.Generator, source: str, gait: Gait) -> tuple[PlannedMotion, str]:
    plan = replace(working_plan(rng, gait), load_n=0.0)
    walk_s = len(plan.steps) * gait.step_s
    return planned_halt(plan, round((gait.stand_s + rng.uniform(0.0, walk_s)) * TIMING_FPS), source)


KINDS: dict[str, Callable[[np.random.Generator, str, Gait], tuple[PlannedMotion, str]]] = {
    "motion": lambda rng, source, gait: planned(random_plan(rng, gait), source),
    "working": lambda rng, source, gait: planned(working_plan(rng, gait), source),
    "halting": _halting,
    "lift": lambda rng, source, gait: random_lift(rng).motion(source),
}
"""Kinds of motions: each draws one, and says what rules it out."""


def make_library(
    folder: Path, count: int, seed: int, kind: str = "motion", step_s: float = SLOW_STEP_S
) -> list[PlannedMotion]:
    """Motions 0 to count - 1 of a kind and seed, in steps of this time; what is there already is read, infeasible plans
    are drawn anew.

    Raises:
        VmError: a damaged file, or one of other steps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    motions, gait = [], gait_of(step_s)
    with Progress("motions", count, unit="motion") as bar:
        for index in range(count):
            path = folder / f"{kind}_{seed}_{index:04d}.npz"
            motions.append(load_motion(path) if path.is_file() else _make(path, kind, seed, index, gait))
            if motions[-1].step_s != step_s and not motions[-1].lift:
                raise VmError(f"{path}: steps of {motions[-1].step_s} s; expected {step_s} s, or another folder")
            bar.round_done()
    return motions


def _make(path: Path, kind: str, seed: int, index: int, gait: Gait) -> PlannedMotion:
    for attempt in range(100):
        rng = np.random.default_rng([seed, index, attempt])
        motion, problems = KINDS[kind](rng, f"{kind} {seed}/{index}", gait)
        if not problems:
            save_motion(motion, path)
            return motion
    raise VmError(f"motion {index} of seed {seed}: no feasible plan in 100")


def save_motion(motion: PlannedMotion, path: Path) -> None:
    """Writes one motion."""
    clip = motion.clip
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            joint_pos=clip.joint_pos,
            root_pos_world=clip.root_pos_world,
            root_quat_wxyz=clip.root_quat_wxyz,
            contact=clip.contact,
            joint_target=np.asarray(clip.joint_target),
            load_n=motion.load_n,
            steps=motion.steps,
            step_s=motion.step_s,
            halt=np.array(motion.halt or (), dtype=int),
            walked_on=motion.walked_on,
            lift=motion.lift,
        )


def load_motion(path: Path) -> PlannedMotion:
    """Reads one motion.

    Raises:
        VmError: not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
        load, steps = found.pop("load_n"), int(found.pop("steps"))
        step_s = float(found.pop("step_s", SLOW_STEP_S))
        halt = tuple(found.pop("halt", np.zeros(0, int)).tolist()) or None
        walked_on, lift = found.pop("walked_on", np.zeros((0, 30))), bool(found.pop("lift", False))
        clip = MotionClip(
            fps=50.0,
            joint_names=_joint_names(),
            contact_names=("left_foot", "right_foot"),
            source=path.stem,
            **found,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VmError(f"{path}: not a planned motion ({error}); remove it, it will be made anew") from None
    return PlannedMotion(clip, load, steps, step_s, halt, walked_on, lift)


def _joint_names() -> tuple[str, ...]:
    from vm_core import g1

    return g1.POLICY_JOINT_NAMES
