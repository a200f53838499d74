"""vm-teleop in a real terminal: keys become Twists, silence and the end become zeros, the terminal is put back."""

import json
import os
import pty
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from vm_core import ros_environment
from vm_core.errors import VmError

LISTENER = """
import json, time
import rclpy
from geometry_msgs.msg import Twist
from std_srvs.srv import Trigger

rclpy.init()
node = rclpy.create_node("listener")
heard, asked, last = [], [], time.monotonic()
def on_twist(message):
    global last
    last = time.monotonic()
    heard.append([message.linear.x, message.angular.z])
    print("TWIST", *heard[-1], flush=True)
node.create_subscription(Twist, "/cmd_vel", on_twist, 50)
def damp(request, answer):
    asked.append("damp")
    answer.success, answer.message = True, "damping (operator)"
    return answer
node.create_service(Trigger, "/policy/damp", damp)
print("READY", flush=True)
end = time.monotonic() + 180.0
while time.monotonic() < end and not (asked and time.monotonic() - last > 4.0):
    rclpy.spin_once(node, timeout_sec=0.05)
print("HEARD " + json.dumps([heard, asked]))
"""


class Screen(threading.Thread):
    """Takes what a program shows, so that it never waits for its terminal."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self._descriptor, self.text = descriptor, ""
        self.start()

    def run(self) -> None:
        while True:
            try:
                said = os.read(self._descriptor, 4096)
            except OSError:
                return
            if not said:
                return
            self.text += said.decode(errors="replace")

    def wait_for(self, words: str, timeout_s: float = 60.0, keys: tuple[int, bytes] | None = None) -> None:
        """Until it says words once more; a key is pressed again and again meanwhile, on a terminal."""
        before, end, due = self.text.count(words), time.monotonic() + timeout_s, 0.0
        while self.text.count(words) == before:
            assert time.monotonic() < end, self.text
            if keys and time.monotonic() > due:
                os.write(*keys)
                due = time.monotonic() + 0.3
            time.sleep(0.05)


@pytest.fixture
def environment(ros_domain: int) -> dict[str, str]:
    try:
        return ros_environment.ros_environment() | {"ROS_DOMAIN_ID": str(ros_domain)}
    except VmError as error:
        pytest.skip(str(error))


def test_keys_steer_and_letting_go_stops(environment):
    program = str(Path(sys.executable).parent / "vm-teleop")
    listener = subprocess.Popen([sys.executable, "-c", LISTENER], env=environment, stdout=subprocess.PIPE)
    assert listener.stdout is not None
    listened = Screen(listener.stdout.fileno())
    listened.wait_for("READY")
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    teleop = subprocess.Popen([program], env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    try:
        shown = Screen(ours)
        shown.wait_for("vx +0.00")
        shown.wait_for("damping (operator)", keys=(ours, b"x"))  # discovery takes a while
        listened.wait_for("TWIST 0.5 ", keys=(ours, b"w"))
        listened.wait_for(" 0.4\n", keys=(ours, b"a"))
        listened.wait_for("TWIST 0.0 0.0\n")
        teleop.send_signal(2)
        assert teleop.wait(60) == 130
    finally:
        teleop.kill()
        listener.wait(200)
    assert termios.tcgetattr(theirs) == before
    listened.join(20)
    heard, asked = json.loads(listened.text.split("HEARD ")[1])
    assert max(vx for vx, _ in heard) == 0.5 and max(turn for _, turn in heard) == 0.4
    assert heard[-1] == [0.0, 0.0]
    assert set(asked) == {"damp"}
    moving = [k for k, twist in enumerate(heard) if any(twist)]
    assert len(heard) - moving[-1] < 25  # silent some time after the last key


def test_without_a_terminal_it_says_so(environment):
    program = str(Path(sys.executable).parent / "vm-teleop")
    done = subprocess.run(
        [program], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "error: vm-teleop reads keys from a terminal" in done.stderr
