"""The variables under which ROS 2 runs, and `vm-ros-env COMMAND` that sets them.

ROS 2 comes from wheels in our virtual environment, or from a sourced full installation, whose variables are kept: then
only the message packages that it lacked lie over it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from vm_core.command_line import run
from vm_core.errors import VmError

INSTALL_VARIABLE = "VM_ROS_INSTALL"
_NEEDED = ("rclpy", "vm_msgs")


def has_full_ros() -> bool:
    """Whether a full ROS 2 installation is sourced in this process's environment."""
    return bool(full_ros_prefixes(os.environ, (Path(sys.prefix), message_install())))


def full_ros_prefixes(environ: Mapping[str, str], own: Sequence[Path]) -> list[Path]:
    """The install prefixes of a sourced full ROS 2; empty where none is.

    Args:
        environ: variables of a process; a sourced ROS 2 sets ROS_DISTRO and AMENT_PREFIX_PATH.
        own: prefixes of this project (its virtual environment and `install/`), which do not count.
    """
    if not environ.get("ROS_DISTRO"):
        return []
    parts = [Path(part) for part in environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part]
    prefixes = [prefix for prefix in parts if prefix not in own]
    return prefixes if find_package("rclpy", prefixes) else []


def find_package(name: str, prefixes: Sequence[Path]) -> Path | None:
    """The first install prefix whose ament index lists a ROS package."""
    index = Path("share", "ament_index", "resource_index", "packages")
    return next((prefix for prefix in prefixes if (prefix / index / name).is_file()), None)


def message_install() -> Path:
    """Where colcon put the message packages: `$VM_ROS_INSTALL`, else `install/` beside the virtual environment."""
    given = os.environ.get(INSTALL_VARIABLE)
    return Path(given) if given else Path(sys.prefix).parent / "install"


def ros_environment(base: dict[str, str] | None = None) -> dict[str, str]:
    """A process environment in which rclpy and the built messages import and find their libraries.

    Args:
        base: environment to extend; default: this process's.

    Raises:
        VmError: the message packages are not built.
    """
    env = dict(os.environ if base is None else base)
    venv, install = Path(sys.prefix), message_install()
    full = bool(full_ros_prefixes(env, (venv, install)))
    if not install.is_dir():
        if full:
            return env
        raise VmError(f"{install}: message packages are not built; run `make setup`")
    site = Path(sysconfig.get_paths()["purelib"])
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    messages = [install / "lib" / python / "site-packages"]
    if full:  # Debian's Python installs there
        messages.append(install / "local" / "lib" / python / "dist-packages")
    libraries = [install / "lib", *([] if full else [venv / "lib", *sorted(site.glob("ros_*.libs"))])]
    env["AMENT_PREFIX_PATH"] = _joined([install, *([] if full else [venv])], env.get("AMENT_PREFIX_PATH"))
    env["PYTHONPATH"] = _joined(messages, env.get("PYTHONPATH"))
    env["LD_LIBRARY_PATH"] = _joined(libraries, env.get("LD_LIBRARY_PATH"))
    env["PATH"] = _joined([venv / "bin"], env.get("PATH"))
    if not full:
        env["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"  # the wheels' own start-up hook would re-execute python
        env.setdefault("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    return env


def enter() -> None:
    """Goes on in the ROS environment: replaces this process by itself there, unless ROS can be imported already.

    A sourced ROS 2 and processes started by `vm-ros-env` stay as they are.

    Raises:
        VmError: ROS or the message packages are not installed.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return
    env = ros_environment()
    if env == dict(os.environ):
        names = " and ".join(missing)
        raise VmError(f"{names} cannot be imported; run `make setup` or source a ROS 2, then `vm-doctor`")
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], env)


def run_in_ros(module: str) -> None:
    """The body of a console command: the `main` of a module that imports ROS, wherever the command was typed."""

    def go_on() -> None:
        enter()
        importlib.import_module(module).main()

    run(go_on)


def _joined(first: list[Path], rest: str | None) -> str:
    parts = [str(path) for path in first]
    parts += [part for part in (rest or "").split(os.pathsep) if part and part not in parts]
    return os.pathsep.join(parts)


def main() -> None:
    """`vm-ros-env COMMAND [ARGUMENT …]`: replaces itself by the command in the ROS environment."""

    def replace() -> None:
        if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
            print("usage: vm-ros-env COMMAND [ARGUMENT …]   runs a command in the ROS 2 environment")
            return
        env = ros_environment()
        try:
            os.execvpe(sys.argv[1], sys.argv[1:], env)
        except FileNotFoundError:
            raise VmError(f"{sys.argv[1]}: no such command") from None

    run(replace)


if __name__ == "__main__":
    main()
