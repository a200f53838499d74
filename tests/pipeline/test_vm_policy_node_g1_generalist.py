"""The shipped generalist under the controller that the node runs: it sits as long as the stick is held back."""

import numpy as np
import pytest
from walk_trial import Walk

from vm_core.scene_asset import SEAT, SceneAsset, SceneBox
from vm_policy_node.bringup import demo

POLICY = demo.DEMO_POLICY.with_name("g1_generalist.onnx")
HEIGHT_M = 0.35


def test_sits_down_rests_gets_up_and_walks_away():
    seat = SceneBox((-0.36, 0.0, 0.5 * HEIGHT_M), (0.25, 0.5, 0.5 * HEIGHT_M), label=SEAT)
    walk = Walk(POLICY, SceneAsset(boxes=(seat,)), seed=0)
    walk.run(1.0, lambda _: (0.0, 0.0, 0.0))
    standing = walk.pelvis[2]
    walk.run(7.0, lambda _: (-0.5, 0.0, 0.0))  # more than the contract allows
    least = walk.policy.contract.command_limits[0][0]
    assert least < 0.0 and walk.controller.command.value[0] == pytest.approx(least, abs=1e-3)
    seated = walk.pelvis
    assert seated[2] < standing - 0.1 and seated[0] < -0.15
    assert np.abs(walk.robot.data.qvel[:6]).max() < 0.2
    walk.run(5.5, lambda _: (0.0, 0.0, 0.0))
    assert walk.pelvis[2] > standing - 0.03
    walk.run(5.0, lambda _: (0.25, 0.0, 0.0))
    walk.run(3.0, lambda _: (0.0, 0.0, 0.0))
    assert walk.pelvis[2] > standing - 0.03 and walk.pelvis[0] > 0.3


def test_backwards_without_a_seat_is_standing_still():
    walk = Walk(POLICY, SceneAsset(source="flat"), seed=0)
    walk.run(1.0, lambda _: (0.0, 0.0, 0.0))
    before = walk.pelvis
    walk.run(5.0, lambda _: (-0.2, 0.0, 0.0))
    assert np.linalg.norm(walk.pelvis[:3] - before[:3]) < 0.05
