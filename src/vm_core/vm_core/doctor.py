"""`vm-doctor`: what this installation consists of, what is missing and how to get it."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vm_core.command_line import run
from vm_core.ros_environment import find_package, has_full_ros, message_install

_DISTRIBUTIONS = ("numpy", "mujoco", "mink", "torch", "onnxruntime", "numba", "opencv-python-headless", "ros-rclpy")
_SETUP = "run `make setup`"


@dataclass(frozen=True)
class Finding:
    """One line of the report: a name, whether all is well, what was found, and what to do if it is not."""

    name: str
    good: bool
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{'ok  ' if self.good else 'MISS'} {self.name:<26} {self.found}"
        return line if self.good or not self.remedy else f"{line}\n     → {self.remedy}"


def examine() -> list[Finding]:
    """All findings, in the order in which they are printed."""
    checks: tuple[Callable[[], Finding | list[Finding]], ...] = (
        _python,
        _machine,
        _packages,
        _g1_model,
        _ros,
        _mediapipe,
        _graphics,
        _gpu,
    )
    findings: list[Finding] = []
    for check in checks:
        result = check()
        findings += result if isinstance(result, list) else [result]
    return findings


def _python() -> Finding:
    good = (3, 10) <= sys.version_info[:2] <= (3, 12)
    return Finding(
        "Python", good, f"{platform.python_version()} at {sys.prefix}", "use Python 3.11 (3.10 to 3.12 work)"
    )


def _machine() -> Finding:
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "?") if Path("/etc/os-release").exists() else "?"
    return Finding("machine", True, f"{system}, {platform.machine()}, {os.cpu_count()} processors")


def _packages() -> list[Finding]:
    findings = []
    for name in _DISTRIBUTIONS:
        try:
            findings.append(Finding(name, True, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            full_ros = name == "ros-rclpy" and has_full_ros()
            findings.append(Finding(name, full_ros, "from the full ROS 2" if full_ros else "not installed", _SETUP))
    return findings


def _g1_model() -> Finding:
    given = os.environ.get("VM_G1_MODEL")
    wheel = importlib.util.find_spec("mjlab")
    found = given or (f"mjlab {importlib.metadata.version('mjlab')}" if wheel else "no model")
    good = Path(given).is_file() if given else wheel is not None
    return Finding("G1 model", good, found, "`pip install --no-deps mjlab`, or set VM_G1_MODEL to the G1's MJCF")


def _ros() -> list[Finding]:
    flavour = f"full ROS 2 {os.environ['ROS_DISTRO']}" if has_full_ros() else "Kilted from wheels"
    install = message_install()
    prefixes = [Path(part) for part in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part]
    found = find_package("vm_msgs", [install, *prefixes])
    return [
        Finding("ROS 2", True, flavour),
        Finding("message packages", found is not None, str(found or "not built"), _SETUP),
    ]


def _mediapipe() -> Finding:
    python = Path(sys.prefix).parent / ".venv-mediapipe" / "bin" / "python"
    return Finding(
        "MediaPipe environment", python.exists(), str(python.parent.parent) if python.exists() else "none", _SETUP
    )


def _graphics() -> Finding:
    libraries = {"egl": "EGL", "osmesa": "OSMesa"}
    there = [name for name, library in libraries.items() if ctypes.util.find_library(library)]
    chosen = os.environ.get("MUJOCO_GL", "chosen by the renderer")
    return Finding(
        "OpenGL without a screen",
        bool(there),
        f"{', '.join(there) or 'none'} (MUJOCO_GL: {chosen})",
        "install libegl1 libegl-mesa0 libosmesa6",
    )


def _gpu() -> Finding:
    program = shutil.which("nvidia-smi")
    if program is None:
        return Finding("GPU", True, "none; everything runs on the processor")
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    result = subprocess.run(query, capture_output=True, text=True, check=False, timeout=20)
    return Finding("GPU", True, result.stdout.strip() or "nvidia-smi gives no answer")


def main() -> None:
    """Prints all findings; exit code 1 when something is missing."""

    def report() -> int:
        findings = examine()
        print("\n".join(str(finding) for finding in findings))
        return 0 if all(finding.good for finding in findings) else 1

    run(report)


if __name__ == "__main__":
    main()
