"""Starts a vm_heightmap node and plays a script's cases to it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from vm_core import ros_environment
from vm_core.errors import VmError

HERE = Path(__file__).parent


def node_environment(domain: int) -> dict[str, str]:
    """Variables of a node in this domain; skips the test where there is no ROS."""
    try:
        env = ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    return env | {"ROS_DOMAIN_ID": str(domain), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def node_command(*parameters: str) -> list[str]:
    """The node's command line with these parameters."""
    command = [str(Path(sys.executable).with_name("vm-heightmap"))]
    return command + (["--ros-args", *(part for name in parameters for part in ("-p", name))] if parameters else [])


def play(script: str, domain: int, names: tuple[str, ...], *parameters: str) -> dict[str, dict]:
    """What a fresh node with these parameters did in the cases of a script of this folder."""
    env, folder = node_environment(domain), tempfile.TemporaryDirectory(prefix="vm-heightmap-")
    node = subprocess.Popen(node_command(*parameters), env=env, cwd=folder.name)  # saved maps go there
    play_it = [sys.executable, str(HERE / script), *names]
    try:
        done = subprocess.run(play_it, env=env, capture_output=True, text=True, timeout=1200, cwd=HERE)
        assert node.poll() is None, "the node died"
        assert done.returncode == 0, done.stderr[-3000:]
        node.send_signal(signal.SIGINT)
        node.wait(timeout=60)
    finally:
        if node.poll() is None:
            node.kill()
            node.wait()
        folder.cleanup()
    found = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            found |= json.loads(line)
    print(json.dumps(found, indent=1))
    return found
