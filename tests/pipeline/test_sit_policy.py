"""The committed policy of a reconstructed phone video: sits down on the log, rests on it, gets up and stands."""

from dataclasses import replace

import numpy as np
import pytest
from trial import Trial

from vm_core.scene_asset import SceneAsset
from vm_policy_node.bringup.demo import DEMO_POLICY
from vm_policy_node.bringup.demo_result import seat_line
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_training.benchmark.courses import user_scene
from vm_training.benchmark.physics import PHYSICS
from vm_training.benchmark.runner import run_course, simple_grid
from vm_training.policy_file import PolicyFile

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


@pytest.mark.parametrize(("label", "succeeds"), [("seat", True), ("step", False)])
def test_the_benchmark_counts_a_sit_as_one(label, succeeds):
    """A pelvis that rests on a seat has not fallen onto it; on anything else it has."""
    scene = replace(SCENE, boxes=tuple(replace(box, label=label) for box in SCENE.boxes))
    results = run_course(
        PolicyFile.load(POLICY),
        user_scene("sit", scene),
        3,
        seed=0,
        grid="true",
        variant=PHYSICS["nominal"],
        threads=1,
        make_grid=simple_grid,
    )
    assert {result.success for result in results} == {succeeds}
    assert {result.fell for result in results} == {not succeeds}


def test_without_the_log_it_does_not_sit(tmp_path):
    """The seat bears it: where there is none, the same policy ends in damping or on the ground."""
    trial = Trial(OnnxPolicy.load(POLICY), SceneAsset(ground=SCENE.ground), 0)
    with pytest.raises(AssertionError):
        trial.run(16.0)
        assert trial.robot.data.qpos[2] > 0.7
