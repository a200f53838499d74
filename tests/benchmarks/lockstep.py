"""The simulated robot and the controller in one process, in lockstep and faster than real time, message by message.

What passes between them are the bytes that pass between the nodes; faults change them on their way, and every command
is held against the limits before the robot gets it.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from command_audit import CommandAudit
from shared_data import shared

from vm_core.height_grid import HeightGridSpec, cell_points_world
from vm_core.scene_asset import SceneAsset
from vm_core.unitree_cdr import parse_low_cmd
from vm_policy_node.controller import Controller, ControllerConfig
from vm_policy_node.importers.unitree_rl_lab import import_unitree_rl_lab
from vm_policy_node.inputs import Grid
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.safety import Needs, SafetyLimits, State
from vm_policy_node.visual.visual_policy import AnyPolicy
from vm_sim.faults import FaultPlayer, GridSample, OdometrySample
from vm_sim.robot import STEP_S, SimulatedG1

STEPS_A_PERIOD = 10
STAND_S = 1.0
GRID = HeightGridSpec()
TORSO_ABOVE_PELVIS_M = 0.044
Velocity = tuple[float, float, float]


@cache
def velocity_policy() -> OnnxPolicy:
    """Unitree's walking policy with our contract."""
    with tempfile.TemporaryDirectory(prefix="vm-bench-") as folder:
        out = Path(folder) / "velocity.onnx"
        import_unitree_rl_lab(shared("policies/unitree_g1_velocity")).write(out)
        return OnnxPolicy.load(out)


class InLockstep:
    """A robot and the controller that moves it, in one simulated time; `period` is the subclass's.

    Attributes:
        robot, controller: the parts.
        control_s: wall times of control steps [s].
    """

    def __init__(self, robot: SimulatedG1, first: AnyPolicy, second: AnyPolicy | None = None) -> None:
        limits = SafetyLimits(start_still_s=0.0)  # it stands freely from the first moment on, nobody can wait
        config = ControllerConfig(stand_duration_s=STAND_S)
        self.robot, self.controller = robot, Controller(first, config, limits, second=second)
        self.control_s: list[float] = []
        self._steps = 0

    @property
    def now_s(self) -> float:
        """Simulated time."""
        return self._steps * STEP_S

    @property
    def state(self) -> State:
        """Of the controller."""
        return self.controller.machine.state

    def period(self) -> None:
        """One control period."""
        raise NotImplementedError

    def told(self, request: str) -> None:
        """An operator asks for something, which must be accepted."""
        answer = self.controller.request(request, self.now_s)
        assert answer.accepted, answer.message

    def stand_and_run(self) -> None:
        """Stands up, before the limp robot sinks, and lets the policy run; the first messages have come."""
        self.controller.step(0.0)
        self.told("stand")
        while self.state != State.RUNNING:
            self.period()
            if self.controller.at_start_pose(self.now_s):
                self.controller.request("run", self.now_s)
            assert self.now_s < 10.0 and self.state != State.DAMPING, (
                self.controller.machine.cause or self.controller.obstacle
            )


class Lockstep(InLockstep):
    """One robot that walks on flat ground.

    Attributes:
        player, audit: what spoils its messages, and what holds commands against the limits.
        wish: velocity at a time (vx, vy, yaw rate) that teleoperation sends at 50 Hz.
    """

    def __init__(
        self,
        wish: Callable[[float], Velocity],
        seed: int = 0,
        *,
        first: OnnxPolicy | None = None,
        second: OnnxPolicy | None = None,
    ) -> None:
        """`first` walks, by default Unitree's policy; `second` can be switched to."""
        self.scene = SceneAsset()
        robot = SimulatedG1(self.scene, seed=seed, start_noise=0.5, hang=False)
        super().__init__(robot, first or velocity_policy(), second)
        # the policy reads neither grid nor odometry; safety is told that it does, so that their faults matter
        self.controller.runner.needs = Needs(GRID, odometry=True)
        self.player = FaultPlayer(seed)
        self.audit = CommandAudit()
        self.wish = wish

    def branch(self, seed: int) -> Lockstep:
        """The same moment once more, for another future."""
        shared_parts = (self.controller.policy, self.controller.second, self.scene, self.wish)
        twin = copy.deepcopy(self, {id(part): part for part in shared_parts})
        twin.player = FaultPlayer(seed)
        twin.audit = CommandAudit()
        return twin

    def start(self) -> None:
        """Stands up and begins to walk."""
        self.controller.on_low_state(self.robot.low_state().tobytes(), 0.0)
        self._tell()
        self.stand_and_run()

    def run(self, seconds: float) -> None:
        """Goes on for so long."""
        for _ in range(round(seconds / (STEP_S * STEPS_A_PERIOD))):
            self.period()

    def period(self) -> None:
        """One control period: the controller, then ten steps of physics with their messages."""
        self._tell()
        before = time.perf_counter()
        record = self.controller.step(self.now_s)
        self.control_s.append(time.perf_counter() - before)
        self.audit.look(self.now_s, self.state, self.controller.state, record)
        if record is not None:
            self.robot.command(parse_low_cmd(record.tobytes()))
        for _ in range(STEPS_A_PERIOD):
            self._physics()

    def _physics(self) -> None:
        robot, player, now = self.robot, self.player, self.now_s
        robot.push(player.push(now))
        robot.cut_power(player.dead_motors)
        robot.step()
        self._steps += 1
        for data in player.low_state(robot.low_state().tobytes(), self.now_s):
            self.controller.on_low_state(data, self.now_s)

    def _tell(self) -> None:
        """What comes once a period: odometry, grid, command, and what somebody else does."""
        player, controller, now, data = self.player, self.controller, self.now_s, self.robot.data
        pose = OdometrySample(data.qpos[:3].copy(), data.qpos[3:7].copy(), data.qvel[:3].copy())
        for odometry in player.odometry(pose, now):
            controller.on_odometry(odometry.pos, odometry.quat_wxyz, odometry.lin_vel_world, now)
        for grid in player.grid(self._grid(), now):
            spec = HeightGridSpec(grid.size_x, grid.size_y)
            controller.on_grid(Grid(grid.torso_height, grid.height, spec, grid.scan_age_s), now)
        velocity = player.command(self.wish(now))
        if velocity is not None:
            controller.command.on_cmd_vel(*velocity, now)
        controller.estop = "engaged by topic" if player.name == "estop" else ""
        controller.command_publishers = 2 if player.name == "second_publisher" else 1

    def _grid(self) -> GridSample:
        data = self.robot.data
        torso = data.qpos[:3] + np.array([0.0, 0.0, TORSO_ABOVE_PELVIS_M])
        points = cell_points_world(GRID, torso, data.qpos[3:7])
        return GridSample(float(torso[2]), self.scene.height_at(points[:, :2]), GRID.size_x, GRID.size_y, 0.1)
