"""The simulated robot's own controller: active, it refuses our commands; vm-motion-mode releases it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vm_core import ros_environment
from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset


def test_the_simulated_robot_is_released_by_the_command(ros_domain, tmp_path):
    try:
        env = ros_environment.ros_environment() | {"ROS_DOMAIN_ID": str(ros_domain)}
    except VmError as error:
        pytest.skip(str(error))
    SceneAsset(boxes=(), source="flat").save(tmp_path / "flat")
    own = Path(sys.executable).parent
    command = [str(own / "vm-sim"), "--scene", str(tmp_path / "flat"), "--motion-mode", "ai", "--duration", "600"]
    sim = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = []
        for action in ("check", "release", "check"):
            ask = [str(own / "vm-motion-mode"), action, "--timeout-s", "60"]
            done = subprocess.run(ask, env=env, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            said.append(json.dumps(done.stdout.strip()))
    finally:
        sim.send_signal(signal.SIGINT)
        output, _ = sim.communicate(timeout=60)
    assert "motion mode: ai" in said[0], output
    assert "none" in said[1] and "none" in said[2]
    assert "motion switcher: released" in output
