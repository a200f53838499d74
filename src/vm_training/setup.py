from setuptools import find_packages, setup

PACKAGE = "vm_training"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["visual/*.npz", "visual/*.json"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    install_requires=[
        *["numpy", "scipy", "mujoco", "mink", "torch", "onnx", "onnxscript", "tqdm", "tyro", "vm-core", "vm-sim"],
        *["rsl-rl-lib", "tensordict", "tensorboard", "onnxruntime", "matplotlib", "vm-heightmap"],
    ],
    python_requires=">=3.10",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "vm-train = vm_training.train:main",
            "vm-make-motions = vm_training.make_motions:main",
            "vm-evaluate = vm_training.evaluate:main",
            "vm-export = vm_training.export_run:main",
            "vm-play = vm_training.play:main",
        ]
    },
)
