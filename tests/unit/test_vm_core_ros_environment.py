"""Commands that need ROS find its environment by themselves, and leave one that is there alone."""

import importlib.util
import os
import sys

import pytest

from vm_core import ros_environment
from vm_core.errors import VmError


@pytest.fixture
def replaced(monkeypatch) -> list:
    """By what the process would have been replaced."""
    found: list = []
    monkeypatch.setattr(os, "execve", lambda *arguments: found.append(arguments))
    monkeypatch.setattr(ros_environment, "ros_environment", lambda: {**os.environ, "LD_LIBRARY_PATH": "/ros"})
    return found


def without(monkeypatch, *names: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else object())


def test_where_ros_imports_nothing_happens(replaced, monkeypatch):
    without(monkeypatch)
    ros_environment.enter()
    assert replaced == []


@pytest.mark.parametrize("missing", [("rclpy", "vm_msgs"), ("vm_msgs",)])
def test_else_the_same_command_starts_again_in_the_environment(replaced, monkeypatch, missing):
    without(monkeypatch, *missing)
    monkeypatch.setattr(sys, "orig_argv", ["python", "/bin/vm-sim", "--scene", "a b"])
    ros_environment.enter()
    [(program, arguments, env)] = replaced
    assert (program, arguments) == (sys.executable, [sys.executable, "/bin/vm-sim", "--scene", "a b"])
    assert env["LD_LIBRARY_PATH"] == "/ros"


def test_but_only_once(replaced, monkeypatch):
    without(monkeypatch, "vm_msgs")
    monkeypatch.setattr(ros_environment, "ros_environment", lambda: dict(os.environ))
    with pytest.raises(VmError, match="vm_msgs cannot be imported; run `make setup` or"):
        ros_environment.enter()
    assert replaced == []


def test_nothing_built_is_one_line_of_the_command(monkeypatch, capsys):
    def not_built() -> dict:
        raise VmError("install: message packages are not built; run `make setup`")

    without(monkeypatch, "vm_msgs")
    monkeypatch.setattr(ros_environment, "ros_environment", not_built)
    with pytest.raises(SystemExit) as ended:
        ros_environment.run_in_ros("vm_sim.robot_node")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: install: message packages are not built; run `make setup`\n"
