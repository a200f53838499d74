"""Robot state, odometry, height grid and root command in, LowCmd out, once a control period. Pure: no ROS, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vm_core.action import MotorTargets
from vm_core.remote import decode_remote
from vm_policy_node.controller_config import ControllerConfig
from vm_policy_node.inputs import Grid, Latest, RobotState
from vm_policy_node.loaded_policies import LoadedPolicies, with_ages_of
from vm_policy_node.motor_command import MotorCommand
from vm_policy_node.operator_requests import REQUESTS
from vm_policy_node.policy_runner import NotFiniteError, PolicyInputs, PolicyRunner
from vm_policy_node.remote_buttons import RemoteButtons
from vm_policy_node.root_command import CommandConfig, RootCommandMixer
from vm_policy_node.safety import (
    Answer,
    Measurement,
    Needs,
    SafetyLimits,
    SafetyMonitor,
    State,
    StateMachine,
    emergency_cause,
    start_refusal,
)
from vm_policy_node.sensing import Sensing
from vm_policy_node.start_pose import Standing
from vm_policy_node.visual.depth_input import DepthInput
from vm_policy_node.visual.floor_view import FloorView
from vm_policy_node.visual.task_switch import TaskSwitch
from vm_policy_node.visual.visual_policy import AnyPolicy


@dataclass
class Controller:
    """Feed it messages as they come and call `step` once a control period.

    Attributes:
        policy: the one that stands up and runs first.
        second: another one to switch to while running.
        command_publishers: how many publish motor commands, if the transport knows.
        estop: reason of an emergency stop that is engaged; empty: none. `on_estop` sets it.
        transport: why commands do not reach the robot; empty: they do.
        charge_percent: of the battery, if something tells it.
        task: the run bit of a visual policy.
        motion_mode: why the robot's own controller forbids a start; empty: it does not.
    """

    policy: AnyPolicy
    config: ControllerConfig = field(default_factory=ControllerConfig)
    limits: SafetyLimits = field(default_factory=SafetyLimits)
    command_config: CommandConfig = field(default_factory=CommandConfig)
    second: AnyPolicy | None = None
    command_publishers: int | None = None
    estop: str = ""
    transport: str = ""
    charge_percent: float | None = None
    motion_mode: str = ""

    def __post_init__(self) -> None:
        self.policies = LoadedPolicies([self.policy] if self.second is None else [self.policy, self.second])
        self.period_s = self.policies.period_s
        self.machine = StateMachine()
        self.monitor = SafetyMonitor(self.limits)
        self._rehearsed = SafetyMonitor(self.limits)
        self.command = RootCommandMixer(*self.policies.command_bounds, self.command_config)
        self._sensing = Sensing(self.needs.depth)
        self.task = TaskSwitch(self.config.object_lost_s)
        self._buttons = RemoteButtons()
        self._standing = Standing(self.config.stand_duration_s, self.config.blend_s)
        self._stepped_s: float | None = None
        self._commanded_s: float | None = None
        self._message = MotorCommand(
            damping_kd=self.config.damping_kd,
            torque_margin=self.config.torque_margin,
            echo_tick=self.config.echo_tick,
        )
        self.use(self.runner)

    # -- inputs ------------------------------------------------------------------------------------------------------

    def on_low_state(self, data: bytes, now_s: float) -> None:
        """A LowState message; decoding waits for `step`. Other bytes are counted as bad."""
        self._sensing.inbox.put(data, now_s)

    def on_odometry(self, pos: np.ndarray, quat_wxyz: np.ndarray, lin_vel_world: np.ndarray, now_s: float) -> None:
        """Pelvis pose (wxyz) and velocity in the world."""
        self._sensing.on_odometry(pos, quat_wxyz, lin_vel_world, now_s)
        self.command.on_pose(pos, quat_wxyz, now_s)

    def on_grid(self, grid: Grid, now_s: float) -> None:
        """The newest height grid."""
        self._sensing.grid = Latest(grid, now_s)

    @property
    def depth_input(self) -> DepthInput | None:
        """Takes the depth camera's messages, where a policy sees."""
        return self._sensing.depth

    @property
    def floor_view(self) -> FloorView | None:
        """What the newest depth picture shows, or None."""
        return self._sensing.floor

    def on_estop(self, reason: str, now_s: float) -> None:
        """Engaged for a reason, or "": not. It counts at once: a release within the same period must not undo it."""
        self.estop = reason
        if reason:
            self.machine.watch(now_s, emergency_cause(reason))

    def request(self, name: str, now_s: float) -> Answer:
        """One of REQUESTS, from an operator."""
        return REQUESTS[name](self, now_s)

    # -- once a period -----------------------------------------------------------------------------------------------

    def step(self, now_s: float) -> np.ndarray | None:
        """The LowCmd record to send now, or None while idle; valid until the next call."""
        if self._sensing.take():
            self._read_remote(now_s)
        self._look(now_s)
        command = self.command.update(now_s, self.period_s)
        if self.command.source != "none":
            self._commanded_s = now_s
        self.machine.watch(now_s, self.monitor.update(self.measure(now_s), self.policies.needs_now, now_s))
        self._stepped_s = now_s
        if self.machine.state == State.STANDING:
            targets = self._standing.targets(self.machine.time_in_state_s(now_s), self._sound_state())
            return self._message.towards(targets, self._sound_state())
        if self.machine.state == State.RUNNING:
            targets = self._running(command, now_s)
            if targets is not None:
                return self._message.towards(targets, self._sound_state())
        self._end_switch()
        if self.machine.state == State.IDLE:
            self.monitor.forget_motors()
            return None
        return self._message.damping(self.state)

    def rehearse(self, now_s: float) -> None:
        """The costly parts of a step on what is known, without consequences.

        A processor that has slept for a period has lost code and data of the one before from its caches. Right after
        this, a step takes two thirds of the time.
        """
        self._sensing.inbox.rehearse()
        if self.state is not None:
            self._rehearsed.update(self.measure(now_s), self.policies.needs_now, now_s)
        if self.machine.state == State.RUNNING:
            self.runner.rehearse()

    def at_start_pose(self, now_s: float) -> bool:
        """Whether the move to the start pose has ended near it."""
        if self.machine.state != State.STANDING or self.state is None:
            return False
        return self._standing.arrived(self.machine.time_in_state_s(now_s), self.state)

    # -- for people --------------------------------------------------------------------------------------------------

    @property
    def state(self) -> RobotState | None:
        """Newest good robot state, or None."""
        return self._sensing.state

    @property
    def trip(self) -> str | None:
        """Why the robot must not move, in words, or None."""
        return self.monitor.trip

    @property
    def obstacle(self) -> str | None:
        """Why a start would be refused, in words, or None."""
        if self.monitor.complaint is not None:
            return self.monitor.complaint
        if self.state is None:
            return "stale state: none received"
        if self.motion_mode:
            return self.motion_mode
        pose = self.runner.start_pose[0].position
        return start_refusal(
            self.state, pose, self.monitor.still_s, self.monitor.limits, charge_percent=self.charge_percent
        )

    @property
    def contract(self):
        """Contract of the policy that runs or would run."""
        return self.runner.contract

    @property
    def needs(self) -> Needs:
        """What any of the loaded policies reads."""
        return self.policies.needs

    @property
    def runner(self) -> PolicyRunner:
        """Of the policy that runs or would run."""
        return self.policies.runner

    @property
    def run_step(self) -> int:
        """Control periods since the policy began to run."""
        return self.runner.run_step

    @property
    def clip_phase(self) -> float:
        """How far the reference has run, 0..1; -1 without one."""
        return self.runner.clip_phase

    @property
    def pelvis_pos(self) -> np.ndarray | None:
        """Newest pelvis position (3,) from odometry [m], or None."""
        odometry = self._sensing.odometry.value
        return None if odometry is None else odometry.pos

    def age_ms(self, what: str, now_s: float) -> float:
        """Age of the newest state, grid or odometry [ms]; NaN if there was none."""
        return self._sensing.age_ms(what, now_s)

    # -- for operators' requests -----------------------------------------------------------------------------------

    def plan_standing(self) -> None:
        """From the measured pose to where the policy starts."""
        reference = self.policy.reference if self.contract.uses_reference else None
        first_quat = None if reference is None else reference.root_quat_wxyz[0]
        self._standing.plan(self._sound_state(), *self.runner.start_pose, first_quat)

    def begin(self, runner: PolicyRunner) -> None:
        """A policy starts from where the robot is now."""
        runner.begin(self._root_quat(), self._sensing.odometry.value, align=self.config.align_reference)

    def use(self, runner: PolicyRunner) -> None:
        """That policy runs or would run."""
        self.policies.runner = runner
        self.policy = runner.policy
        self._heed_contracts()

    def switch_to(self, runner: PolicyRunner) -> None:
        """That policy, which has begun, takes over from the one that runs."""
        self.policies.switch_to(runner, self.config.switch_s)
        self._heed_contracts()

    def _end_switch(self) -> None:
        if self.policies.switch is not None:
            self.policies.switch = None
            self._heed_contracts()

    def _heed_contracts(self) -> None:
        """What the policies at work ask of commands, grids and pictures holds from now on, for each the stricter."""
        self.command.lower, self.command.upper = self.policies.command_bounds
        self.limits = self.monitor.limits = with_ages_of(self.limits, self.policies.at_work)

    # -- checks and targets ------------------------------------------------------------------------------------------

    def _look(self, now_s: float) -> None:
        """What the newest picture shows, and what follows for the run bit; it is 0 whenever the policy does not run."""
        if self.runner.needs.depth is None:
            return
        self._sensing.look()
        if self.machine.state != State.RUNNING:
            self.task.on = False
        floor = self._sensing.floor
        seen = floor.standing if floor is not None and self._sensing.looked else None
        self.task.update(1.0 if self.runner.needs_now.depth is None else seen, now_s)

    def _read_remote(self, now_s: float) -> None:
        remote = decode_remote(self._sound_state().remote)
        self.command.on_remote(remote.left_x, remote.left_y, remote.right_x, now_s)
        moving = self.machine.state in (State.STANDING, State.RUNNING)
        name = self._buttons.update(remote.pressed, moving=moving)
        if name is not None:
            self.request(name, now_s)

    def measure(self, now_s: float) -> Measurement:
        """What the checks look at."""
        return Measurement(
            **self._sensing.measured(now_s),
            period_s=self.period_s if self._stepped_s is None else now_s - self._stepped_s,
            nominal_period_s=self.period_s,
            command_age_s=None if self._commanded_s is None else now_s - self._commanded_s,
            command_publishers=self.command_publishers,
            estop=self.estop,
            transport=self.transport,
            charge_percent=self.charge_percent,
        )

    def _sound_state(self) -> RobotState:
        assert self.state is not None  # without one, nothing leaves IDLE but damping
        return self.state

    def _running(self, command: np.ndarray, now_s: float) -> MotorTargets | None:
        sensing = self._sensing
        picture = None if sensing.depth is None else sensing.depth.picture
        seen = None if picture is None else picture.depth
        self._message.picture_ms = 0 if picture is None else picture.stamp_ms
        inputs = PolicyInputs(
            self._sound_state(), self._root_quat(), command, sensing.grid.value, sensing.odometry.value, seen,
            self.task.on,
        )  # fmt: skip
        try:
            targets = self.policies.step(inputs)
        except NotFiniteError as error:
            self.monitor.trip = str(error)
            self.machine.watch(now_s, str(error))
            return None
        if self.policy is not self.runner.policy:
            self.use(self.runner)
        return self._standing.hand_over(targets, self.machine.time_in_state_s(now_s))

    def _root_quat(self) -> np.ndarray:
        return self._sensing.root_quat()
