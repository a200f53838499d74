from setuptools import find_packages, setup

PACKAGE = "vm_core"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["*.json"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    install_requires=["numpy", "array-api-compat"],
    python_requires=">=3.10",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "vm-doctor = vm_core.doctor:main",
            "vm-ros-env = vm_core.ros_environment:main",
        ],
    },
)
