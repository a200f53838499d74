"""Imported policies in physics, through the controller that the node runs: paths are walked, motions danced."""

import numpy as np
import pytest
import test_vm_policy_node_walk as walks

from vm_policy_node.controller import Controller, ControllerConfig
from vm_policy_node.importers.holosoma import import_holosoma
from vm_policy_node.importers.unitree_rl_lab import import_unitree_rl_lab
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.safety import SafetyLimits, State

HOLOSOMA = walks.DATA / "policies/holosoma"
PERIOD_S = 0.02


def follow(policy: OnnxPolicy, path: np.ndarray, seconds: float):
    """Stands up, runs and walks a path (N, 2) [m] by true odometry; the positions (T, 2) and the controller."""
    robot = walks.SimulatedRobot()
    controller = Controller(policy, ControllerConfig(stand_duration_s=1.0), SafetyLimits(start_still_s=0.0))
    assert controller.command.on_path(path) == ""
    positions = []
    for k in range(round(seconds / PERIOD_S)):
        now = PERIOD_S * k
        controller.on_low_state(robot.low_state(), now)
        controller.on_odometry(robot.data.qpos[:3].copy(), robot.data.qpos[3:7].copy(), robot.data.qvel[:3].copy(), now)
        low_cmd = controller.step(now)
        if low_cmd is None:
            controller.request("stand", now)
            low_cmd = controller.step(now)
        assert low_cmd is not None
        robot.apply(low_cmd, PERIOD_S)
        if controller.at_start_pose(now):
            controller.request("run", now)
        assert controller.machine.state != State.DAMPING, controller.machine.cause
        positions.append(robot.data.qpos[:2].copy())
    return np.array(positions), controller


@pytest.mark.skipif(not walks.VELOCITY_POLICY.is_dir(), reason=f"no velocity policy at {walks.VELOCITY_POLICY}")
def test_unitrees_policy_walks_a_bent_path_to_its_end(tmp_path):
    import_unitree_rl_lab(walks.VELOCITY_POLICY).write(tmp_path / "v.onnx")
    angle = np.linspace(0.0, 0.9, 20)
    path = 3.0 * np.column_stack([np.sin(angle), 1.0 - np.cos(angle)])  # an arc of 3 m radius, 2.7 m long
    positions, controller = follow(OnnxPolicy.load(tmp_path / "v.onnx"), path, 16.0)
    away = np.linalg.norm(positions[:, None] - path[None], axis=2)
    assert away[:, -1].min() < 0.2  # the end is reached
    assert away.min(axis=1).max() < 0.5  # and the path not left
    assert not controller.command.path.active
    assert not controller.command.value.any()


@pytest.mark.parametrize("name", ["ppo_g1_29dof", "fastsac_g1_29dof"])
def test_holosomas_policies_walk(tmp_path, name):
    if not (HOLOSOMA / f"{name}.onnx").is_file():
        pytest.skip(f"no {name}.onnx of holosoma in {HOLOSOMA}")
    import_holosoma(HOLOSOMA / f"{name}.onnx").write(tmp_path / "h.onnx")
    robot, _ = walks.walk(OnnxPolicy.load(tmp_path / "h.onnx"), 8.0, lambda t: (0.5, 0.0, 0.0))
    assert robot.data.qpos[0] > 2.0
    assert robot.data.qpos[2] > 0.65


def test_holosomas_dance_stays_on_its_feet(tmp_path):
    source = HOLOSOMA / "fastsac_g1_29dof_dancing.onnx"
    if not source.is_file():
        pytest.skip(f"no {source.name} of holosoma in {HOLOSOMA}")
    import_holosoma(source).write(tmp_path / "d.onnx")
    robot, controller = walks.walk(OnnxPolicy.load(tmp_path / "d.onnx"), 10.0, lambda t: (0.0, 0.0, 0.0))
    assert controller.run_step > 450
    assert robot.data.qpos[2] > 0.6
