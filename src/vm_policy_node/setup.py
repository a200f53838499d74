import os
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "vm_policy_node"


def launch_files() -> list[tuple[str, list[str]]]:
    """The checkout's launch/ with its folders, for share/vm_policy_node/launch."""
    here = Path(__file__).resolve().parent
    root = here.parents[1] / "launch"
    folders = [root, *sorted(path for path in root.rglob("*") if path.is_dir() and path.name != "__pycache__")]
    return [
        (
            f"share/{PACKAGE}/launch/{folder.relative_to(root)}",
            sorted(os.path.relpath(path, here) for path in folder.iterdir() if path.is_file()),
        )
        for folder in folders
    ]


setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["policies/*.onnx", "policies/*/*.onnx", "policies/*.scene/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *launch_files(),
    ],
    install_requires=["mcap", "numpy", "onnxruntime", "pyyaml", "tyro", "vm-core"],
    python_requires=">=3.10",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "vm-policy-node = vm_policy_node.commands:policy_node",
            "vm-teleop = vm_policy_node.commands:teleop",
            "vm-motion-mode = vm_policy_node.commands:motion_mode",
            "vm-import-policy = vm_policy_node.importers.command:main",
            "vm-bringup = vm_policy_node.bringup.start:main",
            "vm-supervisor = vm_policy_node.commands:supervisor",
            "vm-record = vm_policy_node.commands:record",
            "vm-foxglove = vm_policy_node.commands:foxglove",
            "vm-demo = vm_policy_node.bringup.demo:main",
        ],
    },
)
