"""A walker under the controller that the node runs, in lockstep with the simulated robot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from vm_core.frames import yaw_from_quat
from vm_core.height_grid import cell_points_world, mean_heights
from vm_core.scene_asset import SceneAsset
from vm_core.unitree_cdr import new_low_cmd
from vm_policy_node.controller import Controller
from vm_policy_node.inputs import Grid
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.safety import State
from vm_sim.robot import STEP_S, SimulatedG1

STEPS_A_PERIOD = 10
Wish = Callable[[float], tuple[float, float, float]]


class Walk:
    """The simulated robot under the controller, in lockstep; its grid is the scene's own heights."""

    def __init__(self, policy: Path, scene: SceneAsset, seed: int) -> None:
        self.policy = OnnxPolicy.load(policy)
        self.robot, self.scene = SimulatedG1(scene, seed=seed), scene
        self.controller, self.command = Controller(self.policy), new_low_cmd()
        self.torso = self.robot.model.body("torso_link").id

    def run(self, seconds: float, wish: Wish) -> None:
        """Lets it stand up if it does not yet run, then walk for a time."""
        ran = self.controller.run_step
        for k in range(round((seconds + 10.0) / STEP_S)):
            if k % STEPS_A_PERIOD == 1 and self.controller.machine.state != State.IDLE:
                assert self.robot.command(self.command)
            if k % STEPS_A_PERIOD == 0:
                self._control(self.robot.time_s, wish(0.02 * (self.controller.run_step - ran)))
            self.robot.step()
            if self.controller.run_step - ran >= seconds / 0.02:
                return
        raise AssertionError(f"stood up too slowly: {self.controller.machine.state}, {self.controller.trip}")

    @property
    def pelvis(self) -> np.ndarray:
        """x, y, z [m], heading [rad]."""
        qpos = self.robot.data.qpos
        return np.array([*qpos[:3], float(yaw_from_quat(qpos[3:7]))])

    def _control(self, now: float, wish: tuple[float, float, float]) -> None:
        data, controller = self.robot.data, self.controller
        position, spec = data.xpos[self.torso], self.policy.contract.height_grid
        assert spec is not None
        quat = data.xquat[self.torso]
        heights = mean_heights(spec, cell_points_world(spec, position, quat)[:, :2], quat, self.scene.height_at)
        controller.on_low_state(self.robot.low_state().tobytes(), now)
        controller.on_grid(Grid(float(position[2]), heights, spec), now)
        controller.command.on_cmd_vel(*wish, now)
        if controller.machine.state == State.IDLE:
            controller.step(now)
            controller.request("stand", now)
        if controller.at_start_pose(now):
            controller.request("run", now)
        command = controller.step(now)
        if controller.machine.state != State.IDLE:
            assert command is not None and controller.machine.state != State.DAMPING, controller.machine.cause
            self.command = command.copy()
