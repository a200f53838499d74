"""A run of seconds: an environment in which the best action is what is seen; also a program that can be killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from tensordict import TensorDict

from vm_training.rl.distributed import Workers
from vm_training.rl.run_folder import RunFolder
from vm_training.rl.task import PpoConfig, Task
from vm_training.rl.trainer import Trainer
from vm_training.tasks.motion_pretraining import contract_of

CONFIG = PpoConfig(iterations=20, steps=8, epochs=2, mini_batches=2, save_every=4, hidden=(16,), learning_rate=5e-3)


class TinyEnv:
    """N points; the reward is minus the squared distance of two actions from the first two numbers seen."""

    period_s = 0.02

    def __init__(self, seed: int, num_envs: int = 16, broken_at: int = -1, pause_s: float = 0.0) -> None:
        self.num_envs, self.num_actions = num_envs, 2
        self._generator = torch.Generator().manual_seed(seed)
        self._steps, self._broken_at, self._pause_s = 0, broken_at, pause_s

    def reset_all(self) -> TensorDict:
        self._seen = 2.0 * torch.rand((self.num_envs, 3), generator=self._generator) - 1.0
        return TensorDict({"actor": self._seen, "critic": self._seen}, batch_size=[self.num_envs])

    def step(self, action: torch.Tensor):
        time.sleep(self._pause_s)
        reward = -(action - self._seen[:, :2]).square().sum(1)
        self._steps += 1
        if self._steps == self._broken_at:
            reward[0] = float("nan")
        over = torch.rand(self.num_envs, generator=self._generator) < 0.2
        return self.reset_all(), reward, over.long(), {"time_outs": torch.zeros(self.num_envs, dtype=torch.bool)}

    def take_statistics(self) -> dict[str, float]:
        return {"success": 0.5, "episodes": 1.0}

    def close(self) -> None:
        pass


def tiny_task(name: str = "tiny", **options) -> Task:
    return Task(name, lambda seed: TinyEnv(seed, **options), contract_of(name, False, 0.02))


def tiny_run(out: Path, config: PpoConfig = CONFIG, resume: bool = False, **options) -> Trainer:
    folder, workers = RunFolder(out, "tiny"), Workers.from_environment()
    if workers.is_first:
        folder.begin(config, resume)
    trainer = Trainer(tiny_task(**options), config, folder, workers)
    if resume:
        trainer.resume()
    trainer.run()
    if workers.count > 1:
        torch.save(trainer.ppo.actor.state_dict(), out / f"rank_{workers.rank}.pt")
    workers.leave()
    return trainer


def go_on(out: Path, config: PpoConfig = CONFIG, pause_s: float = 0.0) -> Trainer:
    """Begins a run, or goes on with one that was killed."""
    return tiny_run(out, config, resume=bool(RunFolder(out, "tiny").checkpoints()), pause_s=pause_s)


if __name__ == "__main__":
    go_on(Path(sys.argv[1]), pause_s=float(sys.argv[2]))
