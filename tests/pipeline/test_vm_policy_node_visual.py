"""Visual policies that come with the node, before their objects: controller, physics and a noisy D435i in lockstep."""

from pathlib import Path

import numpy as np
import pytest
import visual_cases as cases

import vm_policy_node
from vm_core.scene_asset import SceneAsset
from vm_core.visual_bundle import GENERATOR_FILE
from vm_policy_node.controller import Controller
from vm_policy_node.safety import State
from vm_policy_node.visual.visual_policy import VisualPolicy, load_policy
from vm_sim.depth_thread import DepthThread
from vm_sim.objects import find_object_scene
from vm_sim.robot import SimulatedG1, build_model

POLICIES = Path(vm_policy_node.__file__).parent / "policies"
INSTALLED = sorted(path.parent for path in POLICIES.glob(f"*/{GENERATOR_FILE}"))


class Lockstep:
    """One robot, its camera and its controller, ten physics steps a control period."""

    def __init__(self, folder: Path) -> None:
        policy = load_policy(folder)
        assert isinstance(policy, VisualPolicy)
        scene = find_object_scene(policy.generator.contract.task)
        place = SceneAsset(boxes=scene.furniture)
        self.robot = SimulatedG1(place, thing=scene.thing, seed=0)
        self.camera = DepthThread(build_model(place, thing=scene.thing), lambda *_: None, 0)
        self.controller, self.lifts = Controller(policy), policy.generator.contract.lift is not None
        assert self.controller.depth_input is not None
        self.depth, self._picture_s = self.controller.depth_input, 0.0
        self.depth.on_info(cases.INFO)

    def run(self, seconds: float, until=lambda: False) -> bool:
        for _ in range(round(seconds / 0.02)):
            if until():
                return True
            now = self.robot.time_s
            if now >= self._picture_s:
                self._picture_s += self.camera.period_s
                self.depth.on_picture(cases.raw(self.camera.picture(self.robot.data.qpos)), now)
            self.controller.on_low_state(self.robot.low_state().tobytes(), now)
            record = self.controller.step(now)
            if record is not None:
                self.robot.command(record)
            for _ in range(10):
                self.robot.step()
        return until()

    def ask(self, name: str) -> bool:
        return self.controller.request(name, self.robot.time_s).accepted

    @property
    def height(self) -> float:
        """Of the object's centre [m]."""
        pose = self.robot.object_pose
        assert pose is not None
        return float(pose[2])

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """x and y of pelvis and object [m]."""
        pose = self.robot.object_pose
        assert pose is not None
        return self.robot.data.qpos[:2].copy(), pose[:2].copy()


@pytest.mark.skipif(not INSTALLED, reason="no visual policy is installed")
@pytest.mark.parametrize("folder", INSTALLED, ids=lambda folder: folder.name)
def test_it_stands_until_told_goes_to_its_object_moves_it_and_stops(folder):
    walk = Lockstep(folder)
    assert walk.run(4.0, lambda: walk.ask("stand")), walk.controller.obstacle
    assert walk.run(6.0, lambda: walk.controller.at_start_pose(walk.robot.time_s))
    assert walk.ask("run")
    pelvis, thing = walk.places
    walk.run(3.0)
    stood, untouched = walk.places
    assert np.linalg.norm(stood - pelvis) < 0.15 and np.linalg.norm(untouched - thing) < 0.01  # the run bit is 0
    assert walk.ask("task")
    walk.run(14.0 if walk.lifts else 6.0)
    went, moved = walk.places
    assert walk.controller.machine.state == State.RUNNING, walk.controller.machine.cause
    if walk.lifts:
        assert np.linalg.norm(went - stood) > 0.1 and walk.height == pytest.approx(1.0, abs=0.15)
    else:
        assert np.linalg.norm(went - stood) > 0.4 and np.linalg.norm(moved - thing) > 0.2
    walk.ask("pause")
    walk.run(2.0)
    paused = walk.places[0]
    walk.run(2.0)
    assert walk.controller.machine.state == State.RUNNING, walk.controller.machine.cause
    assert np.linalg.norm(walk.places[0] - paused) < 0.15
    assert not walk.lifts or walk.height > 0.85  # a pause drops nothing
    walk.camera.stop()
