"""What the benchmark tells its robots is what the policy node would have told them: clip, clock, grid, history."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vm_core import g1
from vm_core.height_grid import cell_points_world, mean_heights
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_policy_node.inputs import Grid, Odometry, RobotState
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.policy_runner import PolicyInputs, PolicyRunner
from vm_training.benchmark.courses import Episode
from vm_training.benchmark.grids import TrueGrid
from vm_training.benchmark.physics import PHYSICS, build_models
from vm_training.benchmark.robots import TORQUE_MARGIN, Robots, StateNoise
from vm_training.export import export_policy, walking_contract
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.policy_file import PolicyFile
from vm_training.student import Student

POLICIES = Path(__file__).resolve().parents[2] / "src" / "vm_policy_node" / "vm_policy_node" / "policies"
SILENT = StateNoise(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
SCENE = SceneAsset(boxes=(SceneBox((0.5, 0.0, 0.03), (0.25, 1.0, 0.03)),))


@pytest.fixture(scope="module")
def walker(tmp_path_factory) -> Path:
    contract = walking_contract("parity", np.asarray(DEFAULT_JOINT_POS), 0.6, {})
    torch.manual_seed(0)
    student = Student(contract.observation_size, 23)
    torch.nn.init.normal_(student.layers[-1].weight, 0.0, 0.3)
    out = tmp_path_factory.mktemp("policy") / "walker.onnx"
    export_policy(student, contract, np.zeros(contract.observation_size), out)
    return out


@pytest.mark.parametrize("kind", ["walker", "tracker"])
def test_the_benchmark_acts_as_the_node(kind, walker):
    path = walker if kind == "walker" else POLICIES / "demo_steps.onnx"
    policy, runner = PolicyFile.load(path), PolicyRunner(OnnxPolicy.load(path))
    models = build_models([SCENE], policy.contract, PHYSICS["time_step"], np.random.default_rng(0))
    robots = Robots(policy, models, [Episode(SCENE, 2.0, 0.3, 9.0)], PHYSICS["time_step"], 0, 1, SILENT)
    grid = TrueGrid(robots) if policy.contract.height_grid is not None else None
    runner.begin(robots.physics.qpos[0, 3:7].copy(), None, align=False)
    moved = 0.0
    for k in range(40):
        qpos, qvel = robots.physics.qpos[0].copy(), robots.physics.qvel[0].copy()
        command = np.array([[0.3 if 5 < k < 30 else 0.0, 0.0, 0.1]])
        wanted = runner.step(inputs(robots, grid, qpos, qvel, command[0])).position
        robots.act(command, grid, np.arange(1))
        reach = TORQUE_MARGIN * g1.TORQUE_LIMIT / robots._kp
        np.testing.assert_allclose(robots.target[0], np.clip(wanted, qpos[7:] - reach, qpos[7:] + reach), atol=2e-5)
        moved = max(moved, float(np.abs(robots.target[0] - qpos[7:]).max()))
    assert moved > 0.05
    robots.physics.close()


def inputs(
    robots: Robots, grid: TrueGrid | None, qpos: np.ndarray, qvel: np.ndarray, command: np.ndarray
) -> PolicyInputs:
    """The same state as the node reads it from its messages."""
    state = RobotState(qpos[7:], qvel[6:], qpos[3:7], qvel[3:6], 0, 5, True, b"")
    told = None
    if grid is not None:
        torso, quat = (part[0] for part in grid.torso(robots))
        cells = cell_points_world(grid.spec, torso, quat)[:, :2]
        heights = mean_heights(grid.spec, cells, quat, SCENE.height_at)
        told = Grid(float(torso[2]), heights, grid.spec)
    return PolicyInputs(state, qpos[3:7], command, told, Odometry(qpos[:3], qvel[:3]))
