"""The process of a node: what it does last is done, however often and early it is told to end."""

import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import time
import rclpy
from rclpy.node import Node
from vm_core import node_process

class Worker(Node):
    def __init__(self):
        super().__init__("worker")

    def end(self):
        print("ending", flush=True)
        time.sleep(0.5)
        print("ended", flush=True)

def work(node):
    print("working", flush=True)
    node_process.spin(rclpy, node)

node_process.run(rclpy, Worker, work, Worker.end)
"""

HANGING = """
import ctypes

node_process.CLOSE_S = 1.0
Worker.destroy_node = lambda node: ctypes.PyDLL(None).sleep(120)  # and keeps the interpreter's lock
node_process.run(rclpy, Worker, work, Worker.end)
"""


def start(environment: dict[str, str], *before: str, program: str = PROGRAM) -> subprocess.Popen:
    command = [*before, sys.executable, "-c", program]
    pipe = subprocess.PIPE
    node = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert node.stdout is not None and node.stdout.readline() == "working\n"
    return node


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_second_signal_does_not_cut_the_end_off(environment, number):
    node = start(environment)
    node.send_signal(number)
    assert node.stdout is not None and node.stdout.readline() == "ending\n"
    time.sleep(0.1)
    node.send_signal(number)
    said, complaints = node.communicate(timeout=60)
    assert said == "ended\n"
    assert (node.returncode, complaints) == (130, "interrupted\n")


def test_a_middleware_that_never_closes_does_not_keep_the_process(environment):
    node = start(environment, program=PROGRAM.rsplit("\n", 2)[0] + HANGING)
    node.send_signal(signal.SIGINT)
    said, complaints = node.communicate(timeout=60)
    assert said == "ending\nended\n"
    assert node.returncode == 1 and "in _process" in complaints  # where it hung


def test_under_nohup_it_outlives_its_terminal(environment):
    node = start(environment, "nohup")
    node.send_signal(signal.SIGHUP)
    time.sleep(1.0)
    assert node.poll() is None
    node.send_signal(signal.SIGINT)
    assert node.communicate(timeout=60)[0] == "ending\nended\n"
