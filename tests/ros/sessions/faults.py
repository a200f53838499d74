"""E-stop, broken bytes, faults by service, a recording, a node that is killed: `faults.py PID FAULT…`."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from driver import Driver
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from std_msgs.msg import Bool
from unitree_hg.msg import LowCmd, LowState

from vm_core import unitree_cdr
from vm_msgs.msg import PolicyStatus
from vm_sim.fault_node import play_fault

driver = Driver()
report, node = driver.report, driver.node
commands, sim = [], [""]

RECORDED = {"e_stop", "temperature", "stale_state", "another_publisher", "request"}
"""Causes in the names of the flight recorder's files."""


def on_command(data: bytes) -> None:
    record = unitree_cdr.parse_low_cmd(data)
    commands.append((time.monotonic(), float(unitree_cdr.get_motors(record, "kp").max())))


def on_diagnostics(message: DiagnosticArray) -> None:
    for one in message.status:
        if one.name == "vm_sim":
            sim[0] = {v.key: v.value for v in one.values}["command_state"]


def play(fault: str) -> None:
    report[f"stands before {fault}"] = driver.stand()
    driver.expect_silence(fault)
    play_fault(node, fault)
    try:
        report[fault] = [driver.in_state(PolicyStatus.DAMPING), driver.status[-1][1]]
    finally:
        play_fault(node, "")


def stop_by_topic() -> None:
    report["stands"] = driver.stand()
    estop.publish(Bool(data=True))
    try:
        report["estop"] = [driver.in_state(PolicyStatus.DAMPING), driver.status[-1][1]]
        report["release_while_engaged"] = driver.call("/policy/release")
    finally:
        estop.publish(Bool(data=False))


node.create_subscription(LowCmd, "/lowcmd", on_command, 50, raw=True)
node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)
estop = node.create_publisher(Bool, "/estop", 10)

driver.undisturbed(stop_by_topic)
report["released"] = driver.idle()
for kind, topic in ((Twist, "/cmd_vel"), (Odometry, "/ground_truth/odometry"), (LowState, "/lowstate")):
    publisher = node.create_publisher(kind, topic, 1)
    driver.until(lambda: publisher.get_subscription_count() > 0)  # noqa: B023
    for size in (0, 3, 17, 30):  # bytes that are no message
        publisher.publish(bytes([0, 1, 0, 0]) + bytes([255]) * size)
    node.destroy_publisher(publisher)
driver.hear(25)
report["after broken bytes"] = driver.call("/policy/release")
for fault in sys.argv[2:]:
    driver.undisturbed(partial(play, fault))
    report[f"released after {fault}"] = driver.idle()
report["record"] = [driver.until(lambda: driver.call("/policy/record")[0])]
driver.undisturbed(lambda: report.update({"last stand": driver.stand()}))
flights = Path(os.environ["ROS_HOME"]) / "flight_records"
driver.until(lambda: {path.stem.split("_", 2)[2] for path in flights.glob("*.mcap")} >= RECORDED)
commands.clear()
killed = time.monotonic()
os.kill(int(sys.argv[1]), signal.SIGKILL)
driver.until(lambda: sim[0] == "damping" and bool(commands) and time.monotonic() - commands[-1][0] > 1.0)
stiff = [kp > 0.0 for _, kp in commands]
report["stiff_commands"] = sum(stiff)
report["stiff_after_damping"] = any(stiff[stiff.index(False) :])
report["damping_commands"] = len(stiff) - sum(stiff)
report["last_command_s"] = commands[-1][0] - killed
report["sim"] = sim[0]
driver.tell()
