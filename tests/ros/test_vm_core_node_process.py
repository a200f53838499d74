"""The process of a node: what it does last is done, however often and early it is told to end."""

import signal
import subprocess
import sys
import time

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


def test_a_second_interrupt_does_not_cut_the_end_off(environment):
    node = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert node.stdout is not None and node.stdout.readline() == "working\n"
    node.send_signal(signal.SIGINT)
    assert node.stdout.readline() == "ending\n"
    time.sleep(0.1)
    node.send_signal(signal.SIGINT)
    said, complaints = node.communicate(timeout=60)
    assert said == "ended\n"
    assert (node.returncode, complaints) == (130, "interrupted\n")
