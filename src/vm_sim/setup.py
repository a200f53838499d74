import importlib.util
import os
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "vm_sim"


def meshes() -> list[str]:
    """The G1's meshes out of the mjlab wheel, for viewers that look for package://vm_sim/meshes; none without it."""
    wheel = importlib.util.find_spec("mjlab")
    if wheel is None or wheel.origin is None:
        return []
    folder = Path(wheel.origin).parent / "asset_zoo/robots/unitree_g1/xmls/assets"
    # colcon takes relative paths only
    return sorted(os.path.relpath(path, Path(__file__).parent) for path in folder.glob("*.STL"))


setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/meshes", meshes()),
    ],
    install_requires=["numpy", "mujoco", "numba", "av", "tqdm", "tyro", "vm-core"],
    python_requires=">=3.10",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "vm-sim = vm_sim.commands:sim",
            "vm-fault = vm_sim.commands:fault",
            "vm-robot-state = vm_sim.commands:robot_state",
            "vm-view-robot = vm_sim.commands:view_robot",
            "vm-render = vm_sim.render:main",
        ],
    },
)
