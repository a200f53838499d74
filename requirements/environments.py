"""The virtual environments: made anew unless sound, filled from the locks by pip."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from machine import TORCH_CPU_INDEX, half_installed, torch_attempts
from programs import ROOT, SetupError, call

VENV = ROOT / ".venv"
MEDIAPIPE_VENV = ROOT / ".venv-mediapipe"
PIP_VERSION = "25.3"  # older ones install editable scripts where setup.cfg sends colcon's, not into bin/
_REPAIR = Path(__file__).with_name("repair_ros_wheels.py")


def make(python: str, venv: Path) -> None:
    """Makes a virtual environment anew unless one lies there that works, and was made here."""
    if works(python, venv):
        return
    call([python, "-m", "venv", "--clear", str(venv)], f"{python} cannot make a virtual environment")
    pip(venv, f"pip=={PIP_VERSION}")


def works(python: str, venv: Path) -> bool:
    """Whether an environment is whole: of this Python, at this place, with the wanted pip."""
    interpreter, script = venv / "bin" / "python", venv / "bin" / "pip"
    if not interpreter.is_file() or not script.is_file():  # also a link to an interpreter that is gone
        return False
    if f"{venv}/bin/" not in script.read_text():  # scripts name the folder that the environment was made in
        return False
    version = _answer(python, "import sys; print(sys.version_info[:2])")
    return _answer(str(interpreter), "import sys, pip; print(sys.version_info[:2], pip.__version__)") == (
        f"{version} {PIP_VERSION}"
    )


def install_lock(venv: Path, lock: Path) -> None:
    """Installs exactly what a lock lists."""
    pip(venv, "--no-deps", "-r", str(lock))


def install_torch(lock: Path, build: str) -> None:
    """Installs the pinned torch in the wanted build ("cpu" or "cuda"), in place of another build."""
    pin = next(line for line in lock.read_text().splitlines() if line.startswith("torch=="))
    installed = list(VENV.glob("lib/python3*/site-packages/torch-*.dist-info"))
    if any(("+cpu" in info.name) != (build == "cpu") for info in installed):
        call([str(VENV / "bin" / "python"), "-m", "pip", "uninstall", "-y", "torch"], "removing torch failed")
    attempts = torch_attempts(pin, build)
    for number, arguments in enumerate(attempts, start=1):
        try:
            return pip(VENV, *arguments)
        except SetupError as error:
            if number == len(attempts):
                raise SetupError(_torch_help(build, str(error))) from None


def _torch_help(build: str, problem: str) -> str:
    if build == "cuda" or "disk is full" in problem:
        return problem
    return (
        f"no CPU build of torch, neither on the package index nor at {TORCH_CPU_INDEX}: let the network reach one of "
        "them, or take the CUDA build (6 GB more): VM_TORCH=cuda make setup"
    )


def install_ros(lock: Path) -> None:
    """Installs ROS 2 from wheels and mends them."""
    install_lock(VENV, lock)
    call([str(VENV / "bin" / "python"), str(_REPAIR)], "repairing the ROS 2 wheels failed")


def install_editable(folders: list[Path]) -> None:
    """Installs our packages so that their source is what runs."""
    arguments = [argument for folder in folders for argument in ("-e", str(folder))]
    pip(VENV, "--no-deps", "--no-build-isolation", *arguments)


def install_mediapipe(python: str, lock: Path) -> None:
    """Makes and fills the environment of the pose model."""
    make(python, MEDIAPIPE_VENV)
    install_lock(MEDIAPIPE_VENV, lock)


def pip(venv: Path, *arguments: str) -> None:
    """Runs `pip install`, after removing what an interrupted one has left."""
    for site in venv.glob("lib/python3*/site-packages"):
        for rest in half_installed(site):
            shutil.rmtree(rest)
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # a shell's own settings must not send packages elsewhere, nor a sourced ROS 2 pass for what is installed here
    clean = {"PYTHONPATH": "", "PYTHONNOUSERSITE": "1", "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    call([*command, *arguments], f"installing {_what(arguments)} failed", clean)


def _what(arguments: tuple[str, ...]) -> str:
    if "-e" in arguments:
        return "our packages"
    return Path(arguments[-1]).name if "-r" in arguments else next(a for a in arguments if "==" in a)


def _answer(python: str, program: str) -> str:
    asked = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or f"{python} does not run"
