"""The committed tracker of many clips, through the node: up stairs and round a curve that no training had."""

from pathlib import Path

import numpy as np
import pytest
from trial import Trial

from vm_policy_node.bringup.demo import DEMO_POLICY
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_training.make_motions import MakeMotions, make_motions
from vm_training.tasks.motion_folder import load_motion

POLICY = DEMO_POLICY.with_name("g1_stand_walk.onnx")
SEED = 77  # of no motion that it was taught or judged by


@pytest.mark.parametrize("kind", ["arc", "stairs_up"])
def test_a_clip_that_is_new_is_followed_to_its_end(tmp_path: Path, kind: str):
    make_motions(MakeMotions(tmp_path, 1, (kind,), SEED))
    motion = load_motion(tmp_path, f"{kind}_0000")
    trial = Trial(OnnxPolicy.load(POLICY).following(motion.clip), motion.scene, 0)
    trial.run(motion.clip.duration_s + 6.0)
    assert trial.controller.clip_phase == 1.0
    assert np.linalg.norm(trial.robot.data.qpos[:3] - motion.clip.root_pos_world[-1]) < 0.15
    assert max(trial.held_by_gantry[50:]) == 0.0
