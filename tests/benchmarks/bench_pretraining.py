"""What motion pretraining is worth: a walker that learns stairs and kerbs from nothing, and one that walked before.

VideoMimic's ablation (its Fig. 6) with this project's own stages: walks on level ground are the pretraining, stairs
and kerbs what is to be learnt, DAgger from LQR teachers the learning. Both have the same budget of control steps,
pretraining counted. `VM_BENCH_SEEDS` runs of each (3), `VM_BENCH_ROUNDS` rounds in all (18), a third of them
pretraining; `VM_BENCH_OUT` keeps everything, goes on where it was killed, and gets curves (pretraining.png).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vm_training.make_motions import MakeMotions, make_motions
from vm_training.mdp.lane import LaneConfig
from vm_training.tasks.lqr_teachers import LqrTeachersConfig, train_lqr_teachers
from vm_training.tasks.walk import RECORDS_FILE, train_walk
from vm_training.tasks.walk_config import WalkConfig
from vm_training.tasks.work_folder import WorkFolder

SEEDS = int(os.environ.get("VM_BENCH_SEEDS", "3"))
ROUNDS = int(os.environ.get("VM_BENCH_ROUNDS", "18"))
OUT = Path(os.environ.get("VM_BENCH_OUT", "out/pretraining"))
EASY, TASK = ("flat", "arc"), ("stairs_up", "stairs_down", "kerb")
EVERY = 3  # rounds between two looks at courses that are not taught
MOTIONS = 4  # of each kind
WALK = WalkConfig(
    motions_a_round=10,
    steps=60,
    passes=6,
    exploration_rad=0.015,
    validate_every=EVERY,
    validation_courses=2,
    lessons=400_000,
    lane=LaneConfig(num_envs=96, exact_grids=0.5, threads=1),
)


@dataclass(frozen=True)
class Curve:
    """Success on unseen stairs and kerbs against control steps, those of pretraining counted."""

    steps: np.ndarray
    success: np.ndarray


def figures(seed: int) -> Iterator[dict]:
    """Final success of both, and how many steps each took to half of it."""
    easy, task = _taught(EASY, "easy"), _taught(TASK, "task")
    curves: dict[str, list[Curve]] = {"pretrained": [], "from nothing": []}
    for run in range(SEEDS):
        config = replace(WALK, seed=seed + run)
        before = OUT / f"before_{run}"
        train_walk(*easy, replace(config, rounds=ROUNDS // 3, validate_every=0), WorkFolder(before))
        after = OUT / f"after_{run}"
        train_walk(*task, replace(config, rounds=ROUNDS - ROUNDS // 3), WorkFolder(after), before)
        told = WorkFolder(before).read_json(RECORDS_FILE)[-1]["steps"]
        curves["pretrained"].append(_curve(after, told))
        nothing = OUT / f"nothing_{run}"
        train_walk(*task, replace(config, rounds=ROUNDS), WorkFolder(nothing))
        curves["from nothing"].append(_curve(nothing, 0))
        _plot(curves)
    for name, runs in curves.items():
        ends = [run.success[-1] for run in runs]
        text = f"unseen stairs and kerbs, {name}, {runs[0].steps[-1] / 1e6:.2f} M steps, {SEEDS} seeds"
        yield _figure(f"{text}: mean", float(np.mean(ends)))
        yield _figure(f"{text}: least", float(np.min(ends)))
        yield _figure(f"{text}: mean over the last half", float(np.mean([_late(run) for run in runs])))


def _taught(kinds: tuple[str, ...], name: str) -> tuple[Path, Path]:
    """Motions of some kinds with their teachers; what is there stays."""
    motions, teachers = OUT / f"{name}_motions", OUT / f"{name}_teachers"
    make_motions(MakeMotions(motions, MOTIONS, kinds))
    train_lqr_teachers(motions, LqrTeachersConfig(good_enough=0.8, judges=24, threads=2), WorkFolder(teachers))
    return motions, teachers


def _curve(folder: Path, before: int) -> Curve:
    records = [record for record in WorkFolder(folder).read_json(RECORDS_FILE) if "validation" in record]
    steps, success = ([record[key] for record in records] for key in ("steps", "validation"))
    return Curve(before + np.array(steps), np.array(success))


def _late(curve: Curve) -> float:
    return float(curve.success[curve.steps > 0.5 * curve.steps[-1]].mean())


def _plot(curves: dict[str, list[Curve]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6.0, 3.2), dpi=90)
    for colour, (name, runs) in zip(("tab:blue", "tab:orange"), curves.items(), strict=True):
        for index, run in enumerate(runs):
            label = f"{name}, {len(runs)} seeds" if index == 0 else None
            axis.plot(1e-6 * run.steps, 100.0 * run.success, color=colour, alpha=0.8, marker=".", label=label)
    axis.set(xlabel="control steps, pretraining counted [million]", ylabel="unseen stairs and kerbs [%]", ylim=(0, 100))
    axis.grid(alpha=0.3)
    axis.legend(loc="upper left")
    figure.tight_layout()
    figure.savefig(OUT / "pretraining.png")
    pyplot.close(figure)


def _figure(name: str, value: float) -> dict:
    return {"figure": name, "value": round(value, 4), "unit": "share", "goal": None, "better": "higher"}
