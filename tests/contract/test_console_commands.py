"""Every console command starts in a shell that knows nothing of ROS."""

import re
from pathlib import Path

import pytest
from test_import_rules import ROS, imported

SOURCE = Path(__file__).resolve().parents[2] / "src"
ENTRY = re.compile(r'"(vm-[\w-]+) = ([\w.]+):(\w+)"')
SETUPS = sorted(SOURCE.glob("*/setup.py"))
COMMANDS = [(path.parent, *found) for path in SETUPS for found in ENTRY.findall(path.read_text())]


def file_of(package: Path, module: str) -> Path:
    return package / Path(*module.split(".")).with_suffix(".py")


@pytest.mark.parametrize(("package", "command", "module", "function"), COMMANDS, ids=lambda value: str(value))
def test_its_module_imports_without_ros(package, command, module, function):
    assert not imported(file_of(package, module)) & ROS, f"{command}: let vm_core.ros_environment.run_in_ros start it"
    assert function in file_of(package, module).read_text()


@pytest.mark.parametrize("path", sorted(SOURCE.glob("*/*/commands.py")), ids=lambda path: path.parent.name)
def test_what_it_starts_is_there(path):
    modules = re.findall(r'run_in_ros, "([\w.]+)"', path.read_text())
    assert modules
    for module in modules:
        assert "def main()" in file_of(path.parents[1], module).read_text(), module
