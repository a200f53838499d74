"""What this machine is and what follows from it for the set-up: decisions only, no step is taken here.

Standard library alone, like install.py: both run before anything is installed (vm_core's ros_environment, too).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from vm_core.ros_environment import find_package

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 12)
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # the CPU builds; the package index itself has only CUDA's
APT_PACKAGES = (
    "libegl1",
    "libgl1",
    "libegl-mesa0",
    "libosmesa6",
    "libgl1-mesa-dri",
    "libglfw3",
    "libusb-1.0-0",
    "g++",
)
LIBRARIES = ("libEGL.so.1", "libOSMesa.so.8", "libusb-1.0.so.0")
_NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|Connection (refused|reset|aborted)|name resolution"
    r"|ProxyError|Network is unreachable|from versions: none|Could not resolve|Failed to fetch"
)
_NO_BUILD = re.compile(r"No matching distribution found for (\S+)")


class SetupError(Exception):
    """One line that says what to do."""


def check_python(version: Sequence[int]) -> None:
    """Raises SetupError unless `version` (major, minor, …) is a Python that the locks cover."""
    if not OLDEST_PYTHON <= tuple(version[:2]) <= NEWEST_PYTHON:
        found, oldest, newest = (".".join(map(str, v[:2])) for v in (version, OLDEST_PYTHON, NEWEST_PYTHON))
        raise SetupError(
            f"this is Python {found}, needed is {oldest} to {newest}; install one (Debian 12 and Ubuntu: "
            "apt-get install python3 python3-venv) or name it: make setup PYTHON3=/path/to/python3.11"
        )


def torch_build(environ: Mapping[str, str], which: Callable[[str], str | None] = shutil.which) -> str:
    """The build of torch for this machine: `$VM_TORCH` if set, "cuda" where NVIDIA's driver answers, else "cpu"."""
    given = environ.get("VM_TORCH")
    if given not in (None, "", "cpu", "cuda"):
        raise SetupError(f"VM_TORCH={given}; expected cpu or cuda")
    return given or ("cuda" if _nvidia_gpu(which("nvidia-smi")) else "cpu")


def _nvidia_gpu(program: str | None) -> bool:
    if program is None:
        return False
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
    return listed.returncode == 0 and "GPU 0" in listed.stdout


def torch_attempts(pin: str, build: str) -> list[list[str]]:
    """pip's arguments, to be tried in this order; `pin` is `torch==VERSION`.

    The CPU build's dependencies are all in base.txt; the CUDA build's (its libraries) are its own.
    """
    cpu = ["--no-deps", f"{pin}+cpu"]
    return [[pin]] if build == "cuda" else [cpu, [*cpu, "--index-url", TORCH_CPU_INDEX]]


def missing_libraries(ldconfig: str, has_compiler: bool) -> list[str]:
    """What of the needed system libraries and the C++ compiler `ldconfig -p` and PATH do not show."""
    return [name for name in LIBRARIES if name not in ldconfig] + ([] if has_compiler else ["g++"])


def apt_line(python: Sequence[int]) -> str:
    """The one line that installs all system packages."""
    return f"apt-get install -y {' '.join(APT_PACKAGES)} python{python[0]}.{python[1]}-venv"


def check_disk(free_gb: float, needed_gb: float, folder: Path) -> None:
    """Raises SetupError when the steps that are still to do do not fit."""
    if free_gb < needed_gb:
        raise SetupError(
            f"{free_gb:.1f} GB free on the disk of {folder}, the set-up still needs {needed_gb:.1f} GB; "
            "make room and run it again"
        )


def cause_of(output: str) -> str:
    """Why a program failed and what to do, from what it printed; its last line where nothing is recognized."""
    if "No space left on device" in output or "Errno 28" in output:
        return "the disk is full: make room (also where TMPDIR points) and run it again"
    if "externally-managed" in output or "ensurepip" in output:
        return "Python has no venv module: apt-get install python3-venv, then run it again"
    if _NO_NETWORK.search(output):
        return "the package index does not answer: check network, proxy and `pip config list`, then run it again"
    if unbuilt := _NO_BUILD.search(output):
        return f"the package index has no {unbuilt[1]} for this Python and processor: use Python 3.11 on x86-64"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it printed nothing"


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
