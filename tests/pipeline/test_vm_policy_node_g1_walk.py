"""The shipped walker under the controller that the node runs: it walks, turns, stops, stands, and climbs steps."""

import numpy as np
from walk_trial import Walk

from vm_core.scene_asset import SceneAsset
from vm_policy_node.bringup import demo

POLICY = demo.DEMO_POLICY.with_name("g1_walk.onnx")


def test_walks_turns_stops_and_stands():
    walk = Walk(POLICY, SceneAsset(source="flat"), seed=0)
    walk.run(1.0, lambda _: (0.0, 0.0, 0.0))
    walk.run(6.0, lambda t: (0.25, 0.0, 0.0) if t < 4.0 else (0.2, 0.0, 0.2))
    x, _, z, heading = walk.pelvis
    assert 0.9 < x < 1.9 and z > 0.68
    assert heading > 0.15
    walk.run(3.0, lambda _: (0.0, 0.0, 0.0))
    rest = walk.pelvis
    walk.run(4.0, lambda _: (0.0, 0.0, 0.0))
    assert np.linalg.norm(walk.pelvis[:2] - rest[:2]) < 0.03
    assert np.abs(walk.robot.data.qvel[:6]).max() < 0.1 and walk.pelvis[2] > 0.68
