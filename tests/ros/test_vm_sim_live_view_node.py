"""`vm-view-robot` in a real browser: robot, scan and grid are seen, and a button reaches the policy node."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import browser
import cv2
import numpy as np
import pytest

from vm_core import ros_environment
from vm_core.errors import VmError
from vm_policy_node.bringup.nodes import NodeSpec
from vm_policy_node.bringup.processes import node_command

pytest.importorskip("viser")
FAKE_ROBOT = Path(__file__).with_name("fake_robot.py")
pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason="no chromium")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def address(ros_domain):
    try:
        env = ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    env |= {"ROS_DOMAIN_ID": str(ros_domain), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    port = free_port()
    spec = NodeSpec("v", "vm_sim", "vm-view-robot", {"port": port})
    pipe = {"env": env, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    processes = [
        subprocess.Popen(command, **pipe) for command in ([sys.executable, str(FAKE_ROBOT)], node_command(spec))
    ]
    try:
        assert any("open http://" in line for line in processes[1].stdout)
        yield f"http://127.0.0.1:{port}"
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.communicate(timeout=60)


def pixels(picture: Path, color: tuple[int, int, int], most: int = 60) -> int:
    """How many pixels of a picture (without the panel) come near a colour, by its hue, not its brightness."""
    image = cv2.cvtColor(cv2.imread(str(picture))[:, :660], cv2.COLOR_BGR2RGB).astype(float)
    wanted = np.array(color, float) - np.mean(color)
    seen = image - image.mean(axis=-1, keepdims=True)
    strong = np.linalg.norm(seen, axis=-1) > 40
    cosine = (seen @ wanted) / (np.linalg.norm(seen, axis=-1) * np.linalg.norm(wanted) + 1e-9)
    return int(np.sum(strong & (cosine > np.cos(np.radians(most / 4)))))


def test_what_a_person_sees_and_presses(address, tmp_path):
    with browser.opened(address, tmp_path) as page:
        page.until_text("RUNNING +0.50 +0.00 m/s +0.30 rad/s")
        page.click_until("STAND", "stand: the fake robot does not stand up")
        page.click_until("DAMP", "damp: no policy node offers it")
        picture = tmp_path / "page.png"
        end = time.monotonic() + 90
        tiles = {"seen": (25, 205, 50), "filled": (230, 205, 25), "seeded": (50, 100, 230), "unknown": (230, 25, 25)}
        while time.monotonic() < end:
            page.picture(picture)
            counts = {name: pixels(picture, color) for name, color in tiles.items()}
            if min(counts.values()) > 100:
                break
            time.sleep(1.0)
    assert min(counts.values()) > 100, counts
    gray = cv2.imread(str(picture))[200:420, 440:560].astype(int)
    assert np.sum((np.ptp(gray, axis=-1) < 25) & (gray.max(axis=-1) < 200)) > 1500  # the robot in the middle
