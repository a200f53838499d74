"""Idle, standing, running, silence, damping, release: with a robot that stands still."""

import time

import numpy as np
from driver import Driver, StandingRobot
from unitree_hg.msg import LowCmd, LowState

from vm_core import unitree_cdr
from vm_msgs.msg import PolicyStatus

driver, robot = Driver(), StandingRobot()
report, node = driver.report, driver.node
out = node.create_publisher(LowState, "/lowstate", 1)
commands, periods_ms, sent_at, latency = [], [], {}, []


def on_command(data: bytes) -> None:
    record = unitree_cdr.parse_low_cmd(data)
    commands.append(record.copy())
    tick = int(record["reserve"][0])
    if tick in sent_at:  # the stream repeats each command until the next
        latency.append(time.monotonic() - sent_at.pop(tick))


def publish() -> None:
    data = robot.state()
    sent_at[robot.tick] = time.monotonic()
    out.publish(data)


def stiffness() -> float:
    return float(unitree_cdr.get_motors(commands[-1], "kp").max())


node.create_subscription(LowCmd, "/lowcmd", on_command, 1, raw=True)
node.create_subscription(PolicyStatus, "/policy_status", lambda m: periods_ms.append(m.period_ms), 10)
timer = node.create_timer(0.002, publish)

report["early_run"] = driver.call("/policy/run")
driver.hear(25)
report["idle_commands"] = len(commands)


def run() -> None:
    report["stand"] = driver.call_until("/policy/stand")  # the robot must have been seen still for a while
    report["run"] = driver.call_until("/policy/run", lambda answer: answer[0] or "DAMPING" in answer[1])
    driver.until(lambda: driver.status[-1][0] != PolicyStatus.STANDING)
    periods_ms.clear(), latency.clear()
    driver.until(lambda: len(periods_ms) >= 140 and len(latency) >= 100)
    report["state_running"] = driver.status[-1][0]


def run_into_silence() -> None:
    run()
    driver.expect_silence("state_silent")
    timer.cancel()
    try:
        driver.in_state(PolicyStatus.DAMPING)
    finally:
        timer.reset()
    report["state_silent"], report["cause_silent"] = driver.status[-1]


driver.undisturbed(run_into_silence)
report["period_error_ms"] = float(np.median(np.abs(np.array(periods_ms) - 20.0)))
report["latency_ms"] = [float(np.percentile(latency, p) * 1000) for p in (50, 99)]
report["mode_machine"] = int(commands[-1]["mode_machine"])
report["crc_ok"] = bool(commands[-1]["crc"] == unitree_cdr.low_cmd_crc(commands[-1]))
driver.until(lambda: stiffness() == 0.0)
report["damping_kp"] = stiffness()
report["run_while_damping"] = driver.call("/policy/run")
driver.hear(25)
report["state_still"] = driver.status[-1][0]
report["release"] = driver.idle()
report["state_end"] = driver.status[-1][0]
driver.tell()
