"""Rewards of reinforcement learning before an object."""

from dataclasses import replace

import numpy as np
import torch
from object_worlds import STILL, TASK, stand_still, stirred

from vm_training.visual.gait_table import gait_table
from vm_training.visual.generator import Generator
from vm_training.visual.generator_env import GeneratorEnv
from vm_training.visual.object_world import WorldConfig


def env(config: WorldConfig = STILL) -> GeneratorEnv:
    made = GeneratorEnv(TASK, stand_still(), gait_table(), config, 5.0, 0)
    made.reset_all()
    return made


def test_only_new_ground_pays():
    made = env(replace(STILL, vary=False))
    made.world.run[:] = True
    none = np.zeros(3, dtype=bool)

    def reward_at(x: float, y: float = 0.0) -> float:
        made.world.physics.qpos[:, 30:32] = made.world._start[:, :2] + [x, y]
        return float(made._rewards(made.world.command, none)[0])

    reward_at(0.0)
    base = reward_at(0.0)
    assert reward_at(0.05) > base + 0.3
    assert abs(reward_at(0.05) - base) < 0.02 and reward_at(0.02) < base + 0.02
    assert reward_at(0.05, 0.05) < base - 0.1 and abs(reward_at(0.05, 0.05) - base) < 0.02
    made.close()


def test_while_paused_only_stillness_pays():
    made = env()
    made.world.run[:] = False
    none = np.zeros(3, dtype=bool)
    made.world.physics.qvel[:] = 0.0
    still = made._rewards(made.world.command, none)
    made.world.physics.qpos[:, 30] += 0.5
    assert np.allclose(made._rewards(made.world.command, none), still)
    made.world.physics.qvel[:, 6:29] = 1.0
    assert np.all(made._rewards(made.world.command, none) < still - 0.01)
    assert np.all(made._rewards(made.world.command, ~none) < still - 4.0)
    made.close()


def test_what_the_first_generator_would_do_is_told_where_commands_count():
    first = Generator("state", (8,))
    stirred(first)
    made = GeneratorEnv(TASK, stand_still(), gait_table(), STILL, 5.0, 0, first.mlp)
    seen = made.reset_all()
    assert torch.equal(seen["start"], first.mlp(seen["actor"])) and not seen["start"].requires_grad
    made.world.force_run(np.array([True, False, True]))
    assert made._observe()["anchor"][:, 0].tolist() == [1.0, 0.0, 1.0]
    made.close()
