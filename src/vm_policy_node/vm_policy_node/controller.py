"""Robot state, odometry, height grid and root command in, LowCmd out, once a control period. Pure: no ROS, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from vm_core import frames, g1, unitree_cdr
from vm_core.action import MotorTargets, expand_to_motors, joint_target_from_action
from vm_core.gait_clock import GaitClock
from vm_core.height_grid import HeightGridSpec, policy_heights
from vm_core.observation import ObservationHistory, ObservationInputs, build_terms
from vm_core.remote import decode_remote
from vm_policy_node.inputs import Grid, Latest, Odometry, RobotState, read_low_state
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.reference import Reference
from vm_policy_node.root_command import CommandConfig, RootCommandMixer
from vm_policy_node.safety import Answer, Measurement, Needs, SafetyLimits, State, StateMachine, find_trip
from vm_policy_node.start_pose import StartPoseMove, hand_over, pitch_rad

MOTOR_ENABLED = 1
OPERATOR = "operator"
"""The cause of a stop that a person asked for."""


@dataclass(frozen=True)
class ControllerConfig:
    """How the robot stands up, hands over and sinks.

    Attributes:
        stand_duration_s: time from the measured pose to the start pose.
        blend_s: time over which targets and gains go from standing to the policy's.
        damping_kd: velocity gain of every joint while damping [Nm s/rad].
        torque_margin: a target may ask at most this multiple of a motor's torque limit.
        align_reference: move the reference clip to where the robot stands when the policy starts.
        echo_tick: write the state's tick into LowCmd.reserve[0], for latency measurements.
    """

    stand_duration_s: float = 2.0
    blend_s: float = 0.1
    damping_kd: float = 5.0
    torque_margin: float = 2.0
    align_reference: bool = False
    echo_tick: bool = False

    def __post_init__(self) -> None:
        if min(self.stand_duration_s, self.blend_s, self.damping_kd, self.torque_margin) <= 0.0:
            raise ValueError("stand_duration_s, blend_s, damping_kd and torque_margin must be positive")


@dataclass
class Controller:
    """Feed it messages as they come and call `step` once a control period."""

    policy: OnnxPolicy
    config: ControllerConfig = field(default_factory=ControllerConfig)
    limits: SafetyLimits = field(default_factory=SafetyLimits)
    command_config: CommandConfig = field(default_factory=CommandConfig)

    def __post_init__(self) -> None:
        contract = self.policy.contract
        self.contract = contract
        self.limits = replace(self.limits, grid_timeout_s=contract.height_grid_max_age_s)
        self.machine = StateMachine()
        self.needs = Needs(any(t.name == "height_grid" for t in contract.observation), contract.uses_odometry)
        bounds = np.array(contract.command_limits, dtype=float)
        self.command = RootCommandMixer(bounds[:, 0], bounds[:, 1], self.command_config)
        self.trip: str | None = "stale state: none received"
        self.state: RobotState | None = None
        self._history = ObservationHistory(contract.observation, contract.history_layout)
        self._clock = None if contract.gait_step_s is None else GaitClock(contract.gait_step_s)
        self._motors = contract.motor_indices()
        self._low_state, self._grid, self._odometry = Latest(), Latest(), Latest()
        self._yaw_correction = np.array([1.0, 0.0, 0.0, 0.0])
        self._pressed: frozenset[str] = frozenset()
        self._move: StartPoseMove | None = None
        self._stood: MotorTargets | None = None
        self._reference: Reference | None = None
        self._last_action = np.zeros(len(contract.joint_names))
        self.run_step = 0

    # -- inputs ------------------------------------------------------------------------------------------------------

    def on_low_state(self, data: bytes, now_s: float) -> None:
        """Keeps the newest LowState; decoding waits for `step`, ten times rarer. Other bytes are dropped."""
        if len(data) != unitree_cdr.LOW_STATE.itemsize or data[:2] != unitree_cdr.CDR_LITTLE_ENDIAN[:2]:
            return
        self._low_state = Latest(data, now_s)

    def on_odometry(self, pos: np.ndarray, quat_wxyz: np.ndarray, lin_vel_world: np.ndarray, now_s: float) -> None:
        """Pelvis pose and velocity in the world. Its heading corrects the IMU's, whose zero is arbitrary."""
        if not (np.isfinite(pos).all() and np.isfinite(quat_wxyz).all() and np.isfinite(lin_vel_world).all()):
            return  # goes stale by itself
        self._odometry = Latest(Odometry(pos, lin_vel_world), now_s)
        if isinstance(self._low_state.value, bytes):
            # the newest state, not the one of the last step: a turning robot's heading would lag by up to a period
            record = unitree_cdr.parse_low_state(self._low_state.value)
            own = frames.heading_quat(record["imu"]["quaternion"].astype(float))
            self._yaw_correction = frames.quat_multiply(frames.heading_quat(quat_wxyz), frames.quat_conjugate(own))

    def on_grid(self, grid: Grid, now_s: float) -> None:
        """The newest height grid."""
        self._grid = Latest(grid, now_s)

    def request(self, name: str, now_s: float) -> Answer:
        """stand, run, damp or release, from the operator."""
        if name == "stand":
            answer = self.machine.stand(now_s, self.trip)
            if answer.accepted and self._move is None:
                self._begin_standing()
            return answer
        if name == "run":
            was = self.machine.state
            answer = self.machine.run(now_s, self.trip, self.at_start_pose(now_s))
            if answer.accepted and was != State.RUNNING:
                self._begin_running()
            return answer
        if name == "damp":
            return self.machine.damp(now_s, OPERATOR)
        return self.machine.release(now_s)

    # -- once a period -----------------------------------------------------------------------------------------------

    def step(self, now_s: float) -> np.ndarray | None:
        """The LowCmd record to send now, or None while idle."""
        if isinstance(self._low_state.value, bytes):
            self.state = read_low_state(self._low_state.value)
        self._read_remote(now_s)
        command = self.command.update(now_s, self.contract.control_period_s)
        self.trip = self._find_trip(now_s)
        self.machine.watch(now_s, self.trip)
        if self.machine.state not in (State.STANDING, State.RUNNING):
            self._move = None
            return None if self.machine.state == State.IDLE else self._damping_command()
        targets = self._standing(now_s) if self.machine.state == State.STANDING else self._running(now_s, command)
        if targets is None:
            return self._damping_command()
        return self._low_cmd(targets)

    def at_start_pose(self, now_s: float) -> bool:
        """Whether the move to the start pose has ended near it."""
        if self.machine.state != State.STANDING or self._move is None or self.state is None:
            return False
        arrived = self.machine.time_in_state_s(now_s) >= self.config.stand_duration_s
        return arrived and self._move.is_near(self.state.joint_pos)

    def age_ms(self, what: str, now_s: float) -> float:
        """Age of the newest state, grid or odometry [ms]; NaN if there was none."""
        latest = {"state": self._low_state, "grid": self._grid, "odometry": self._odometry}[what]
        age = latest.age_s(now_s)
        return float("nan") if age is None else 1000.0 * age

    @property
    def clip_phase(self) -> float:
        """How far the reference has run, 0..1; -1 without one."""
        reference = self.policy.reference
        return -1.0 if reference is None else min(self.run_step / max(reference.num_frames - 1, 1), 1.0)

    @property
    def pelvis_pos(self) -> np.ndarray | None:
        """Newest pelvis position (3,) from odometry [m], or None."""
        odometry = self._odometry.value
        return odometry.pos if isinstance(odometry, Odometry) else None

    def _read_remote(self, now_s: float) -> None:
        if self.state is None or not self.state.crc_ok:
            return
        remote = decode_remote(self.state.remote)
        self.command.on_remote(remote.left_x, remote.left_y, remote.right_x, now_s)
        edges = remote.pressed - self._pressed
        self._pressed = remote.pressed
        if "B" in edges or "select" in edges:
            self.request("damp", now_s)
        elif "start" in edges:
            self.request("stand", now_s)
        elif "A" in edges:
            self.request("run", now_s)
        elif "X" in edges:
            self.request("release", now_s)

    def _find_trip(self, now_s: float) -> str | None:
        state = self.state
        measured = Measurement(
            joint_pos=None if state is None else state.joint_pos,
            joint_vel=None if state is None else state.joint_vel,
            quat_wxyz=None if state is None else state.quat_wxyz,
            state_age_s=self._low_state.age_s(now_s),
            grid_age_s=self._grid.age_s(now_s),
            odometry_age_s=self._odometry.age_s(now_s),
            crc_ok=state is None or state.crc_ok,
        )
        return find_trip(measured, self.limits, self.needs) or self._grid_mismatch()

    def _grid_mismatch(self) -> str | None:
        grid, wanted = self._grid.value, self.contract.height_grid
        if not self.needs.grid or not isinstance(grid, Grid) or wanted is None:
            return None
        if _geometry(grid.spec) != _geometry(wanted):
            return f"grid: {_geometry(grid.spec)}, the policy expects {_geometry(wanted)}"
        if len(grid.terrain_height) != wanted.num_cells or not np.isfinite(grid.torso_height):
            return f"grid: {len(grid.terrain_height)} heights for {wanted.num_cells} cells"
        return None

    def _begin_standing(self) -> None:
        assert self.state is not None  # stand() refused otherwise
        reference = self.policy.reference
        if reference is None or not self.contract.uses_reference:
            pose = target = np.array(self.contract.default_joint_pos)
        else:
            pose, target = reference.joint_pos[0], reference.joint_target[0]
        self._move = StartPoseMove.plan(
            self.state.joint_pos,
            expand_to_motors(pose, self.contract),
            expand_to_motors(target, self.contract),
        )

    def _begin_running(self) -> None:
        self.run_step = 0
        self._history.reset()
        if self._clock is not None:
            self._clock.reset()
        self._last_action = np.zeros(len(self.contract.joint_names))
        self._reference = self.policy.reference
        if self._reference is not None and self.state is not None:
            odometry = self._odometry.value
            if self.config.align_reference and isinstance(odometry, Odometry):
                self._reference = self._reference.placed_at(odometry.pos, self._root_quat())
            elif not self.needs.odometry:  # heading alone: without odometry the clip's north means nothing
                self._reference = self._reference.placed_at(self._reference.root_pos_world[0], self._root_quat())

    def _standing(self, now_s: float) -> MotorTargets:
        assert self._move is not None
        assert self.state is not None
        reference = self.policy.reference if self.contract.uses_reference else None
        wanted = 0.0 if reference is None else pitch_rad(reference.root_quat_wxyz[0])
        share = self.machine.time_in_state_s(now_s) / self.config.stand_duration_s
        self._stood = self._move.at(share, pitch_rad(self.state.quat_wxyz) - wanted, float(self.state.ang_vel_body[1]))
        return self._stood

    def _running(self, now_s: float, command: np.ndarray) -> MotorTargets | None:
        reference = None if self._reference is None else self._reference.at(self.run_step)
        built = build_terms(self.contract.observation, self._inputs(command, reference))
        action = self.policy.act(self._history.push(built))
        if not np.all(np.isfinite(action)):
            self.trip = "nan: the policy's output is not a number"
            self.machine.watch(now_s, self.trip)
            return None
        self._last_action = action
        target = joint_target_from_action(action, self.contract, None if reference is None else reference.joint_target)
        targets = expand_to_motors(target, self.contract)
        share = (self.run_step + 1) * self.contract.control_period_s / self.config.blend_s
        if self._stood is not None and share < 1.0:
            targets = hand_over(self._stood, targets, share)
        self.run_step += 1
        return targets

    def _inputs(self, command: np.ndarray, reference) -> ObservationInputs:
        state, grid, odometry = self.state, self._grid.value, self._odometry.value
        assert state is not None
        heights = None
        if self.needs.grid and isinstance(grid, Grid):
            unknown = self.contract.height_grid_unknown
            heights = policy_heights(np.float64(grid.torso_height), grid.terrain_height, unknown)
        known = isinstance(odometry, Odometry)
        phase = None if self._clock is None else self._clock.update(command, self.contract.control_period_s)
        return ObservationInputs(
            joint_pos=state.joint_pos[self._motors],
            joint_vel=state.joint_vel[self._motors],
            default_joint_pos=np.array(self.contract.default_joint_pos),
            root_quat_wxyz=self._root_quat(),
            root_ang_vel_body=state.ang_vel_body,
            last_action=self._last_action,
            command=command,
            root_pos_world=odometry.pos if known else None,
            root_lin_vel_world=odometry.lin_vel_world if known else None,
            height_grid=heights,
            reference=reference,
            gait_phase=phase,
        )

    def _root_quat(self) -> np.ndarray:
        assert self.state is not None
        return frames.quat_multiply(self._yaw_correction, self.state.quat_wxyz)

    def _low_cmd(self, targets: MotorTargets) -> np.ndarray:
        """Limits each target to what the motor can turn into torque, and packs it."""
        state = self.state
        assert state is not None
        reach = self.config.torque_margin * g1.TORQUE_LIMIT / np.maximum(targets.kp, 1e-6)
        position = np.clip(targets.position, state.joint_pos - reach, state.joint_pos + reach)
        return self._pack(position, targets.kp, targets.kd)

    def _damping_command(self) -> np.ndarray:
        zeros = np.zeros(g1.NUM_MOTORS)
        return self._pack(zeros, zeros, np.full(g1.NUM_MOTORS, self.config.damping_kd))

    def _pack(self, position: np.ndarray, kp: np.ndarray, kd: np.ndarray) -> np.ndarray:
        record = unitree_cdr.new_low_cmd()
        record["mode_machine"] = 0 if self.state is None else self.state.mode_machine
        unitree_cdr.set_motors(record, "mode", np.full(g1.NUM_MOTORS, MOTOR_ENABLED, dtype=np.uint8))
        for name, values in (("q", position), ("kp", kp), ("kd", kd)):
            unitree_cdr.set_motors(record, name, values)
        if self.config.echo_tick and self.state is not None:
            record["reserve"][0] = self.state.tick
        record["crc"] = unitree_cdr.low_cmd_crc(record)
        return record


def _geometry(spec: HeightGridSpec) -> str:
    """Names a grid's geometry, to what a message's float32 keeps of it."""
    ahead = f", {spec.center_x:.3f} m ahead" if abs(spec.center_x) > 5e-4 else ""
    return f"{spec.size_x}×{spec.size_y} at {spec.resolution:.4g} m{ahead}{', leaning' if spec.full_attitude else ''}"
