"""The run bit, an object out of view and bad pictures: `visual.py FAULT FAULT LAST_FAULT`."""

import sys
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray
from driver import Driver
from unitree_hg.msg import LowCmd

from vm_core import unitree_cdr
from vm_msgs.msg import PolicyStatus
from vm_sim.fault_node import play_fault

driver = Driver()
report, node = driver.report, driver.node
task, seen, echoed = [""], [{}], set()


def on_diagnostics(message: DiagnosticArray) -> None:
    for one in message.status:
        if one.name == "vm_policy_node: control":
            values = {v.key: v.value for v in one.values}
            task[0], seen[0] = values.get("task", "?"), {k: v for k, v in values.items() if k.startswith("picture")}


def on_command(data: bytes) -> None:
    echoed.add(int(unitree_cdr.parse_low_cmd(data)["reserve"][1]))


def task_is(words: str) -> bool:
    return driver.until(lambda: task[0].startswith(words))


def play(fault: str) -> None:
    report[f"stood before {fault}"] = driver.stand()
    driver.expect_silence(fault)
    play_fault(node, fault)
    try:
        report[fault] = [driver.in_state(PolicyStatus.DAMPING), driver.status[-1][1]]
    finally:
        play_fault(node, "")


def work(fault: str) -> None:
    """The task begun, paused, begun again and ended by what is seen; then a fault while running."""
    play_fault(node, "")
    report["stands"] = driver.stand()
    report["runs"] = driver.call_until("/policy/run")[0] and driver.in_state(PolicyStatus.RUNNING)
    report["task at first"] = task_is("off")
    report["task"] = [*driver.call("/policy/task"), task_is("on")]
    report["pause"] = [*driver.call("/policy/pause"), task_is("off")]
    driver.call("/policy/task")
    play_fault(node, "depth_empty")
    report["lost"] = [task_is("off nothing in view"), driver.status[-1][0], task[0], seen[0]]
    play_fault(node, "")
    driver.until(lambda: len(echoed) > 30)
    report["pictures echoed"] = len(echoed)
    play_fault(node, fault)
    report[fault] = [driver.in_state(PolicyStatus.DAMPING), driver.status[-1][1], seen[0]]


node.create_subscription(LowCmd, "/lowcmd", on_command, 50, raw=True)
node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)

report["task before it runs"] = driver.call("/policy/task")
for fault in sys.argv[1:3]:
    driver.undisturbed(partial(play, fault))
    driver.idle()
driver.undisturbed(partial(work, sys.argv[3]))
driver.tell()
