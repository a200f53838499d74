"""What an operator may ask of the controller, and why it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vm_policy_node.controller_config import OPERATOR
from vm_policy_node.loaded_policies import with_ages_of
from vm_policy_node.safety import Answer, SafetyMonitor, State, emergency_cause

if TYPE_CHECKING:
    from vm_policy_node.controller import Controller


def _stand(controller: Controller, now_s: float) -> Answer:
    was = controller.machine.state
    answer = controller.machine.stand(now_s, controller.obstacle if was == State.IDLE else None)
    if answer.accepted and was != State.STANDING:
        controller.plan_standing()
    return answer


def _run(controller: Controller, now_s: float) -> Answer:
    was = controller.machine.state
    answer = controller.machine.run(now_s, controller.monitor.complaint, controller.at_start_pose(now_s))
    if answer.accepted and was != State.RUNNING:
        controller.begin(controller.runner)
    return answer


def _task(controller: Controller, now_s: float) -> Answer:
    if controller.runner.needs.depth is None:
        return Answer(False, f"{controller.policy.name} has no task; a visual policy has one")
    if controller.machine.state != State.RUNNING:
        return Answer(False, f"cannot begin the task from {controller.machine.state.name}; run first")
    controller.task.set(True, now_s)
    return Answer(True, "doing the task")


def _pause(controller: Controller, now_s: float) -> Answer:
    controller.task.set(False, now_s)
    return Answer(True, "standing still" if controller.machine.state == State.RUNNING else "the task is off")


def _switch(controller: Controller, now_s: float) -> Answer:
    policies, state = controller.policies, controller.machine.state
    other = policies.other
    if other is None:
        return Answer(False, "there is no second policy; give one by the parameter second_policy")
    if state == State.IDLE:
        controller.use(other)
        return Answer(True, f"{other.policy.name} will run")
    if state != State.RUNNING or policies.switch is not None:
        return Answer(False, "cannot switch while standing up, switching or damping")
    if other.contract.uses_reference:
        return Answer(False, f"{other.policy.name} follows a clip from its first frame; damp and stand first")
    probe = SafetyMonitor(with_ages_of(controller.monitor.limits, [other]))
    trip = probe.update(controller.measure(now_s), other.needs, now_s) or probe.complaint
    if trip:
        return Answer(False, f"refused to switch to {other.policy.name}, {trip}")
    controller.begin(other)
    controller.switch_to(other)
    return Answer(True, f"switching to {other.policy.name}")


REQUESTS: dict[str, Callable[[Controller, float], Answer]] = {
    "stand": _stand,
    "run": _run,
    "damp": lambda controller, now_s: controller.machine.damp(now_s, OPERATOR),
    "estop": lambda controller, now_s: controller.machine.damp(now_s, emergency_cause("by service")),
    "release": lambda controller, now_s: controller.machine.release(now_s, controller.estop),
    "switch": _switch,
    "task": _task,
    "pause": _pause,
}
"""By name, as the services are called."""
