"""Robot state, odometry, height grid and root command in, LowCmd out, once a control period. Pure: no ROS, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vm_core.action import MotorTargets
from vm_core.errors import VmError
from vm_core.remote import decode_remote
from vm_policy_node.controller_config import OPERATOR, ControllerConfig
from vm_policy_node.inputs import Grid, Latest, RobotState
from vm_policy_node.motor_command import MotorCommand
from vm_policy_node.policy_runner import NotFiniteError, PolicyInputs, PolicyRunner
from vm_policy_node.policy_switch import PolicySwitch
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
    start_refusal,
)
from vm_policy_node.sensing import Sensing
from vm_policy_node.start_pose import Standing
from vm_policy_node.visual.depth_input import DepthInput
from vm_policy_node.visual.floor_view import FloorView
from vm_policy_node.visual.task_switch import TaskSwitch
from vm_policy_node.visual.visual_policy import AnyPolicy, VisualPolicy
from vm_policy_node.visual.visual_runner import VisualRunner


@dataclass
class Controller:
    """Feed it messages as they come and call `step` once a control period.

    Attributes:
        policy: the one that stands up and runs first.
        second: another one to switch to while running.
        command_publishers: how many publish motor commands, if the transport knows.
        estop: reason of an emergency stop that is engaged; empty: none.
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
        policies = [self.policy] if self.second is None else [self.policy, self.second]
        if len({p.contract.control_period_s for p in policies}) > 1:
            raise VmError("the two policies have different control periods; expected one")
        self._runners = [_runner(policy) for policy in policies]
        if sum(runner.needs.depth is not None for runner in self._runners) > 1:
            raise VmError("two visual policies; expected at most one, for there is one camera")
        self.runner = self._runners[0]
        self.period_s = self.policy.contract.control_period_s
        self.machine = StateMachine()
        self.monitor = SafetyMonitor(self.limits)
        self.command = RootCommandMixer(*self._command_bounds(), self.command_config)
        self.switch: PolicySwitch | None = None
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
        self._use(self.runner)

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

    def request(self, name: str, now_s: float) -> Answer:
        """One of REQUESTS, from the operator."""
        actions = {
            "stand": self._request_stand,
            "run": self._request_run,
            "damp": lambda now: self.machine.damp(now, OPERATOR),
            "estop": lambda now: self.machine.damp(now, "e-stop: by service"),
            "release": lambda now: self.machine.release(now, self.estop),
            "switch": self._request_switch,
            "task": self._request_task,
            "pause": self._request_pause,
        }
        return actions[name](now_s)

    # -- once a period -----------------------------------------------------------------------------------------------

    def step(self, now_s: float) -> np.ndarray | None:
        """The LowCmd record to send now, or None while idle; valid until the next call."""
        if self._sensing.take():
            self._read_remote(now_s)
        self._look(now_s)
        command = self.command.update(now_s, self.period_s)
        if self.command.source != "none":
            self._commanded_s = now_s
        self.machine.watch(now_s, self.monitor.update(self._measure(now_s), self._all_needs(), now_s))
        self._stepped_s = now_s
        if self.machine.state == State.STANDING:
            targets = self._standing.targets(self.machine.time_in_state_s(now_s), self._sound_state())
            return self._message.towards(targets, self._sound_state())
        if self.machine.state == State.RUNNING:
            targets = self._running(command, now_s)
            if targets is not None:
                return self._message.towards(targets, self._sound_state())
        self.switch = None
        if self.machine.state == State.IDLE:
            self.monitor.forget_motors()
            return None
        return self._message.damping(self.state)

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
        if self.monitor.complaint is not None or self.state is None:
            return self.monitor.complaint
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
        grid = next((r.needs.grid for r in self._runners if r.needs.grid is not None), None)
        depth = next((r.needs.depth for r in self._runners if r.needs.depth is not None), None)
        return Needs(grid, any(r.needs.odometry for r in self._runners), depth)

    @property
    def run_step(self) -> int:
        """Control periods since the policy began to run."""
        return self.runner.run_step

    @run_step.setter
    def run_step(self, value: int) -> None:
        self.runner.run_step = value

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

    # -- requests ----------------------------------------------------------------------------------------------------

    def _request_stand(self, now_s: float) -> Answer:
        was = self.machine.state
        answer = self.machine.stand(now_s, self.obstacle if was == State.IDLE else None)
        if answer.accepted and was != State.STANDING:
            reference = self.policy.reference if self.contract.uses_reference else None
            first_quat = None if reference is None else reference.root_quat_wxyz[0]
            self._standing.plan(self._sound_state(), *self.runner.start_pose, first_quat)
        return answer

    def _request_run(self, now_s: float) -> Answer:
        was = self.machine.state
        answer = self.machine.run(now_s, self.monitor.complaint, self.at_start_pose(now_s))
        if answer.accepted and was != State.RUNNING:
            self._begin(self.runner)
        return answer

    def _request_task(self, now_s: float) -> Answer:
        if self.runner.needs.depth is None:
            return Answer(False, f"{self.policy.name} has no task; a visual policy has one")
        if self.machine.state != State.RUNNING:
            return Answer(False, f"cannot begin the task from {self.machine.state.name}; run first")
        self.task.set(True, now_s)
        return Answer(True, "doing the task")

    def _request_pause(self, now_s: float) -> Answer:
        self.task.set(False, now_s)
        return Answer(True, "standing still" if self.machine.state == State.RUNNING else "the task is off")

    def _look(self, now_s: float) -> None:
        """What the newest picture shows, and what follows for the run bit; it is 0 whenever the policy does not run."""
        if self.runner.needs.depth is None:
            return
        self._sensing.look()
        if self.machine.state != State.RUNNING:
            self.task.on = False
        floor = self._sensing.floor
        self.task.update(floor.standing if floor is not None and self._sensing.looked else None, now_s)

    def _request_switch(self, now_s: float) -> Answer:
        if len(self._runners) < 2:
            return Answer(False, "there is no second policy; give one by the parameter second_policy")
        other = self._runners[1 - self._runners.index(self.runner)]
        state = self.machine.state
        if state == State.IDLE:
            self._use(other)
            return Answer(True, f"{other.policy.name} will run")
        if state != State.RUNNING or self.switch is not None:
            return Answer(False, "cannot switch while standing up, switching or damping")
        if other.contract.uses_reference:
            return Answer(False, f"{other.policy.name} follows a clip from its first frame; damp and stand first")
        probe = SafetyMonitor(self.monitor.limits)
        trip = probe.update(self._measure(now_s), other.needs, now_s) or probe.complaint
        if trip:
            return Answer(False, f"refused to switch to {other.policy.name}, {trip}")
        self._begin(other)
        self.switch = PolicySwitch(self.runner, other, self.config.switch_s)
        return Answer(True, f"switching to {other.policy.name}")

    def _begin(self, runner: PolicyRunner) -> None:
        runner.begin(self._root_quat(), self._sensing.odometry.value, align=self.config.align_reference)

    def _use(self, runner: PolicyRunner) -> None:
        self.runner = runner
        self.policy = runner.policy
        self.command.lower, self.command.upper = self._command_bounds()
        low, high, _ = SafetyLimits.describe()["grid_timeout_s"]
        age_s = min(max(runner.contract.height_grid_max_age_s, low), high)
        self.limits = self.monitor.limits = replace(self.limits, grid_timeout_s=age_s)
        if runner.needs.depth is not None:
            low, high, _ = SafetyLimits.describe()["depth_timeout_s"]
            age_s = min(max(runner.needs.depth.max_age_s, low), high)
            self.limits = self.monitor.limits = replace(self.limits, depth_timeout_s=age_s)

    def _command_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        bounds = np.array(self.runner.contract.command_limits, dtype=float)
        return bounds[:, 0], bounds[:, 1]

    def _read_remote(self, now_s: float) -> None:
        remote = decode_remote(self._sound_state().remote)
        self.command.on_remote(remote.left_x, remote.left_y, remote.right_x, now_s)
        moving = self.machine.state in (State.STANDING, State.RUNNING)
        name = self._buttons.update(remote.pressed, moving=moving)
        if name is not None:
            self.request(name, now_s)

    # -- checks and targets ------------------------------------------------------------------------------------------

    def _all_needs(self) -> Needs:
        if self.switch is None:
            return self.runner.needs
        old, new = self.switch.old.needs, self.switch.new.needs
        return Needs(old.grid or new.grid, old.odometry or new.odometry, old.depth or new.depth)

    def _measure(self, now_s: float) -> Measurement:
        inbox, grid, odometry = self._sensing.inbox, self._sensing.grid, self._sensing.odometry
        return Measurement(
            state=inbox.state,
            state_age_s=inbox.age_s(now_s),
            grid=grid.value,
            grid_age_s=grid.age_s(now_s),
            odometry=odometry.value,
            odometry_age_s=odometry.age_s(now_s),
            bad_states=inbox.bad,
            good_states=inbox.good,
            period_s=self.period_s if self._stepped_s is None else now_s - self._stepped_s,
            nominal_period_s=self.period_s,
            command_age_s=None if self._commanded_s is None else now_s - self._commanded_s,
            command_publishers=self.command_publishers,
            estop=self.estop,
            transport=self.transport,
            charge_percent=self.charge_percent,
            **self._measure_depth(now_s),
        )

    def _measure_depth(self, now_s: float) -> dict[str, Any]:
        depth, floor = self._sensing.depth, self._sensing.floor
        if depth is None:
            return {}
        return {
            "depth_age_s": depth.age_s(now_s),
            "depth_same_s": depth.same_s,
            "depth_problem": depth.problem,
            "depth_below": 0.0 if floor is None else floor.below,
        }

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
            if self.switch is None:
                targets = self.runner.step(inputs)
                return self._standing.hand_over(targets, self.run_step * self.period_s)
            targets = self.switch.blend(self.switch.old.step(inputs), self.switch.new.step(inputs), self.period_s)
        except NotFiniteError as error:
            self.monitor.trip = str(error)
            self.machine.watch(now_s, str(error))
            return None
        if self.switch.ended:
            self._use(self.switch.new)
            self.switch = None
        return targets

    def _root_quat(self) -> np.ndarray:
        return self._sensing.root_quat()


def _runner(policy: AnyPolicy) -> PolicyRunner:
    return VisualRunner(policy) if isinstance(policy, VisualPolicy) else PolicyRunner(policy)
