"""Sets a machine up for this project: `python3 requirements/install.py` (what `make setup` runs).

Uses the standard library alone. Each step is skipped when its inputs have not changed since it last succeeded, can be
interrupted at any time, and is logged with its time in `.setup/log.txt`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMPS = ROOT / ".setup"
VENV = ROOT / ".venv"
MEDIAPIPE_VENV = ROOT / ".venv-mediapipe"
REQUIREMENTS = ROOT / "requirements"
SUPPORTED_PYTHONS = ("3.11", "3.10", "3.12")
FREE_DISK_GB = 6
PIP_VERSION = "25.3"  # older ones install editable scripts where setup.cfg sends colcon's, not into bin/
APT_PACKAGES = (
    "libegl1",
    "libgl1",
    "libegl-mesa0",
    "libosmesa6",
    "libgl1-mesa-dri",
    "libglfw3",
    "libusb-1.0-0",
    "g++",
    "python3-venv",
)
LIBRARY_OF_PACKAGE = {"libegl1": "libEGL.so.1", "libosmesa6": "libOSMesa.so.8", "libusb-1.0-0": "libusb-1.0.so.0"}
MESSAGE_FOLDERS = (ROOT / "src" / "vm_msgs", ROOT / "src" / "interfaces")


class SetupError(Exception):
    """One line that says what to do."""


@dataclass(frozen=True)
class Step:
    """A step: its name, what it depends on, what it does, and what must exist for it to count as done."""

    name: str
    inputs: tuple[Path, ...]
    action: Callable[[], None]
    product: Path


def main() -> int:
    """Runs all steps; returns the exit code."""
    STAMPS.mkdir(exist_ok=True)
    try:
        python = _find_python()
        for step in _steps(python):
            _run_step(step, python)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


def _steps(python: str) -> list[Step]:
    packages = tuple(sorted(ROOT.glob("src/*/setup.py")))
    messages = tuple(sorted(p for folder in MESSAGE_FOLDERS for p in folder.rglob("*") if p.is_file()))
    locks = {name: REQUIREMENTS / f"{name}.txt" for name in ("base", "torch", "ros", "mediapipe")}
    return [
        Step("system libraries", (Path(__file__),), _system_libraries, STAMPS),
        Step("virtual environment", (), lambda: _venv(python, VENV), VENV / "bin" / "python"),
        Step("torch", (locks["torch"],), lambda: _pip(VENV, locks["torch"], deps=True), VENV),
        Step("python packages", (locks["base"],), lambda: _pip(VENV, locks["base"]), VENV),
        Step("ROS 2 from wheels", (locks["ros"],), lambda: _ros(locks["ros"]), VENV),
        Step("our packages", packages, lambda: _editable(packages), VENV / "bin" / "vm-ros-env"),
        Step("message packages", messages, _colcon, ROOT / "install"),
        Step(
            "mediapipe environment",
            (locks["mediapipe"],),
            lambda: _mediapipe(python, locks["mediapipe"]),
            MEDIAPIPE_VENV,
        ),
    ]


def _run_step(step: Step, python: str) -> None:
    stamp = STAMPS / (step.name.replace(" ", "_") + ".done")
    digest = hashlib.sha256(python.encode())
    for path in step.inputs:
        digest.update(path.read_bytes())
    if stamp.exists() and stamp.read_text() == digest.hexdigest() and step.product.exists():
        return
    print(f"setup: {step.name} …", flush=True)
    start = time.monotonic()
    step.action()
    if not step.product.exists():
        raise SetupError(f"{step.name} ran, but {step.product} is missing; remove {VENV} and run it again")
    temporary = stamp.with_suffix(".tmp")
    temporary.write_text(digest.hexdigest())
    temporary.replace(stamp)
    line = f"{step.name}: {time.monotonic() - start:.1f} s"
    print(f"setup: {line}", flush=True)
    with (STAMPS / "log.txt").open("a") as log:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")


def _find_python() -> str:
    for version in SUPPORTED_PYTHONS:
        for name in (f"python{version}", "python3"):
            path = shutil.which(name)
            if path and _version_of(path) == version:
                return path
    raise SetupError(f"no Python {', '.join(SUPPORTED_PYTHONS)} found (this is {sys.version.split()[0]}); install one")


def _version_of(python: str) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=False).stdout.strip()


def _system_libraries() -> None:
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if free_gb < FREE_DISK_GB and not VENV.exists():
        raise SetupError(f"{free_gb:.1f} GB free on the disk of {ROOT}; set-up needs {FREE_DISK_GB} GB")
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    if all(library in known for library in LIBRARY_OF_PACKAGE.values()) and shutil.which("g++"):
        return
    line = f"apt-get install -y {' '.join(APT_PACKAGES)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(f"system libraries are missing; run: sudo {line}")
    _call(["apt-get", "update", "-qq"], "apt-get update failed: is there a network?")
    _call(line.split(), "apt-get could not install the system libraries", {"DEBIAN_FRONTEND": "noninteractive"})


def _venv(python: str, venv: Path) -> None:
    if venv.exists():
        return
    temporary = venv.with_name(venv.name + ".partial")
    shutil.rmtree(temporary, ignore_errors=True)
    _call([python, "-m", "venv", str(temporary)], f"{python} cannot make a virtual environment; install python3-venv")
    shutil.rmtree(temporary)  # proven to work; scripts hold absolute paths, so the real one is made in place
    _call([python, "-m", "venv", str(venv)], f"cannot make {venv}")
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", f"pip=={PIP_VERSION}"]
    _call(pip, "updating pip failed: is there a network?")


def _pip(venv: Path, lock: Path, *, deps: bool = False) -> None:
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += [] if deps else ["--no-deps"]
    _call([*command, "-r", str(lock)], f"installing {lock.name} failed: is there a network, and disk space?")


def _ros(lock: Path) -> None:
    _pip(VENV, lock)
    _call(
        [str(VENV / "bin" / "python"), str(REQUIREMENTS / "repair_ros_wheels.py")], "repairing the ROS 2 wheels failed"
    )


def _editable(packages: tuple[Path, ...]) -> None:
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    flags = ["--no-deps", "--no-build-isolation"]
    folders = [argument for setup in packages for argument in ("-e", str(setup.parent))]
    _call([*pip, *flags, *folders], "installing the project's own packages failed")


def _colcon() -> None:
    env = {
        "PATH": f"{VENV / 'bin'}:{os.environ.get('PATH', '')}",
        "AMENT_PREFIX_PATH": str(VENV),
        "CMAKE_PREFIX_PATH": str(VENV),
        "LD_LIBRARY_PATH": str(VENV / "lib"),
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
    }
    command = [str(VENV / "bin" / "colcon"), "--log-base", str(STAMPS / "colcon"), "build", "--merge-install"]
    command += ["--build-base", str(ROOT / "build"), "--install-base", str(ROOT / "install")]
    command += ["--base-paths", *map(str, MESSAGE_FOLDERS), "--cmake-args", "-GNinja", "-DBUILD_TESTING=OFF"]
    command += [f"-DPython3_EXECUTABLE={VENV / 'bin' / 'python'}", "-DPython3_FIND_VIRTUALENV=ONLY"]
    _call(command, f"building the message packages failed; see {STAMPS / 'colcon'}", env)


def _mediapipe(python: str, lock: Path) -> None:
    _venv(python, MEDIAPIPE_VENV)
    _pip(MEDIAPIPE_VENV, lock)


def _call(command: list[str], problem: str, env: dict[str, str] | None = None) -> None:
    output = STAMPS / "last_command.txt"
    with output.open("w") as stream:
        result = subprocess.run(
            command, stdout=stream, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, check=False, cwd=ROOT
        )
    if result.returncode:
        tail = [line for line in output.read_text(errors="replace").splitlines() if line.strip()][-1:]
        raise SetupError(f"{problem} ({' '.join(tail)[:300]}; all output: {output})")


if __name__ == "__main__":
    sys.exit(main())
