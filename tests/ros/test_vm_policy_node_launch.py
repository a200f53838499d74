"""g1.launch.py itself, executed; needs launch and launch_ros of a full ROS 2."""

import asyncio
import json
from pathlib import Path

import pytest

from vm_policy_node.bringup.demo import DEMO_POLICY
from vm_policy_node.bringup.system import System

launch = pytest.importorskip("launch", reason="launch comes with a full ROS 2, not with the wheels")
pytest.importorskip("launch_ros", reason="launch_ros comes with a full ROS 2, not with the wheels")
packages = pytest.importorskip("ament_index_python.packages")
from launch.actions import IncludeLaunchDescription, OpaqueFunction  # noqa: E402
from launch.launch_description_sources import PythonLaunchDescriptionSource  # noqa: E402
from launch_ros.actions import Node  # noqa: E402

FILE = Path(__file__).parents[2] / "launch/g1.launch.py"


@pytest.fixture(autouse=True)
def built(monkeypatch):
    """launch looks for programs in lib/PACKAGE of a colcon install."""
    try:
        packages.get_package_prefix("vm_policy_node")
    except packages.PackageNotFoundError:
        pytest.skip("the packages are not built by colcon; source install/setup.bash")


def actions(**given: str) -> list:
    """What the launch file would start."""
    description = PythonLaunchDescriptionSource(str(FILE)).get_launch_description(launch.LaunchContext())
    context = launch.LaunchContext()
    for argument in description.get_launch_arguments():
        context.launch_configurations[argument.name] = given.get(argument.name, argument.default_value[0].text)
    function = next(entity for entity in description.entities if isinstance(entity, OpaqueFunction))
    return function.execute(context)


def run(**given: str) -> int:
    service = launch.LaunchService(noninteractive=True)
    source = PythonLaunchDescriptionSource(str(FILE))
    service.include_launch_description(IncludeLaunchDescription(source, launch_arguments=given.items()))
    return asyncio.new_event_loop().run_until_complete(asyncio.wait_for(service.run_async(), 90))


def test_every_argument_is_described():
    description = PythonLaunchDescriptionSource(str(FILE)).get_launch_description(launch.LaunchContext())
    arguments = {argument.name: argument.description for argument in description.get_launch_arguments()}
    assert set(arguments) == set(System.__dataclass_fields__)
    assert all(len(text) > 10 for text in arguments.values())


def test_the_list_of_nodes_becomes_processes():
    found = [action for action in actions(policy=str(DEMO_POLICY), sim="true", foxglove="true", namespace="r1")]
    nodes = [action for action in found if isinstance(action, Node)]
    assert [node.node_executable for node in nodes] == [
        *("vm-sim", "vm-heightmap", "vm-policy-node", "vm-robot-state", "vm-foxglove", "vm-supervisor")
    ]


def test_a_simulation_runs_and_ends_by_itself(tmp_path):
    report = tmp_path / "sim.json"
    given = {"policy": str(DEMO_POLICY), "sim": "true", "auto": "false", "duration_s": "4.0"}
    assert run(**given, sim_report=str(report)) == 0
    assert json.loads(report.read_text())["simulated_s"] >= 4.0


def test_a_policy_that_is_none_ends_the_launch():
    assert run(policy="no_such_file.onnx", sim="true") != 0
