"""Who steers, over DDS: a path, cmd_vel before it; no start while a controller of the robot's own is active."""

import policy_files as files
from session import PATIENT, play, policy_node

from vm_core import g1


def test_path_cmd_vel_and_silence(environment, tmp_path):
    moved = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
    policy = files.write(tmp_path / "p.onnx", files.contract(default_joint_pos=tuple(g1.DEFAULT_STAND_POSE[moved])))
    node = policy_node(policy, stand_duration_s=0.5, odometry_timeout_s=1.0, **PATIENT)
    report, log = play("steering", [node], environment)
    assert not report["vendor"][0] and "the robot's own controller 'ai' is active" in report["vendor"][1]
    assert report["stand"][0] and report["run"][0], report
    assert report["foreign"] == ["none", 0.0, 0.0]
    assert "path in the frame 'odom'; the odometry's is 'map'" in log
    assert report["path"][0] == "path" and report["path"][1] > 0.2 and report["path"][2] > 0.02
    assert report["cmd_vel"][0] == "cmd_vel" and report["cmd_vel"][1] < 0.0
    assert report["end"] == ["none", 0.0, 0.0]
