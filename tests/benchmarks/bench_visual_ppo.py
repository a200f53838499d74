"""See and move: what PPO adds to an imitation, with commands clamped to those of human motions and without.

For each seed a generator that knows the ball's state imitates the script over the shipped tracker; PPO goes on from
there, clamped and not. `VM_BENCH_SEEDS` says how many seeds (3); `VM_BENCH_OUT` (out/visual_ppo) keeps everything and
goes on where it was killed. Three quarters of an hour of a core.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from seed_runs import once, over_seeds

import vm_policy_node
from vm_training.tasks.work_folder import WorkFolder
from vm_training.visual.gait_table import gait_table
from vm_training.visual.generator import Generator
from vm_training.visual.generator_teacher import GeneratorPpoConfig, train_generator_teacher
from vm_training.visual.generator_training import GeneratorConfig, train_generator
from vm_training.visual.object_evaluation import evaluate_task
from vm_training.visual.object_world import WorldConfig
from vm_training.visual.tasks import find_object_task
from vm_training.visual.trained_parts import frozen_tracker

SEEDS = int(os.environ.get("VM_BENCH_SEEDS", "3"))
OUT = Path(os.environ.get("VM_BENCH_OUT", "out/visual_ppo"))
TASK, ROLLOUTS = "kick_ball", 24
TRACKER = Path(vm_policy_node.__file__).parent / "policies" / TASK / "tracker.onnx"
IMITATION = GeneratorConfig(rounds=12, longest_s=30.0)
PPO = GeneratorPpoConfig(world=WorldConfig(worlds=64, run_share=0.9))
KINDS = {"forward": ("m", "higher"), "falls": ("share", "lower"), "success": ("share", "higher")}
WHO = (("imitation", "clamped"), ("imitation", "not clamped"), ("PPO", "clamped"), ("PPO", "not clamped"))


def figures(seed: int) -> Iterator[dict]:
    """Of 60 s of dribbling, means over seeds and the worst one."""
    for who, how in WHO:
        name = f"{TASK}, {who}, {how}"
        rows = [once(OUT, f"{name} {run}", lambda w=who, h=how, r=run: _measured(w, h, r)) for run in _seeds(seed)]
        yield from over_seeds(name, rows, KINDS)


def _seeds(seed: int) -> range:
    return range(seed, seed + SEEDS)


def _measured(who: str, how: str, run: int) -> dict:
    clip, task = how == "clamped", find_object_task(TASK)
    tracker = frozen_tracker(TRACKER, clip)
    table = gait_table(tracker.step_s)
    generator = _imitation(run)
    if who == "PPO":
        folder, config = OUT / f"ppo_{how.replace(' ', '_')}_{run}", replace(PPO, ppo=replace(PPO.ppo, seed=run))
        resume = (folder / "config.json").is_file()
        generator, _ = train_generator_teacher(task, tracker, table, generator, config, folder, resume)
    return asdict(evaluate_task(task, tracker, table, "state", generator, ROLLOUTS, 100 + run))


def _imitation(run: int) -> Generator:
    """Taught clamped, as what is shipped; both kinds of PPO begin with the same one."""
    tracker, folder = frozen_tracker(TRACKER), WorkFolder(OUT / f"imitation_{run}")
    config = replace(IMITATION, seed=run)
    return train_generator(find_object_task(TASK), tracker, gait_table(tracker.step_s), config, folder)[0]
