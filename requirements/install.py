"""Sets a machine up for this project: `python3 requirements/install.py` (what `make setup` runs).

Uses the standard library alone. Each step is skipped when its inputs have not changed since it last succeeded, can be
interrupted at any time, and is logged with its time in `.setup/log.txt`. A step's mark lies in the folder that the
step fills, so that removing the folder is enough to have the step done again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src" / "vm_core"))

import machine  # noqa: E402
from machine import SetupError  # noqa: E402

from vm_core.ros_environment import full_ros_prefixes  # noqa: E402

STATE = ROOT / ".setup"
VENV = ROOT / ".venv"
MEDIAPIPE_VENV = ROOT / ".venv-mediapipe"
INSTALL = ROOT / "install"
REQUIREMENTS = ROOT / "requirements"
PIP_VERSION = "25.3"  # older ones install editable scripts where setup.cfg sends colcon's, not into bin/
MESSAGE_FOLDERS = (ROOT / "src" / "vm_msgs", ROOT / "src" / "interfaces")
GRACE_S = 5.0


@dataclass(frozen=True)
class Machine:
    """What was found here: the interpreter for the environments, the build of torch, a sourced full ROS 2."""

    python: str
    python_version: str  # "3.11"
    torch_build: str  # "cpu" or "cuda"
    ros_prefixes: tuple[Path, ...]  # empty: ROS 2 comes from wheels


@dataclass(frozen=True)
class Step:
    """A step: its name, what it does, the folder it fills, what it depends on and the disk space it takes."""

    name: str
    action: Callable[[], None]
    folder: Path
    files: tuple[Path, ...] = ()
    facts: tuple[object, ...] = ()
    disk_gb: float = 0.0

    @property
    def mark(self) -> Path:
        return self.folder / ".setup" / (self.name.replace(" ", "_") + ".done")

    def digest(self) -> str:
        content = [repr((ROOT, self.facts)).encode(), *(path.read_bytes() for path in self.files)]
        return hashlib.sha256(b"".join(content)).hexdigest()

    def done(self) -> bool:
        return self.mark.is_file() and self.mark.read_text() == self.digest()


def main() -> int:
    """Runs all steps that are not done; returns the exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        machine.check_python(sys.version_info[:2])
        STATE.mkdir(exist_ok=True)
        with _alone():
            _run(_steps(_look()))
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"setup: {machine.cause_of(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One set-up at a time; programs that a killed one left running count, as they inherit the lock."""
    with (STATE / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("setup: another set-up is at work in this folder; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _look() -> Machine:
    prefixes = full_ros_prefixes(os.environ, (VENV, INSTALL))
    if not prefixes:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return Machine(sys.executable, version, machine.torch_build(os.environ), ())
    version = machine.python_of_ros(prefixes)
    machine.check_python([int(part) for part in version.split(".")])
    python = shutil.which(f"python{version}")
    if python is None:
        raise SetupError(f"the sourced ROS 2 needs Python {version}; run: sudo apt-get install -y python{version}-venv")
    return Machine(python, version, machine.torch_build(os.environ), tuple(prefixes))


def _steps(here: Machine) -> list[Step]:
    packages = tuple(sorted(ROOT.glob("src/*/setup.py")))
    messages = tuple(sorted(p for folder in MESSAGE_FOLDERS for p in folder.rglob("*") if p.is_file()))
    lock = {name: REQUIREMENTS / f"{name}.txt" for name in ("base", "torch", "ros", "mediapipe")}
    python, version, build = here.python, here.python_version, here.torch_build
    torch_gb = 8.0 if build == "cuda" else 1.2
    ros = Step("ROS 2 from wheels", lambda: _ros(lock["ros"]), VENV, (lock["ros"],), (version,), 0.6)
    return [
        Step("system libraries", _system_libraries, ROOT, (REQUIREMENTS / "machine.py",)),
        Step("virtual environment", lambda: _venv(python, VENV), VENV, (), (version, PIP_VERSION), 0.1),
        Step("torch", lambda: _torch(lock["torch"], build), VENV, (lock["torch"],), (version, build), torch_gb),
        Step("python packages", lambda: _locked(VENV, lock["base"]), VENV, (lock["base"],), (version,), 2.4),
        *([] if here.ros_prefixes else [ros]),
        Step("our packages", lambda: _editable(packages), VENV, packages, (version,)),
        Step("message packages", lambda: _colcon(here), INSTALL, messages, (version, here.ros_prefixes), 0.1),
        Step(
            "mediapipe environment",
            lambda: _mediapipe(python, lock["mediapipe"]),
            MEDIAPIPE_VENV,
            (lock["mediapipe"],),
            (version, PIP_VERSION),
            1.5,
        ),
    ]


def _run(steps: list[Step]) -> None:
    needed_gb = sum(step.disk_gb for step in steps if not step.done())
    machine.check_disk(shutil.disk_usage(ROOT).free / 1e9, needed_gb, ROOT)
    for step in (step for step in steps if not step.done()):
        print(f"setup: {step.name} …", flush=True)
        start = time.monotonic()
        step.action()
        step.mark.parent.mkdir(parents=True, exist_ok=True)
        temporary = step.mark.with_suffix(".tmp")
        temporary.write_text(step.digest())
        temporary.replace(step.mark)
        line = f"{step.name}: {time.monotonic() - start:.1f} s"
        print(f"setup: {line}", flush=True)
        with (STATE / "log.txt").open("a") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")


def _system_libraries() -> None:
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    missing = machine.missing_libraries(known, has_compiler=shutil.which("g++") is not None)
    if not missing:
        return
    line = machine.apt_line(sys.version_info[:2])
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(f"missing: {', '.join(missing)}; run this and then make again: sudo {line}")
    _call(["apt-get", "update", "-qq"], "apt-get update failed")
    _call(line.split(), "apt-get could not install the system libraries", {"DEBIAN_FRONTEND": "noninteractive"})


def _venv(python: str, venv: Path) -> None:
    """Makes a virtual environment anew unless one lies there that works, and was made here."""
    if _venv_works(python, venv):
        return
    _call([python, "-m", "venv", "--clear", str(venv)], f"{python} cannot make a virtual environment")
    _pip(venv, f"pip=={PIP_VERSION}")


def _venv_works(python: str, venv: Path) -> bool:
    interpreter, script = venv / "bin" / "python", venv / "bin" / "pip"
    if not interpreter.is_file() or not script.is_file():  # also a link to an interpreter that is gone
        return False
    if f"{venv}/bin/" not in script.read_text():  # scripts name the folder that the environment was made in
        return False
    ask = "import sys, pip; print(sys.version_info[:2], pip.__version__)"
    version = subprocess.run([python, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True)
    found = subprocess.run([str(interpreter), "-c", ask], capture_output=True, text=True, check=False)
    return found.stdout.strip() == f"{version.stdout.strip()} {PIP_VERSION}"


def _torch(lock: Path, build: str) -> None:
    pin = next(line for line in lock.read_text().splitlines() if line.startswith("torch=="))
    installed = list(VENV.glob("lib/python3*/site-packages/torch-*.dist-info"))
    if any(("+cpu" in info.name) != (build == "cpu") for info in installed):
        _call([str(VENV / "bin" / "python"), "-m", "pip", "uninstall", "-y", "torch"], "removing torch failed")
    attempts = machine.torch_attempts(pin, build)
    for number, arguments in enumerate(attempts, start=1):
        try:
            return _pip(VENV, *arguments)
        except SetupError:
            if number == len(attempts):
                raise


def _locked(venv: Path, lock: Path) -> None:
    _pip(venv, "--no-deps", "-r", str(lock))


def _pip(venv: Path, *arguments: str) -> None:
    for site in venv.glob("lib/python3*/site-packages"):
        for rest in machine.half_installed(site):
            shutil.rmtree(rest)
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # a shell's own settings must not send packages elsewhere, nor a sourced ROS 2 pass for what is installed here
    clean = {"PYTHONPATH": "", "PYTHONNOUSERSITE": "1", "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    what = Path(arguments[-1]).name if "-r" in arguments else " ".join(arguments)
    _call([*command, *arguments], f"installing {what} failed", clean)


def _ros(lock: Path) -> None:
    _locked(VENV, lock)
    repair = REQUIREMENTS / "repair_ros_wheels.py"
    _call([str(VENV / "bin" / "python"), str(repair)], "repairing the ROS 2 wheels failed")


def _editable(packages: tuple[Path, ...]) -> None:
    folders = [argument for setup in packages for argument in ("-e", str(setup.parent))]
    _pip(VENV, "--no-deps", "--no-build-isolation", *folders)


def _colcon(here: Machine) -> None:
    """Builds the message packages that the machine does not have: over a full ROS 2, or else over the wheels."""
    build = ROOT / "build"
    for stale in (build, INSTALL):  # CMake's caches name the Python and the ROS 2 of the last build
        shutil.rmtree(stale, ignore_errors=True)
    wanted = machine.packages_to_build(MESSAGE_FOLDERS, here.ros_prefixes or [VENV])
    if not wanted:
        return
    colcon, options, environment = _build_tools(here)
    command = [colcon, "--log-base", str(STATE / "colcon"), "build", "--merge-install"]
    command += ["--build-base", str(build), "--install-base", str(INSTALL), "--base-paths", *map(str, wanted)]
    command += ["--cmake-args", "-DBUILD_TESTING=OFF", *options]
    _call(command, f"building {', '.join(path.name for path in wanted)} failed", environment)


def _build_tools(here: Machine) -> tuple[str, list[str], dict[str, str]]:
    """The colcon to build messages with, CMake's options and the variables."""
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


def _mediapipe(python: str, lock: Path) -> None:
    _venv(python, MEDIAPIPE_VENV)
    _locked(MEDIAPIPE_VENV, lock)


def _call(command: list[str], problem: str, env: dict[str, str] | None = None) -> None:
    """Runs a program in a process group of its own, so that an interrupt ends all that it has started."""
    output = STATE / "last_command.txt"
    with output.open("w") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=ROOT,
            start_new_session=True,
            close_fds=False,
        )
        try:
            code = process.wait()
        except KeyboardInterrupt:
            _end_group(process)
            raise
    if code:
        cause = machine.cause_of(output.read_text(errors="replace"))
        raise SetupError(f"{problem}: {cause} (all output: {output})")


def _end_group(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
