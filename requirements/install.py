"""Sets a machine up for this project: `python3 requirements/install.py` (what `make setup` runs).

Uses the standard library alone. Each step is skipped when its inputs have not changed since it last succeeded, can be
interrupted at any time, and is logged with its time in `.setup/log.txt`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src" / "vm_core"))

import environments
import machine
import messages
from environments import MEDIAPIPE_VENV, PIP_VERSION, VENV
from machine import Machine
from messages import INSTALL, MESSAGE_FOLDERS
from programs import ROOT, STATE, SetupError, call, cause_of
from steps import Step, alone, run_steps

from vm_core.ros_environment import full_ros_prefixes

REQUIREMENTS = ROOT / "requirements"


def main() -> int:
    """Runs all steps that are not done; returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        machine.check_python(sys.version_info[:2])
        STATE.mkdir(exist_ok=True)
        with alone():
            run_steps(steps(look()))
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"setup: {cause_of(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


def look() -> Machine:
    """What this machine is.

    Raises:
        SetupError: a sourced ROS 2 without its Python, or a wrong $VM_TORCH.
    """
    prefixes = full_ros_prefixes(os.environ, (VENV, INSTALL))
    if not prefixes:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return Machine(sys.executable, version, *machine.torch_choice(os.environ), ())
    version = machine.python_of_ros(prefixes)
    machine.check_python([int(part) for part in version.split(".")])
    python = shutil.which(f"python{version}")
    if python is None:
        raise SetupError(f"the sourced ROS 2 needs Python {version}; run: sudo apt-get install -y python{version}-venv")
    return Machine(python, version, *machine.torch_choice(os.environ), tuple(prefixes))


def steps(here: Machine) -> list[Step]:
    """The ordered list."""
    lock = {name: REQUIREMENTS / f"{name}.txt" for name in ("base", "torch", "ros", "mediapipe")}
    packages = tuple(sorted(ROOT.glob("src/*/setup.py")))
    sources = tuple(sorted(p for folder in MESSAGE_FOLDERS for p in folder.rglob("*") if p.is_file()))
    python, version, build = here.python, here.python_version, here.torch_build
    ros = Step(
        "ROS 2 from wheels", lambda: environments.install_ros(lock["ros"]), VENV, (lock["ros"],), (version,), 0.6
    )
    return [
        Step("system libraries", lambda: system_libraries(here), ROOT, (REQUIREMENTS / "machine.py",), (version,)),
        Step("virtual environment", lambda: environments.make(python, VENV), VENV, (), (version, PIP_VERSION), 0.1),
        Step(
            "torch",
            lambda: environments.install_torch(lock["torch"], build),
            VENV,
            (lock["torch"],),
            (version, build),
            8.0 if build == "cuda" else 1.2,
            f"{build} build: {here.torch_reason}",
        ),
        Step(
            "python packages",
            lambda: environments.install_lock(VENV, lock["base"]),
            VENV,
            (lock["base"],),
            (version, build),  # the CUDA build's own dependencies change versions that this lock sets right again
            2.4,
        ),
        *([] if here.ros_prefixes else [ros]),
        Step(
            "our packages",
            lambda: environments.install_editable([setup.parent for setup in packages]),
            VENV,
            packages,
            (version,),
        ),
        Step("message packages", lambda: messages.build(here), INSTALL, sources, (version, here.ros_prefixes), 0.1),
        Step(
            "mediapipe environment",
            lambda: environments.install_mediapipe(python, lock["mediapipe"]),
            MEDIAPIPE_VENV,
            (lock["mediapipe"],),
            (version, PIP_VERSION),
            1.5,
        ),
    ]


def system_libraries(here: Machine) -> None:
    """Installs what is missing by apt when root; else says the line that does.

    Raises:
        SetupError: something is missing and stays so.
    """
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    missing = machine.missing_parts(known, shutil.which("g++") is not None, machine.python_parts(here.python))
    if not missing:
        return
    line = machine.apt_line(missing, here.python_version)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(f"missing: {', '.join(missing)}; run this and then make again: sudo {line}")
    call(["apt-get", "update", "-qq"], "apt-get update failed")
    call(line.split(), "apt-get could not install the system libraries", {"DEBIAN_FRONTEND": "noninteractive"})


if __name__ == "__main__":
    sys.exit(main())
