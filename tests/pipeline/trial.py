"""One start of a policy that follows its clip in a scene, in lockstep."""

from __future__ import annotations

from vm_core.scene_asset import SceneAsset
from vm_core.unitree_cdr import new_low_cmd
from vm_policy_node.controller import Controller
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.safety import State
from vm_sim.robot import STEP_S, SimulatedG1
from vm_sim.start_pose import clip_qpos

STEPS_A_PERIOD = 10


class Trial:
    """The simulated robot under the controller that the node runs, in lockstep; commands come one physics step late."""

    def __init__(self, policy: OnnxPolicy, scene: SceneAsset, seed: int) -> None:
        assert policy.clip is not None
        self.robot = SimulatedG1(scene, start_qpos=clip_qpos(policy.clip)[0], seed=seed)
        self.controller = Controller(policy)
        self.command = new_low_cmd()
        self.held_by_gantry: list[float] = []

    def run(self, seconds: float) -> None:
        for k in range(round(seconds / STEP_S)):
            now = self.robot.time_s
            if k % STEPS_A_PERIOD == 1 and self.controller.machine.state != State.IDLE:
                assert self.robot.command(self.command)
            if k % STEPS_A_PERIOD == 0:
                self._control(now)
            self.robot.step()

    def _control(self, now: float) -> None:
        data, controller = self.robot.data, self.controller
        controller.on_odometry(data.qpos[:3].copy(), data.qpos[3:7].copy(), data.qvel[:3].copy(), now)
        controller.on_low_state(self.robot.low_state().tobytes(), now)
        if controller.machine.state == State.IDLE:
            controller.step(now)
            controller.request("stand", now)
        if controller.at_start_pose(now):
            controller.request("run", now)
        command = controller.step(now)
        if controller.machine.state == State.IDLE:
            return  # it still swings on the gantry
        assert command is not None and controller.machine.state != State.DAMPING, controller.machine.cause
        self.command = command.copy()
        if controller.run_step > 0:
            self.held_by_gantry.append(self.robot.gantry_share)
