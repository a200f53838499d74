"""The variables under which ROS 2 from wheels runs, and `vm-ros-env COMMAND` that sets them."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from vm_core.command_line import run
from vm_core.errors import VmError

INSTALL_VARIABLE = "VM_ROS_INSTALL"


def has_full_ros() -> bool:
    """Whether a full ROS 2 installation is sourced; then its own environment is left as it is."""
    return os.environ.get("ROS_DISTRO") is not None and Path("/opt/ros").is_dir()


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
    if has_full_ros():
        return env
    venv, install = Path(sys.prefix), message_install()
    if not install.is_dir():
        raise VmError(f"{install}: message packages are not built; run `make setup`")
    site = Path(sysconfig.get_paths()["purelib"])
    libraries = [install / "lib", venv / "lib", *sorted(site.glob("ros_*.libs"))]
    messages = install / "lib" / site.parent.name / "site-packages"
    env["AMENT_PREFIX_PATH"] = _joined([install, venv], env.get("AMENT_PREFIX_PATH"))
    env["PYTHONPATH"] = _joined([messages], env.get("PYTHONPATH"))
    env["LD_LIBRARY_PATH"] = _joined(libraries, env.get("LD_LIBRARY_PATH"))
    env["PATH"] = _joined([venv / "bin"], env.get("PATH"))
    env["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"  # the wheels' own start-up hook would re-execute python
    env.setdefault("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    return env


def _joined(first: list[Path], rest: str | None) -> str:
    parts = [str(path) for path in first]
    parts += [part for part in (rest or "").split(os.pathsep) if part and part not in parts]
    return os.pathsep.join(parts)


def main() -> None:
    """`vm-ros-env COMMAND [ARGUMENT …]`: replaces itself by the command in the ROS environment."""

    def replace() -> None:
        if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
            print("usage: vm-ros-env COMMAND [ARGUMENT …]   runs a command with ROS 2 from wheels")
            return
        env = ros_environment()
        try:
            os.execvpe(sys.argv[1], sys.argv[1:], env)
        except FileNotFoundError:
            raise VmError(f"{sys.argv[1]}: no such command") from None

    run(replace)


if __name__ == "__main__":
    main()
