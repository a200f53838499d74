"""Commands that are ROS nodes, typed in a shell that knows nothing of ROS."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from session import END_S

from vm_core import ros_environment
from vm_core.errors import VmError


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["vm-fault", "--list"], 0, "motor_hot"),
        (["vm-policy-node", "--ros-args", "-p", "stand_duration_s:=1.5"], 2, "error: no policy"),
        (["vm-sim"], 2, "error: no scene"),
        (["vm-heightmap", "--ros-args", "-p", "odometry_source:=gps"], 2, "odometry_source is 'gps'"),
        (["vm-motion-mode", "--help"], 0, "release"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_they_find_it_by_themselves(ros_domain, tmp_path, command, code, words):
    try:
        ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    if ros_environment.has_full_ros():
        pytest.skip("this shell has sourced a ROS 2, which other shells do not know")
    own = {"ROS_DOMAIN_ID": str(ros_domain), "HOME": str(tmp_path), "PATH": os.defpath}
    kept = {name: os.environ[name] for name in (ros_environment.INSTALL_VARIABLE,) if name in os.environ}
    program = str(Path(sys.executable).with_name(command[0]))
    ended = subprocess.run([program, *command[1:]], env=own | kept, capture_output=True, text=True, timeout=END_S)
    said = ended.stdout + ended.stderr
    assert ended.returncode == code and words in said, said
    assert "Traceback" not in said
