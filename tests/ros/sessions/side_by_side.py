"""Nodes in the namespaces a and b, the second one dry; the first and its stream are killed: `side_by_side.py PID`."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from driver import Driver, StandingRobot
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from std_srvs.srv import Trigger
from unitree_hg.msg import LowCmd, LowState

from vm_msgs.msg import PolicyStatus

driver, robot = Driver("a", "b"), StandingRobot()
report, node = driver.report, driver.node
robots = [node.create_publisher(LowState, f"/{space}/lowstate", 1) for space in "ab"]
commands: dict[str, list[float]] = {}


def on_command(topic: str, _: bytes) -> None:
    commands.setdefault(topic, []).append(time.monotonic())


def publish() -> None:
    for publisher in robots:
        publisher.publish(robot.state())


def trigger(name: str) -> bool:
    return driver.ask(Trigger, name, Trigger.Request()).success


def state(space: str) -> int:
    return driver.statuses[space][-1][0]


def stand(space: str) -> bool:
    return driver.until(lambda: trigger(f"/{space}/policy/stand")) and driver.until(lambda: state(space) == 1)


def damp_one() -> None:
    """Both stand, one is damped."""
    report["stood"] = [stand("a"), stand("b")]
    report["set while standing"] = change("max_tilt_rad", 0.7)
    driver.until(lambda: all(len(commands.get(topic, [])) > 20 for topic in ("/b/lowcmd_dry_run", "/a/lowcmd")))
    report["heard"] = {topic: len(times) for topic, times in commands.items()}
    trigger("/b/policy/damp")
    driver.until(lambda: state("b") == PolicyStatus.DAMPING)
    driver.spin(1.0)  # were the other one to follow, it would do so at once
    report["after damping b"] = {space: state(space) for space in "ab"}


def change(name: str, value: str | float) -> list:
    kind = ParameterType.PARAMETER_STRING if isinstance(value, str) else ParameterType.PARAMETER_DOUBLE
    held = ParameterValue(type=kind, **{"string_value" if isinstance(value, str) else "double_value": value})
    request = SetParameters.Request(parameters=[Parameter(name=name, value=held)])
    answer = driver.ask(SetParameters, "/a/vm_policy_node/set_parameters", request).results[0]
    return [answer.successful, answer.reason]


for topic in ("/a/lowcmd", "/b/lowcmd", "/b/lowcmd_dry_run", "/lowcmd"):
    node.create_subscription(LowCmd, topic, partial(on_command, topic), 50, raw=True)
node.create_timer(0.01, publish)

report["set"] = change("max_tilt_rad", 0.6)
wanted = GetParameters.Request(names=["max_tilt_rad"])
report["got"] = driver.ask(GetParameters, "/a/vm_policy_node/get_parameters", wanted).values[0].double_value
report["out of range"] = change("max_tilt_rad", 9.0)
report["read-only"] = change("policy", "/etc/passwd")
driver.undisturbed(damp_one)
pid = sys.argv[1]
children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
killed = time.monotonic()
for one in (pid, *children):
    os.kill(int(one), signal.SIGKILL)
heard = len(commands["/a/lowcmd"])
silent = driver.until(lambda: time.monotonic() - max(killed, commands["/a/lowcmd"][-1]) > 1.0)
report["children"] = len(children)
report["after kill"] = [silent, len(commands["/a/lowcmd"]) - heard]
report["b lives"] = trigger("/b/policy/release")
driver.tell()
