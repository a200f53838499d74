"""The committed policy of a reconstructed phone video: sits down on the log, rests on it, gets up and stands."""

import numpy as np
import pytest
from trial import Trial

from vm_core.scene_asset import SceneAsset
from vm_policy_node.bringup.demo import DEMO_POLICY
from vm_policy_node.bringup.demo_result import seat_line
from vm_policy_node.onnx_policy import OnnxPolicy

POLICY = DEMO_POLICY.with_name("sit.onnx")
SCENE = SceneAsset.load(POLICY.with_suffix(".scene"))
LOOK_S = 0.1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_g1_sits_on_the_log_and_gets_up(seed):
    trial = Trial(OnnxPolicy.load(POLICY), SCENE, seed)
    assert trial.controller.policy.clip is not None
    times, pelvis = [], []
    for _ in range(round((trial.controller.policy.clip.duration_s + 5.0) / LOOK_S)):
        trial.run(LOOK_S)
        times.append(trial.robot.time_s)
        pelvis.append(trial.robot.data.qpos[:3].copy())
    text, did = seat_line(SCENE, np.array(times), np.array(pelvis))
    assert did, text
    assert max(trial.held_by_gantry[50:]) == 0.0
    assert np.linalg.norm(pelvis[-1] - pelvis[-10]) < 0.02  # it stands still


def test_without_the_log_it_does_not_sit(tmp_path):
    """The seat bears it: where there is none, the same policy ends in damping or on the ground."""
    trial = Trial(OnnxPolicy.load(POLICY), SceneAsset(ground=SCENE.ground), 0)
    with pytest.raises(AssertionError):
        trial.run(16.0)
        assert trial.robot.data.qpos[2] > 0.7
