"""`vm-fault`: lists the faults, or has a running simulator play one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import rclpy
import tyro
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node

from vm_core import command_line, node_process
from vm_core.errors import VmError
from vm_sim.faults import find_fault, table

_WAIT_S = 10.0


@dataclass(frozen=True)
class FaultCommand:
    """Rehearses a fault on the simulated robot.

    Attributes:
        name: fault to play from now on; none given: end the one that plays.
        list: print all faults with the end that each must have.
        node: name of the simulator's node.
    """

    name: tyro.conf.Positional[str] = ""
    list: bool = False
    node: str = "/vm_sim"


def play_fault(node: Node, name: str, simulator: str = "/vm_sim") -> None:
    """Sets the simulator's parameter `fault`.

    Raises:
        VmError: no simulator, or one that refused.
    """
    client = node.create_client(SetParameters, f"{simulator}/set_parameters")
    if not client.wait_for_service(_WAIT_S):
        raise VmError(f"no simulator {simulator!r} in this ROS domain")
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=name)
    future = client.call_async(SetParameters.Request(parameters=[Parameter(name="fault", value=value)]))
    rclpy.spin_until_future_complete(node, future, timeout_sec=_WAIT_S)
    answer = future.result()
    if answer is None or not answer.results[0].successful:
        raise VmError(f"the simulator did not take it: {answer.results[0].reason if answer else 'no answer'}")


def _main() -> None:
    options = tyro.cli(FaultCommand, prog="vm-fault")
    if options.list:
        print(table())
        return
    if options.name:
        fault = find_fault(options.name)
        print(f"{fault.name}: {fault.text}; expected: {fault.end} in {fault.within_s} s ({fault.cause or 'any cause'})")
    rclpy.init(args=[])
    with contextlib.closing(_Session()) as session:
        play_fault(session.node, options.name, options.node)


class _Session:
    """A node for one call."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("vm_fault")

    def close(self) -> None:
        with node_process.closing():
            self.node.destroy_node()
            rclpy.try_shutdown()


def main() -> None:
    """Console entry point."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
