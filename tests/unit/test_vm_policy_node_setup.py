"""From parameters to a controller, and limits that change while it is idle."""

import math
from dataclasses import replace
from pathlib import Path

import policy_files as files
import pytest
import two_policies

from vm_core.errors import VmError
from vm_core.policy_contract import REFERENCE_KEY
from vm_policy_node.node_setup import changed_limits, make_controller
from vm_policy_node.parameters import LIMITS, PARAMETERS


def values(tmp_path: Path, **changes) -> dict:
    path = files.write(tmp_path / "p.onnx", files.contract(default_joint_pos=two_policies.POSE))
    return {name: parameter.default for name, parameter in PARAMETERS.items()} | {"policy": str(path)} | changes


def test_parameters_make_a_controller(tmp_path):
    given = {"max_tilt_rad": 0.5, "mode_machines": [2, 5], "damping_kd": 3.0}
    controller = make_controller(values(tmp_path, **given))
    assert (controller.monitor.limits.max_tilt_rad, controller.monitor.limits.mode_machines) == (0.5, (2, 5))
    assert controller.config.damping_kd == 3.0
    assert controller.second is None
    second = files.write(tmp_path / "second.onnx", two_policies.other_contract())
    assert make_controller(values(tmp_path, second_policy=str(second))).second is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"policy": ""}, "no policy: give"),
        ({"policy": "nowhere.onnx"}, "no such policy file"),
        ({"max_tilt_rad": 9.0}, "parameter max_tilt_rad must lie in"),
        ({"mode_machines": []}, "parameter mode_machines"),
        ({"damping_kd": 0.0}, "parameter damping_kd must be positive"),
        ({"second_policy": "nowhere.onnx"}, "no such policy file"),
        ({"reference": "nowhere.npz"}, "nowhere.npz"),
    ],
)
def test_bad_parameters_are_refused_by_name(tmp_path, changes, words):
    with pytest.raises(VmError, match=words):
        make_controller(values(tmp_path, **changes))


def test_another_clip_takes_the_place_of_the_embedded_one(tmp_path):
    follower = files.contract(action_base="reference_target", default_joint_pos=two_policies.POSE)
    path = files.write(tmp_path / "follower.onnx", follower, **{REFERENCE_KEY: files.embedded(files.clip())})
    longer = files.clip(frames=80)
    longer.save(tmp_path / "longer.npz")
    controller = make_controller(values(tmp_path, policy=str(path), reference=str(tmp_path / "longer.npz")))
    assert controller.policy.reference is not None
    assert controller.policy.reference.num_frames == 80
    blind = files.write(tmp_path / "blind.onnx", files.contract(default_joint_pos=two_policies.POSE))
    with pytest.raises(VmError, match="follows no clip"):
        make_controller(values(tmp_path, policy=str(blind), reference=str(tmp_path / "longer.npz")))


def test_limits_change_by_name_and_in_range():
    assert changed_limits(two_policies.QUICK, {"max_tilt_rad": 0.7}) == replace(two_policies.QUICK, max_tilt_rad=0.7)
    with pytest.raises(ValueError, match="lowcmd_topic: cannot change"):
        changed_limits(two_policies.QUICK, {"lowcmd_topic": "/x"})
    with pytest.raises(ValueError, match="max_tilt_rad must lie in"):
        changed_limits(two_policies.QUICK, {"max_tilt_rad": math.nan})


def test_every_parameter_is_described():
    assert all(len(parameter.text) > 10 for parameter in PARAMETERS.values())
    assert all(p.low is not None and p.high is not None and p.low <= p.default <= p.high for p in LIMITS.values())
    fixed = "late_cycle_s"  # the command stream's process is told at its start
    assert all(p.changeable == (name in LIMITS and name != fixed) for name, p in PARAMETERS.items())
