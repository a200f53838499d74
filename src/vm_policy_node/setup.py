from glob import glob

from setuptools import find_packages, setup

PACKAGE = "vm_policy_node"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["policies/*.onnx"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", glob("../../launch/*.launch.py")),
    ],
    install_requires=["mcap", "numpy", "onnxruntime", "pyyaml", "tyro", "vm-core"],
    python_requires=">=3.10",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "vm-policy-node = vm_policy_node.policy_node:main",
            "vm-import-policy = vm_policy_node.importers.command:main",
            "vm-bringup = vm_policy_node.bringup.start:main",
            "vm-supervisor = vm_policy_node.bringup.supervisor_node:main",
            "vm-record = vm_policy_node.viewing.record_node:main",
            "vm-foxglove = vm_policy_node.viewing.foxglove_node:main",
            "vm-demo = vm_policy_node.bringup.demo:main",
        ],
    },
)
