"""A visual policy at work: the generator looks and commands, the tracker moves the joints, each once a period."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vm_core.action import MotorTargets
from vm_core.frames import wrap_angle, yaw_from_quat
from vm_core.gait_clock import GaitClock
from vm_core.halting import may_halt
from vm_core.keypoint_command import COMMAND_SIZE
from vm_core.observation import ObservationHistory, build_terms
from vm_core.observation_terms import ObservationInputs
from vm_policy_node.inputs import Odometry
from vm_policy_node.policy_runner import NotFiniteError, PolicyInputs, PolicyRunner
from vm_policy_node.safety import Needs
from vm_policy_node.visual.visual_policy import VisualPolicy


class VisualRunner(PolicyRunner):
    """Runs generator and tracker; `begin` it, then `step` once a control period.

    Attributes:
        command: (18,) [m] the newest keypoint command, clamped.
    """

    def __init__(self, policy: VisualPolicy) -> None:
        super().__init__(policy.tracker)
        self.policy = policy
        contract = self._generator_contract = policy.generator.contract
        self.needs = Needs(depth=contract.depth)
        self._looks = ObservationHistory(contract.observation, contract.history_layout)
        self._gait = None
        if contract.gait_step_s is not None:
            self._gait = GaitClock(contract.gait_step_s, steps_to_rest=contract.gait_steps_to_rest)
        self._halting, self._lifting = contract.halting(), contract.lifting()
        self._memory = np.zeros(contract.memory_size)
        self._statistics = policy.contract.command_statistics
        self._start_yaw: float | None = None
        self._ran = False
        self.command = np.zeros(COMMAND_SIZE)

    def begin(self, root_quat_wxyz: np.ndarray, odometry: Odometry | None, *, align: bool) -> None:
        super().begin(root_quat_wxyz, odometry, align=align)
        self._looks.reset()
        if self._gait is not None:
            self._gait.reset()
        if self._halting is not None:
            self._halting.reset(np.array([0]))
        if self._lifting is not None:
            self._lifting.reset(np.array([0]))
        self.command, self._memory = np.zeros(COMMAND_SIZE), np.zeros(len(self._memory))
        self._start_yaw, self._ran = None, False

    @property
    def needs_now(self) -> Needs:
        """A lift goes on without pictures: what is held covers the camera, and the law that leads it looks at none."""
        lifts = self._lifting is not None and bool(self._lifting.begun[0])
        return replace(self.needs, depth=None) if lifts else self.needs

    def step(self, inputs: PolicyInputs) -> MotorTargets:
        # the inertial unit's own heading: the odometry's correction may jump, and nothing here needs a north
        yaw = float(yaw_from_quat(inputs.state.quat_wxyz))
        self._start_yaw = yaw if self._start_yaw is None else self._start_yaw
        self._ran = inputs.run or self._lands()
        inputs = replace(inputs, run=self._ran)
        observed = self._observed(inputs, None)
        observed.task_yaw = np.asarray(wrap_angle(yaw - self._start_yaw))
        observed.run = np.asarray(float(inputs.run))
        observed.last_keypoint_command, observed.memory = self.command, self._memory
        self.command = self._commanded(observed, inputs)
        observed.keypoint_command = self.command
        return self._act(observed, None)

    def _commanded(self, observed: ObservationInputs, inputs: PolicyInputs) -> np.ndarray:
        """The generator's command, clamped to what the tracker knows of human motions."""
        contract = self._generator_contract
        if self._gait is not None:
            walks = self._walks(run=inputs.run)
            wanted = np.array([float(walks), 0.0, 0.0])
            if self._halting is not None and not walks:
                self._gait.reset()  # the laws of halting and lifting count no steps
            observed = replace(observed, gait_phase=self._gait.update(wanted, contract.control_period_s))
        built = build_terms(contract.observation, observed)
        observation = self._looks.push(built)
        if not np.isfinite(observation).all():
            bad = next(name for name, term in built.items() if not np.isfinite(term).all())
            raise NotFiniteError(f"nan: the generator's input {bad} is not a number")
        assert inputs.depth is not None and self._statistics is not None  # the safety checks wait for a picture
        command, self._memory = self.policy.generator.look(contract.depth.scaled(inputs.depth), observation)
        if not (np.isfinite(command).all() and np.isfinite(self._memory).all()):
            raise NotFiniteError("nan: the generator's output is not a number")
        return self._statistics.clamped(self._led(command, observed, run=inputs.run))

    def _lands(self) -> bool:
        """Whether a robot that has worked until now is in a part of its step in which no halt begins."""
        if not self._ran or self._halting is None or self._gait is None or self._gait.since_s is None:
            return False
        return not may_halt(np.array(self._gait.since_s), self._gait.step_s)

    def _walks(self, *, run: bool) -> bool:
        """Whether the generator's commands count; else a law leads the robot."""
        lifting = self._lifting
        return run and not (lifting is not None and (lifting.settles[0] or lifting.begun[0]))

    def _led(self, command: np.ndarray, observed: ObservationInputs, *, run: bool) -> np.ndarray:
        """The command, or what brings the robot to rest, or what lifts."""
        if self._halting is None:
            return command
        senses = (observed.root_quat_wxyz, observed.root_ang_vel_body, observed.joint_pos, observed.joint_vel)
        senses = tuple(np.asarray(part)[None] for part in senses)
        if self._lifting is not None:
            self._lifting.update(np.array([run]), self._memory[:1], self._memory[1:2])
            if self._lifting.begun[0]:
                return self._lifting.command(np.array([run]), *senses)[0]
        walks = self._walks(run=run)
        halted = self._halting.command(np.array([not walks]), *senses)[0]
        return command if walks else halted
