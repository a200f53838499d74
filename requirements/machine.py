"""What this machine is and what follows from it for the set-up: decisions only, no step is taken here.

Standard library alone, like install.py: both run before anything is installed (vm_core's ros_environment, too).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from programs import SetupError

from vm_core.ros_environment import find_package

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 12)
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # the CPU builds; the package index itself has only CUDA's
APT_PACKAGES = {  # what is looked for → the Debian and Ubuntu packages that bring it
    "libEGL.so.1": ("libegl1", "libegl-mesa0", "libgl1-mesa-dri"),
    "libGL.so.1": ("libgl1",),
    "libOSMesa.so.8": ("libosmesa6",),
    "g++": ("g++",),
    "Python.h": ("python{version}-dev",),
    "ensurepip": ("python{version}-venv",),
}
LIBRARIES = tuple(name for name in APT_PACKAGES if name.startswith("lib"))
_LOOK_AT_PYTHON = """
import importlib.util, pathlib, sysconfig
print("Python.h" if (pathlib.Path(sysconfig.get_paths()["include"]) / "Python.h").is_file() else "")
print("ensurepip" if importlib.util.find_spec("ensurepip") else "")
"""
_ANSWER_S = 20.0


@dataclass(frozen=True)
class Machine:
    """What was found here: the interpreter for the environments, the build of torch, a sourced full ROS 2."""

    python: str
    python_version: str  # "3.11"
    torch_build: str  # "cpu" or "cuda"
    torch_reason: str
    ros_prefixes: tuple[Path, ...]  # empty: ROS 2 comes from wheels


def check_python(version: Sequence[int]) -> None:
    """Raises SetupError unless `version` (major, minor, …) is a Python that the locks cover."""
    if not OLDEST_PYTHON <= tuple(version[:2]) <= NEWEST_PYTHON:
        found, oldest, newest = (".".join(map(str, v[:2])) for v in (version, OLDEST_PYTHON, NEWEST_PYTHON))
        raise SetupError(
            f"this is Python {found}, needed is {oldest} to {newest}; install one (Debian 12 and Ubuntu: "
            "apt-get install python3 python3-venv) or name it: make setup PYTHON3=/path/to/python3.11"
        )


def torch_choice(environ: Mapping[str, str], which: Callable[[str], str | None] = shutil.which) -> tuple[str, str]:
    """The build of torch and why: `$VM_TORCH` if set, "cuda" where NVIDIA's driver answers, else "cpu"."""
    given = environ.get("VM_TORCH")
    if given not in (None, "", "cpu", "cuda"):
        raise SetupError(f"VM_TORCH={given}; expected cpu or cuda")
    if given:
        return given, "VM_TORCH says so"
    if _nvidia_gpu(which("nvidia-smi")):
        return "cuda", "nvidia-smi lists a GPU"
    return "cpu", "no NVIDIA GPU answers"


def _nvidia_gpu(program: str | None) -> bool:
    if program is None:
        return False
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False, timeout=_ANSWER_S)
    except (OSError, subprocess.TimeoutExpired):  # a driver that hangs is as good as none
        return False
    return listed.returncode == 0 and "GPU 0" in listed.stdout


def torch_attempts(pin: str, build: str) -> list[list[str]]:
    """pip's arguments, to be tried in this order; `pin` is `torch==VERSION`.

    The CPU build's dependencies are all in base.txt; the CUDA build's (its libraries) are its own.
    """
    cpu = ["--no-deps", f"{pin}+cpu"]
    return [[pin]] if build == "cuda" else [cpu, [*cpu, "--index-url", TORCH_CPU_INDEX]]


def missing_parts(ldconfig: str, has_compiler: bool, of_python: Iterable[str]) -> list[str]:
    """What the machine lacks of APT_PACKAGES' keys.

    Args:
        ldconfig: what `ldconfig -p` prints.
        has_compiler: whether g++ is on the PATH.
        of_python: what `python_parts` found.
    """
    there = {name for name in LIBRARIES if name in ldconfig} | ({"g++"} if has_compiler else set()) | set(of_python)
    return [name for name in APT_PACKAGES if name not in there]


def python_parts(python: str) -> list[str]:
    """Which of "Python.h" (to build the message packages) and "ensurepip" (for venv) an interpreter has."""
    asked = subprocess.run([python, "-c", _LOOK_AT_PYTHON], capture_output=True, text=True, check=False)
    return asked.stdout.split()


def apt_line(missing: Iterable[str], python_version: str) -> str:
    """The one line that installs what is missing; `python_version` is "3.X"."""
    packages = [package.format(version=python_version) for name in missing for package in APT_PACKAGES[name]]
    return f"apt-get install -y --no-install-recommends {' '.join(packages)}"


def packages_to_build(folders: Iterable[Path], prefixes: Sequence[Path]) -> list[Path]:
    """The message packages among `folders` that no install prefix of the machine lists in its ament index."""
    packages = sorted(xml.parent for folder in folders for xml in folder.rglob("package.xml"))
    return [package for package in packages if find_package(package.name, prefixes) is None]


def python_of_ros(prefixes: Sequence[Path]) -> str:
    """`3.X` of the Python that a full ROS 2 installation has its rclpy for."""
    for folder in ("lib/python3.*/site-packages", "local/lib/python3.*/dist-packages"):
        for found in (path for prefix in prefixes for path in prefix.glob(f"{folder}/rclpy")):
            return found.parent.parent.name.removeprefix("python")
    raise SetupError(f"ROS 2 is sourced, but no rclpy lies in {', '.join(map(str, prefixes))}; source its setup.bash")


def half_installed(site_packages: Path) -> list[Path]:
    """What an interrupted pip left: distributions without a list of their files, and folders set aside for removal."""
    unlisted = {info for info in site_packages.glob("*.dist-info") if not (info / "RECORD").is_file()}
    return sorted(path for path in unlisted.union(site_packages.glob("~*")) if path.is_dir())
