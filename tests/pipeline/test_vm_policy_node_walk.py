"""Unitree's velocity policy, imported, walks and turns in MuJoCo through the very controller that the node runs."""

import os
from pathlib import Path

import mujoco
import numpy as np
import pytest

from vm_core import frames, g1, unitree_cdr
from vm_policy_node.controller import Controller, ControllerConfig
from vm_policy_node.importers.unitree_rl_lab import import_unitree_rl_lab
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.safety import SafetyLimits, State
from vm_sim.g1_model import joint_addresses, load_g1_spec, set_gains, stand_qpos

DATA = Path(os.environ.get("VM_SHARED_DATA", Path(__file__).parents[2].parent / "shared/data"))
VELOCITY_POLICY = DATA / "policies/unitree_g1_velocity"


class SimulatedRobot:
    """The G1 on a plane, answering LowCmd records with LowState bytes."""

    def __init__(self) -> None:
        spec = load_g1_spec()
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.05], contype=1, conaffinity=1, condim=3)
        self.model = spec.compile()
        self.model.opt.timestep = 0.004
        self.data = mujoco.MjData(self.model)
        self.data.qpos[:] = stand_qpos(self.model)
        self.qpos, self.qvel = joint_addresses(self.model, g1.MOTOR_NAMES)
        mujoco.mj_forward(self.model, self.data)

    def low_state(self) -> bytes:
        record = unitree_cdr.new_low_state()
        record["tick"], record["mode_machine"] = round(1000 * self.data.time) + 1, 5
        record["imu"]["quaternion"] = self.data.qpos[3:7]
        record["imu"]["gyroscope"] = self.data.qvel[3:6]
        unitree_cdr.set_motors(record, "q", self.data.qpos[self.qpos])
        unitree_cdr.set_motors(record, "dq", self.data.qvel[self.qvel])
        record["crc"] = unitree_cdr.low_state_crc(record)
        return record.tobytes()

    def apply(self, low_cmd: np.ndarray, seconds: float) -> None:
        motors = {name: unitree_cdr.get_motors(low_cmd, name)[: g1.NUM_MOTORS] for name in ("q", "kp", "kd")}
        set_gains(self.model, motors["kp"], motors["kd"])
        self.data.ctrl[:] = motors["q"]
        for _ in range(round(seconds / self.model.opt.timestep)):
            mujoco.mj_step(self.model, self.data)


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> OnnxPolicy:
    if not VELOCITY_POLICY.is_dir():
        pytest.skip(f"no velocity policy at {VELOCITY_POLICY}")
    out = tmp_path_factory.mktemp("policy") / "velocity.onnx"
    import_unitree_rl_lab(VELOCITY_POLICY).write(out)
    return OnnxPolicy.load(out)


def walk(policy: OnnxPolicy, seconds: float, command, *, stand_s: float = 1.0) -> tuple[SimulatedRobot, Controller]:
    """Stands up, runs, and gives `command(t)` = (vx, vy, yaw rate) until the time is over."""
    robot = SimulatedRobot()
    limits = SafetyLimits(start_still_s=0.0)  # it stands freely, nobody can wait
    controller = Controller(policy, ControllerConfig(stand_duration_s=stand_s), limits)
    for k in range(round((seconds + stand_s) / 0.02)):
        now = 0.02 * k
        controller.on_low_state(robot.low_state(), now)
        wish = command(now - stand_s) if controller.machine.state == State.RUNNING else (0.0, 0.0, 0.0)
        controller.command.on_cmd_vel(*wish, now)
        low_cmd = controller.step(now)
        if low_cmd is None:
            controller.request("stand", now)
            low_cmd = controller.step(now)
        assert low_cmd is not None
        robot.apply(low_cmd, 0.02)
        if controller.at_start_pose(now):
            controller.request("run", now)
        assert controller.machine.state != State.DAMPING, controller.machine.cause
    return robot, controller


def test_stands_on_its_own_for_five_seconds(policy):
    robot, _ = walk(policy, 0.0, lambda t: (0.0, 0.0, 0.0), stand_s=5.0)
    assert robot.data.qpos[2] > 0.65


def test_walks_five_metres_forward(policy):
    robot, _ = walk(policy, 12.0, lambda t: (0.5, 0.0, 0.0))
    assert robot.data.qpos[0] > 5.0
    assert abs(robot.data.qpos[1]) < 1.5
    assert robot.data.qpos[2] > 0.65


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_turns_on_command(policy, side):
    robot, _ = walk(policy, 8.0, lambda t: (0.5, 0.0, 0.2 * side))
    turned = float(frames.yaw_from_quat(robot.data.qpos[3:7]))
    assert 0.5 < side * turned < 2.0
    assert robot.data.qpos[2] > 0.65
