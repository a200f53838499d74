"""How fast robots are simulated with rewards, observations and height grid, against bare physics, and how fast they
learn; on stairs, kerbs, slopes and level ground at once, everything varied."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from vm_training.export import export_policy, walking_contract
from vm_training.exported_students import read_student
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.rl.command_env import CommandConfig, CommandEnv
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.run_folder import RunFolder
from vm_training.rl.task import PpoConfig, Task
from vm_training.rl.trainer import Trainer
from vm_training.student import Student

ENVS, THREADS = 512, 2
_ROUNDS, _STEPS = 6, 15


def figures(seed: int) -> Iterator[dict]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "student.onnx"
        contract = walking_contract("student", np.asarray(DEFAULT_JOINT_POS), 0.6, {})
        torch.manual_seed(seed)
        student = Student(contract.observation_size, 23)
        export_policy(student, contract, np.zeros(contract.observation_size), path)
        student, contract = read_student(path)
        yield from _environment(student, contract, seed)
        yield from _end_to_end(student, contract, seed, Path(folder))


def _environment(student, contract, seed: int) -> Iterator[dict]:
    """Both in turn, many times, so that other work on the machine meets both alike; the median of the rounds."""
    env = CommandEnv(contract, student, EnvConfig(num_envs=ENVS, threads=THREADS), CommandConfig(), seed)
    env.reset_all()
    action = torch.zeros((ENVS, env.num_actions))
    target = env.default_joint_pos.expand(ENVS, -1)
    late = torch.zeros(ENVS)
    with torch.no_grad():
        for _ in range(5):
            env.step(action)
        pairs = [(_time(lambda: env.step(action)), _bare(env, target, late)) for _ in range(_ROUNDS)]
    env.close()
    whole, bare = np.array(pairs).T
    rate = ENVS * _STEPS / float(np.median(whole))
    yield _figure("environment", rate, "control steps/s", 4000.0)
    yield _figure("bare rollout", ENVS * _STEPS / float(np.median(bare)), "control steps/s", 5000.0)
    yield _figure("environment against bare rollout", float(np.median(bare / whole)), "share", 0.75)


def _bare(env: CommandEnv, target: torch.Tensor, late: torch.Tensor) -> float:
    """The same robots in the same states, with nothing but mujoco.rollout's own steps."""
    physics = env.sim._physics
    state = physics._state.copy()
    control = np.repeat(target.numpy()[:, None], physics.substeps, axis=1).astype(np.float64)
    history, sensors = np.zeros_like(physics._history), np.zeros_like(physics._sensors)
    for model in physics._models[:1]:
        assert model.nu == control.shape[-1]
    start = time.perf_counter()
    for _ in range(_STEPS):
        physics._rollout.rollout(physics._models, physics._data, state, control, state=history, sensordata=sensors)
    return time.perf_counter() - start


def _time(step) -> float:
    start = time.perf_counter()
    for _ in range(_STEPS):
        step()
    return time.perf_counter() - start


def _end_to_end(student, contract, seed: int, folder: Path) -> Iterator[dict]:
    """Collecting and learning with a 256-128-64 network; the first iteration, with nothing to learn, is left out."""
    config = PpoConfig(iterations=6, steps=24, epochs=2, mini_batches=4, save_every=100, seed=seed)
    run = RunFolder(folder / "run", "bench")
    run.begin(config, False)
    env_config = EnvConfig(num_envs=ENVS, threads=THREADS)
    task = Task("bench", lambda s: CommandEnv(contract, student, env_config, CommandConfig(), s), contract, 121)
    trainer = Trainer(task, config, run)
    rates: list[float] = []
    note = trainer._note

    def noted(*arguments) -> None:
        note(*arguments)
        rates.append(trainer.last_rate)

    trainer._note = noted  # type: ignore[method-assign]
    trainer.run()
    # the last iteration also empties the pipeline
    yield _figure("collect and learn", float(np.median(rates[1:-1])), "control steps/s", 4000.0)


def _figure(name: str, value: float, unit: str, goal: float) -> dict:
    return {"figure": name, "value": round(value, 4), "unit": unit, "goal": goal, "better": "higher"}
