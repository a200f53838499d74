"""The message packages, built by colcon: over a full ROS 2, or else over the wheels."""

from __future__ import annotations

import os
import shutil

from environments import VENV
from machine import Machine, packages_to_build
from programs import ROOT, STATE, SetupError, call

INSTALL = ROOT / "install"
MESSAGE_FOLDERS = (ROOT / "src" / "vm_msgs", ROOT / "src" / "interfaces")


def build(here: Machine) -> None:
    """Builds the message packages that the machine does not have."""
    build_base = ROOT / "build"
    for stale in (build_base, INSTALL):  # CMake's caches name the Python and the ROS 2 of the last build
        shutil.rmtree(stale, ignore_errors=True)
    wanted = packages_to_build(MESSAGE_FOLDERS, here.ros_prefixes or [VENV])
    if not wanted:
        return
    colcon, options, environment = _tools(here)
    command = [colcon, "--log-base", str(STATE / "colcon"), "build", "--merge-install"]
    command += ["--build-base", str(build_base), "--install-base", str(INSTALL), "--base-paths", *map(str, wanted)]
    command += ["--cmake-args", "-DBUILD_TESTING=OFF", *options]
    call(command, f"building {', '.join(path.name for path in wanted)} failed", environment)


def _tools(here: Machine) -> tuple[str, list[str], dict[str, str]]:
    """The colcon to build with, CMake's options and the variables."""
    if here.ros_prefixes:
        colcon = shutil.which("colcon")
        if colcon is None:
            raise SetupError("colcon is missing; run: sudo apt-get install -y python3-colcon-common-extensions")
        return colcon, [f"-DPython3_EXECUTABLE={here.python}"], {}
    options = ["-GNinja", f"-DPython3_EXECUTABLE={VENV / 'bin' / 'python'}", "-DPython3_FIND_VIRTUALENV=ONLY"]
    variables = {
        "PATH": f"{VENV / 'bin'}:{os.environ.get('PATH', '')}",
        "AMENT_PREFIX_PATH": str(VENV),
        "CMAKE_PREFIX_PATH": str(VENV),
        "LD_LIBRARY_PATH": str(VENV / "lib"),
        "PYTHONPATH": "",
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
    }
    return str(VENV / "bin" / "colcon"), options, variables
