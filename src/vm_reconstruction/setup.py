from setuptools import find_packages, setup

PACKAGE = "vm_reconstruction"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["demo/*.mp4", "demo/*.npz", "datasets/synthetic/*.npz", "report/*.html"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    install_requires=[
        "av",
        "matplotlib",
        "mink",
        "numba",
        "numpy",
        "opencv-python-headless",
        "rich",
        "scipy",
        "tqdm",
        "trimesh",
        "tyro",
        "vm_core",
        "vm_sim",
    ],
    extras_require={"viewer": ["viser"], "batch": ["ray"]},
    python_requires=">=3.10",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "vm-reconstruct = vm_reconstruction.command:main",
            "vm-evaluate-reconstruction = vm_reconstruction.evaluate:main",
            "vm-retarget = vm_reconstruction.retarget.command:main",
            "vm-ego = vm_reconstruction.render.ego_command:main",
            "vm-draw-keypoints = vm_reconstruction.render.keypoint_picture:main",
            "vm-view = vm_reconstruction.viewer.command:main",
            "vm-make-dataset = vm_reconstruction.datasets.make_dataset:main",
            "vm-make-demo-video = vm_reconstruction.demo.make_demo_video:main",
        ]
    },
)
