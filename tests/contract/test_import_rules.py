"""Who may import whom (the table of the design), checked on the source of every package."""

import ast
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
OURS = ("vm_core", "vm_sim", "vm_reconstruction", "vm_training", "vm_heightmap", "vm_policy_node")
ROS = {
    *("rclpy", "vm_msgs", "unitree_hg", "livox_ros_driver2", "std_msgs", "std_srvs", "sensor_msgs", "nav_msgs"),
    *("geometry_msgs", "diagnostic_msgs", "builtin_interfaces", "rcl_interfaces", "lifecycle_msgs", "tf2_msgs"),
    *("visualization_msgs", "launch", "launch_ros", "unitree_api"),
}
ALLOWED_OURS = {
    "vm_core": set(),
    "vm_sim": {"vm_core"},
    "vm_reconstruction": {"vm_core", "vm_sim"},
    "vm_training": {"vm_core", "vm_sim"},
    "vm_heightmap": {"vm_core"},
    "vm_policy_node": {"vm_core"},
}
FORBIDDEN = {
    "vm_core": {"torch", "mujoco", "scipy", "onnx", "onnxruntime", "tyro"},
    "vm_sim": {"torch"},
    "vm_reconstruction": set(),
    "vm_training": set(),
    "vm_heightmap": {"torch", "mujoco"},
    "vm_policy_node": {"torch", "mujoco"},
}
# NAME_node.py: one program each, started as a process of its own.
NODE_FILES = ("_node.py", "_topics.py", "ros_conversions.py")


def python_files(package: str) -> list[Path]:
    return sorted((SOURCE / package / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of all absolute imports, those inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", OURS)
def test_imports_go_one_way(package):
    files = python_files(package)
    if not files:
        pytest.fail(f"{package} has no Python files")
    for path in files:
        names = imported(path)
        strangers = (names & set(OURS)) - ALLOWED_OURS[package] - {package}
        # the evaluation of a policy may use the ROS-free part of the height map
        if package == "vm_training" and path.name == "evaluate.py":
            strangers -= {"vm_heightmap"}
        assert not strangers, f"{path}: imports {strangers}"
        assert not names & FORBIDDEN[package], f"{path}: imports {names & FORBIDDEN[package]}"
        if not path.name.endswith(NODE_FILES):
            assert not names & ROS, f"{path}: only node files may import {names & ROS}"


def test_core_needs_numpy_alone():
    for path in python_files("vm_core"):
        foreign = imported(path) - set(sys.stdlib_module_names) - {"numpy", "array_api_compat", "vm_core"}
        assert not foreign, f"{path}: imports {foreign}"
