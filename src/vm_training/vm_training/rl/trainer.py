"""PPO of rsl-rl-lib, with collection and learning at the same time, and runs that go on exactly where they were killed.

While the learner works on the batch of iteration k, the robots act with the policy of before and gather batch k + 1:
one iteration of lag, which PPO's ratio allows for. A run is a row of segments of `save_every` iterations. At each
segment's end the pipeline is emptied, a checkpoint written, and the environment built anew from the segment's seed, so
that a run that was killed and one that was not do the same. All random numbers of a segment come from generators with
seeds of their own.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import torch
from rsl_rl.storage import RolloutStorage
from tensordict import TensorDict

from vm_core.errors import VmError
from vm_core.policy_contract import PolicyContract
from vm_training.progress import Progress
from vm_training.rl.distributed import Workers
from vm_training.rl.learner_parts import LearnerParts, advantages
from vm_training.rl.run_folder import RunFolder
from vm_training.rl.task import PpoConfig, Task


class Trainer:
    """A run.

    Attributes:
        ppo: learner and networks.  records: figures of each iteration.  best: validation reached so far.
    """

    def __init__(self, task: Task, config: PpoConfig, folder: RunFolder, workers: Workers | None = None) -> None:
        torch.set_num_threads(1)
        self.task, self.config, self.folder = task, config, folder
        self.workers = workers or Workers()
        self.records: list[dict[str, float]] = []
        self.best = -1.0
        torch.manual_seed(config.seed)
        self._env = task.make_env(self._seed(0))
        first = self._env.reset_all()
        parts = LearnerParts(config, first, self._env.num_actions, task.grid_cells, task.anchor)
        self._storages = [parts.storage() for _ in range(2)]
        self.ppo = parts.ppo(self._storages[0], self.workers.rsl_rl_config)
        self._acting = [parts.actor(), parts.critic()]
        if task.start is not None:
            task.start(self.ppo.actor)  # type: ignore[arg-type]
        self.workers.share(self.ppo.actor, self.ppo.critic)

    # -- the run -------------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Goes on from the newest checkpoint.

        Raises:
            VmError: it does not fit this run.
        """
        state = self.folder.load()
        try:
            if PolicyContract.from_json(state["contract"]) != self.task.contract:
                raise VmError(
                    f"{self.folder.path}: checkpoint of another contract (other terms, joints, gains or beginnings)"
                )
            self.ppo.load(state["ppo"], None, strict=True)
            self.records = state["records"]
            self.best = state.get("best", -1.0)
            self.task.load_state(state["task_state"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise VmError(f"{self.folder.path}: checkpoint of other networks ({str(error).splitlines()[0]})") from None

    def run(self) -> None:
        """All iterations that are not done yet.

        Raises:
            VmError: numbers that are none; the state is saved beside the checkpoints.
        """
        writer = self._writer()
        if not self.records and self.workers.is_first:
            self.best = self._validate().get("valid", -1.0)
            self._save()
        with Progress(self.task.name, self.config.iterations, len(self.records), unit="iteration") as bar:
            while len(self.records) < self.config.iterations:
                self._segment(bar, writer)
                if self.workers.is_first:
                    self._validate_due(writer)
                    self._save()
        self._env.close()
        if writer is not None:
            writer.close()

    def _segment(self, bar: Progress, writer: Any) -> None:
        begun, config = len(self.records), self.config
        count = min(config.save_every - begun % config.save_every, config.iterations - begun)
        if begun:  # the first segment's robots are there already
            self._env.close()
            self._env = self.task.make_env(self._seed(begun))
        torch.manual_seed(self._seed(begun))  # the learner's shuffling; robots draw from generators of their own
        self._generator = torch.Generator().manual_seed(self._seed(begun) + 1)
        self._seen = self._env.reset_all()
        self._age = torch.randint(0, 50, (self._env.num_envs,), generator=self._generator)
        waiting: RolloutStorage | None = None
        for k in range(count):
            start = time.perf_counter()
            filled, figures = self._collect_while_learning(k, waiting)
            waiting = filled
            if not config.overlap or k == count - 1:
                figures |= self._learn(filled)
                waiting = None
            self._note(figures, time.perf_counter() - start, bar, writer)

    def _collect_while_learning(
        self, k: int, waiting: RolloutStorage | None
    ) -> tuple[RolloutStorage, dict[str, float]]:
        for acting, learning in zip(self._acting, (self.ppo.actor, self.ppo.critic), strict=True):
            acting.load_state_dict(learning.state_dict())
        learnt: dict[str, float] = {}
        failure: list[BaseException] = []

        def learn() -> None:
            try:
                if waiting is not None:
                    learnt.update(self._learn(waiting))
            except BaseException as error:  # carried over to the main thread
                failure.append(error)

        learner = threading.Thread(target=learn, name="learner")
        learner.start()
        try:
            storage = self._storages[k % 2]
            figures = self._collect(storage)
        finally:
            learner.join()
        if failure:
            raise failure[0]
        return storage, figures | learnt

    # -- collecting ----------------------------------------------------------------------------------------------------

    def _collect(self, storage: RolloutStorage) -> dict[str, float]:
        actor, critic = self._acting
        rewards, ends, ages = 0.0, 0, 0.0
        storage.clear()
        with torch.no_grad():
            for _ in range(self.config.steps):
                step = RolloutStorage.Transition()
                mean = actor(self._seen, stochastic_output=False)
                noise = torch.randn(mean.shape, generator=self._generator)
                action = mean + actor.output_std * noise
                step.actions, step.actions_log_prob = action, actor.get_output_log_prob(action)
                step.distribution_params = actor.output_distribution_params
                values = critic(self._seen)
                step.values, step.observations = values, self._seen
                seen, reward, dones, extras = self._env.step(action)
                self._guard(seen, reward)
                bootstrap = self.config.gamma * values[:, 0] * extras["time_outs"]
                step.rewards, step.dones = reward + bootstrap, dones
                storage.add_transition(step)
                self._seen = seen
                self._age += 1
                over = dones > 0
                ages += float(self._age[over].sum())
                ends += int(over.sum())
                self._age[over] = 0
                rewards += float(reward.mean())
            advantages(storage, critic(self._seen), self.config.gamma, self.config.lam)
        figures = self._env.take_statistics()
        length = ages / ends * self._env.period_s if ends else float("nan")
        return {"reward": rewards / self.config.steps, "episode_s": length} | figures

    def _guard(self, seen: TensorDict, reward: torch.Tensor) -> None:
        """Stops at the first number that is none and keeps what led to it."""
        if bool(reward.isfinite().all()) and all(bool(value.isfinite().all()) for value in seen.values()):
            return
        self._stop_at_nan({"observations": dict(seen.items()), "reward": reward})

    def _stop_at_nan(self, about: dict[str, Any]) -> None:
        path = self.folder.path / f"nan_{len(self.records):06d}.pt"
        torch.save({"ppo": self.ppo.save(), **about}, path)
        kept = self.folder.checkpoints()
        last = f"; the last checkpoint is of iteration {kept[-1]}" if kept else ""
        raise VmError(f"not a number in iteration {len(self.records)}; the state is in {path}{last}")

    # -- learning ------------------------------------------------------------------------------------------------------

    def _learn(self, storage: RolloutStorage) -> dict[str, float]:
        self.ppo.storage = storage
        losses = self.ppo.update()
        if not all(torch.isfinite(p).all() for p in (*self.ppo.actor.parameters(), *self.ppo.critic.parameters())):
            self._stop_at_nan({"losses": losses})
        assert storage.distribution_params is not None  # a batch is full
        # not the acting policy's, which is another as soon as it has acted: before or after this line
        std = float(storage.distribution_params[1].mean())
        named = {f"loss_{name}": float(loss) for name, loss in losses.items()}
        return named | {"std": std, "learning_rate": float(self.ppo.learning_rate)}

    def _note(self, figures: dict[str, float], seconds: float, bar: Progress, writer: Any) -> None:
        batch = self._env.num_envs * self.config.steps * self.workers.count
        steps = (self.records[-1]["steps"] if self.records else 0) + batch
        self.records.append({"iteration": len(self.records) + 1, "steps": steps} | figures)
        self.last_rate = batch / seconds
        shown = {"reward": f"{figures['reward']:.3f}", "steps_s": f"{self.last_rate:.0f}"}
        if figures.get("success", float("nan")) == figures.get("success"):
            shown["success"] = f"{figures['success']:.0%}"
        bar.round_done(**shown)
        if writer is not None:
            for name, value in figures.items():
                writer.add_scalar(name, value, steps)
            writer.add_scalar("steps_a_second", self.last_rate, steps)

    def _save(self) -> None:
        self.folder.save(len(self.records), self._state())
        if self.records:
            self.folder.write_curve(self.records)

    def _state(self) -> dict[str, Any]:
        state = {"ppo": self.ppo.save(), "records": self.records, "task_state": self.task.state(), "best": self.best}
        return state | {"contract": self.task.contract.to_json()}

    # -- validation ----------------------------------------------------------------------------------------------------

    def _validate_due(self, writer: Any) -> None:
        """Judges the policy where it is time to, and keeps it where none was better."""
        done = -(-len(self.records) // self.config.save_every)
        if done % self.task.validate_every and len(self.records) < self.config.iterations:
            return
        found = self._validate()
        self.records[-1] |= found
        if writer is not None:
            for name, value in found.items():
                writer.add_scalar(name, value, self.records[-1]["steps"])
        if found and found["valid"] > self.best:
            self.best = found["valid"]
            self.folder.save_best(len(self.records), self._state())

    def _validate(self) -> dict[str, float]:
        if self.task.validate is None:
            return {}
        return self.task.validate(self.ppo.actor)  # type: ignore[arg-type]

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _seed(self, iteration: int) -> int:
        return 7919 * self.config.seed + 101 * iteration + 13 * self.workers.rank

    def _writer(self) -> Any:
        if not self.workers.is_first:
            return None
        from torch.utils.tensorboard import SummaryWriter

        steps = int(self.records[-1]["steps"]) if self.records else None
        return SummaryWriter(str(self.folder.path / "tensorboard"), purge_step=steps)
