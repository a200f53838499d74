"""Fine-tuning begins where the policy file is: the robots of its environment see what the node would show the policy,
and walk with it as the benchmark says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vm_core.gait_clock import GaitClock
from vm_core.height_grid import cell_points_world, mean_heights, policy_heights
from vm_core.observation import ObservationHistory, build_terms
from vm_core.observation_terms import ObservationInputs
from vm_training.exported_students import read_student
from vm_training.mdp.commands import CommandRanges
from vm_training.mdp.observations import SensorNoise
from vm_training.mdp.randomization import EpisodeRanges
from vm_training.mdp.walk_observations import torso_pose
from vm_training.rl.command_env import CommandConfig, CommandEnv
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.random_courses import TERRAINS
from vm_training.rl.walk_validation import ValidationConfig, validate

POLICY = Path(__file__).resolve().parents[2] / "src/vm_policy_node/vm_policy_node/policies/g1_walk.onnx"
QUIET = SensorNoise(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_robots_see_what_the_node_would_show_them():
    student, contract = read_student(POLICY)
    commands = CommandRanges(contract.command_limits, stand_s=(0.1, 0.3), hold_s=(0.3, 0.6), zero=0.3)
    config = EnvConfig(len(TERRAINS), ranges=EpisodeRanges.none(), noise=QUIET, mirror=False, threads=1)
    env = CommandEnv(contract, student, config, CommandConfig(commands=commands, scenes=len(TERRAINS)), 5)
    scenes, clocks = env.scenes, [GaitClock(contract.gait_step_s, contract.gait_fade_steps) for _ in TERRAINS]
    history, last = ObservationHistory(contract.observation, contract.history_layout), np.zeros((len(TERRAINS), 23))
    seen = env.reset_all()["actor"]
    env.age.zero_()
    for _ in range(60):
        qpos, qvel, command = env.sim.qpos.double().numpy(), env.sim.qvel.double().numpy(), env.commands.value.numpy()
        position, quat = torso_pose(qpos)
        cells = cell_points_world(contract.height_grid, position, quat)[..., :2]
        places = zip(scenes, cells, quat, strict=True)
        terrain = np.stack([mean_heights(contract.height_grid, xy, turn, at.height_at) for at, xy, turn in places])
        inputs = ObservationInputs(
            joint_pos=qpos[:, 7:],
            joint_vel=qvel[:, 6:],
            default_joint_pos=np.array(contract.default_joint_pos),
            root_quat_wxyz=qpos[:, 3:7],
            root_ang_vel_body=qvel[:, 3:6],
            last_action=last,
            command=command,
            height_grid=policy_heights(position[:, 2], terrain, contract.height_grid_unknown),
            gait_phase=np.stack([clock.update(row, 0.02) for clock, row in zip(clocks, command, strict=True)]),
        )
        expected = history.push(build_terms(contract.observation, inputs))
        wrong = np.abs(seen.numpy() - expected)
        assert wrong.max() < 0.06, np.unravel_index(wrong.argmax(), wrong.shape)
        assert wrong[:, : -contract.height_grid.num_cells].max() < 2e-3
        with torch.no_grad():
            action = student(seen)
        last = action.clamp(-contract.action_clip, contract.action_clip).numpy()
        found, _, over, _ = env.step(action)
        assert not over.any()
        seen = found["actor"]
        np.testing.assert_allclose(found["start"], student(seen).detach(), atol=1e-6)
    env.close()


def test_the_policy_walks_there_as_in_the_benchmark():
    """What `vm-evaluate` says of it: all on flat ground, nearly all over low stairs and kerbs."""
    student, contract = read_student(POLICY)
    limits = replace(CommandConfig().commands, limits=contract.command_limits)
    found = validate(student, contract, CommandConfig(commands=limits), ValidationConfig(4, 7.0))
    assert found["valid_flat"] == 1.0
    assert min(found[f"valid_{kind}"] for kind in ("stairs_up", "stairs_down", "kerbs")) >= 0.5, found
