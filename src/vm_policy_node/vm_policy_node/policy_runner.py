"""One policy at work: from the newest inputs to joint targets, with its own history, gait clock and reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core import g1
from vm_core.action import MotorExpansion, MotorTargets, joint_target_from_action
from vm_core.g1_kinematics import torso_pose
from vm_core.height_grid import policy_heights
from vm_core.observation import ObservationHistory, build_terms
from vm_core.observation_terms import ObservationInputs, ReferenceFrame
from vm_core.policy_clocks import PolicyClocks
from vm_policy_node.inputs import Grid, Odometry, RobotState
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.safety import Needs

_WAIST = [g1.motor_index(f"waist_{axis}_joint") for axis in ("yaw", "roll", "pitch")]


class NotFiniteError(ValueError):
    """A number that is none went into or came out of the network; says which."""


@dataclass(frozen=True)
class PolicyInputs:
    """What a policy may read in one control period.

    Attributes:
        state: newest robot state.
        root_quat_wxyz: (4,) pelvis in the odometry's world.
        command: (3,) vx, vy [m/s], yaw rate [rad/s].
        grid, odometry: newest, or None.
        depth: (height, width) newest depth picture [m], or None.
        run: whether a task is to be done; a visual policy stands still without.
    """

    state: RobotState
    root_quat_wxyz: np.ndarray
    command: np.ndarray
    grid: Grid | None
    odometry: Odometry | None
    depth: np.ndarray | None = None
    run: bool = False


class PolicyRunner:
    """Runs one policy; `begin` it, then `step` once a control period.

    Attributes:
        policy, contract: the loaded file.
        needs: inputs beside the robot state.
        start_pose: where the joints shall be before the policy runs, and the PD target that it will begin with.
        run_step: control periods since `begin`.
    """

    def __init__(self, policy: OnnxPolicy) -> None:
        self.policy = policy
        self.contract = contract = policy.contract
        reads_grid = any(term.name == "height_grid" for term in contract.observation)
        self.needs = Needs(contract.height_grid if reads_grid else None, contract.uses_odometry)
        self.run_step = 0
        self._motors = np.array(contract.motor_indices())
        self._expansion = MotorExpansion(contract)
        self._default_joint_pos = np.array(contract.default_joint_pos)
        self._history = ObservationHistory(contract.observation, contract.history_layout)
        self._clocks = PolicyClocks(contract)
        self._reference = policy.reference
        self._last_action = np.zeros(len(contract.joint_names))
        self._seen: tuple[ObservationInputs, np.ndarray] | None = None
        self.start_pose = self._find_start_pose()

    def _find_start_pose(self) -> tuple[MotorTargets, MotorTargets]:
        reference = self.policy.reference
        if reference is None or not self.contract.uses_reference:
            pose = target = self._default_joint_pos
        else:
            pose, target = reference.joint_pos[0], reference.joint_target[0]
        return self._expansion.targets(pose), self._expansion.targets(target)

    @property
    def clip_phase(self) -> float:
        """How far the reference has run, 0..1; -1 without one."""
        reference = self.policy.reference
        return -1.0 if reference is None else min(self.run_step / max(reference.num_frames - 1, 1), 1.0)

    def begin(self, root_quat_wxyz: np.ndarray, odometry: Odometry | None, *, align: bool) -> None:
        """Forgets what was; `align` moves the reference clip to where the robot stands."""
        self.run_step = 0
        self._history.reset()
        self._clocks.reset()
        self._last_action = np.zeros(len(self.contract.joint_names))
        self._reference = self.policy.reference
        if self._reference is None:
            return
        if align and odometry is not None:
            self._reference = self._reference.placed_at(odometry.pos, root_quat_wxyz)
        elif not self.needs.odometry:  # heading alone: without odometry the clip's north means nothing
            self._reference = self._reference.placed_at(self._reference.root_pos_world[0], root_quat_wxyz)

    @property
    def needs_now(self) -> Needs:
        """What it reads at this moment."""
        return self.needs

    def step(self, inputs: PolicyInputs) -> MotorTargets:
        """Targets of all motors for this period.

        Raises:
            NotFiniteError: an observation or the network's output is not a number.
        """
        reference = None if self._reference is None else self._reference.at(self.run_step)
        return self._act(self._observed(inputs, reference), reference)

    def rehearse(self) -> None:
        """The last step's work once more, without consequences."""
        if self._seen is not None:
            observed, observation = self._seen
            build_terms(self.contract.observation, observed)
            self.policy.act(observation)

    def _act(self, observed: ObservationInputs, reference: ReferenceFrame | None) -> MotorTargets:
        built = build_terms(self.contract.observation, observed)
        observation = self._history.push(built)
        if not np.isfinite(observation).all():
            bad = next(name for name, term in built.items() if not np.isfinite(term).all())
            raise NotFiniteError(f"nan: the policy's input {bad} is not a number")
        action = self.policy.act(observation)
        if not np.isfinite(action).all():
            raise NotFiniteError("nan: the policy's output is not a number")
        self._seen = observed, observation
        self._last_action = action
        self.run_step += 1
        target = joint_target_from_action(action, self.contract, None if reference is None else reference.joint_target)
        return self._expansion.targets(target)

    def _observed(self, inputs: PolicyInputs, reference) -> ObservationInputs:
        state, odometry, heights = inputs.state, inputs.odometry, None
        if self.needs.grid is not None and inputs.grid is not None:
            unknown = self.contract.height_grid_unknown
            heights = policy_heights(np.float64(inputs.grid.torso_height), inputs.grid.terrain_height, unknown)
        told = self._clocks.update(inputs.command, heights, self.contract.control_period_s)
        return ObservationInputs(
            joint_pos=state.joint_pos[self._motors],
            joint_vel=state.joint_vel[self._motors],
            default_joint_pos=self._default_joint_pos,
            root_quat_wxyz=inputs.root_quat_wxyz,
            root_ang_vel_body=state.ang_vel_body,
            last_action=self._last_action,
            command=told.command,
            root_pos_world=None if odometry is None else odometry.pos,
            root_lin_vel_world=None if odometry is None else odometry.lin_vel_world,
            height_grid=heights,
            reference=reference,
            **told.inputs,
            **self._anchor(inputs),
        )

    def _anchor(self, inputs: PolicyInputs) -> dict[str, np.ndarray]:
        """Pose of the body that the contract calls its anchor; its position counts only where odometry is known."""
        if self.contract.anchor_body is None:
            return {}
        pos = np.zeros(3) if inputs.odometry is None else inputs.odometry.pos
        quat = inputs.root_quat_wxyz
        if self.contract.anchor_body == g1.TORSO_BODY:
            waist = inputs.state.joint_pos[_WAIST]
            pos, quat = (value[0] for value in torso_pose(pos[None], quat[None], waist[None]))
        return {"anchor_pos_world": pos, "anchor_quat_wxyz": quat}
