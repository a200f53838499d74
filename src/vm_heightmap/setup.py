from setuptools import find_packages, setup

PACKAGE = "vm_heightmap"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    install_requires=["numpy", "numba", "scipy", "rosbags", "tyro", "vm-core"],
    python_requires=">=3.10",
    license="Apache-2.0",
    entry_points={"console_scripts": ["vm-heightmap = vm_heightmap.command:main"]},
)
