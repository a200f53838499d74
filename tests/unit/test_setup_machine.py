"""The set-up's decisions: Python, torch's build, disk, message packages, and causes named from a program's output."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from vm_core.ros_environment import full_ros_prefixes

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("machine", ROOT / "requirements" / "machine.py")
assert SPEC and SPEC.loader
machine = importlib.util.module_from_spec(SPEC)
sys.modules["machine"] = machine
SPEC.loader.exec_module(machine)
sys.path.insert(0, str(ROOT / "requirements"))
import install  # noqa: E402


def prefix_with(folder: Path, *packages: str) -> Path:
    index = folder / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    for package in packages:
        (index / package).touch()
    return folder


def package_folders(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "package.xml").touch()
    return folder


@pytest.mark.parametrize("version", [(3, 10), (3, 11, 7), (3, 12, 1)])
def test_supported_pythons(version: tuple[int, ...]) -> None:
    machine.check_python(version)


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 9, 18), (3, 13), (4, 0)])
def test_other_pythons_are_named_with_what_is_needed(version: tuple[int, ...]) -> None:
    with pytest.raises(machine.SetupError, match=rf"Python {version[0]}\.{version[1]}, needed is 3\.10 to 3\.12"):
        machine.check_python(version)


def test_cuda_only_where_the_driver_lists_a_gpu(tmp_path: Path) -> None:
    answers, fails = tmp_path / "answers", tmp_path / "fails"
    answers.write_text("#!/bin/sh\necho 'GPU 0: some GPU'\n")
    fails.write_text("#!/bin/sh\necho 'GPU 0: no driver'\nexit 9\n")
    for program in (answers, fails):
        program.chmod(0o755)
    assert machine.torch_build({}, lambda _: None) == "cpu"
    assert machine.torch_build({}, lambda _: str(answers)) == "cuda"
    assert machine.torch_build({}, lambda _: str(fails)) == "cpu"
    assert machine.torch_build({"VM_TORCH": "cpu"}, lambda _: str(answers)) == "cpu"
    assert machine.torch_build({"VM_TORCH": "cuda"}, lambda _: None) == "cuda"
    with pytest.raises(machine.SetupError, match="VM_TORCH=rocm; expected cpu or cuda"):
        machine.torch_build({"VM_TORCH": "rocm"}, lambda _: None)


def test_torch_cpu_never_falls_back_to_another_build() -> None:
    assert machine.torch_attempts("torch==2.13.0", "cuda") == [["torch==2.13.0"]]
    attempts = machine.torch_attempts("torch==2.13.0", "cpu")
    assert len(attempts) == 2
    assert all("torch==2.13.0+cpu" in arguments and "--no-deps" in arguments for arguments in attempts)


def test_missing_system_libraries_are_named() -> None:
    known = "libEGL.so.1 (libc6,x86-64)\n libusb-1.0.so.0 (libc6)\n"
    assert machine.missing_libraries(known, has_compiler=False) == ["libOSMesa.so.8", "g++"]
    assert machine.missing_libraries(known + "libOSMesa.so.8", has_compiler=True) == []
    assert machine.apt_line((3, 12)).endswith("python3.12-venv")


def test_disk_space_is_checked_against_what_is_left_to_do() -> None:
    machine.check_disk(6.0, 5.9, ROOT)
    with pytest.raises(machine.SetupError, match=r"0\.5 GB free .* still needs 2\.0 GB; make room"):
        machine.check_disk(0.5, 2.0, ROOT)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        (
            "WARNING: Retrying ... NewConnectionError('[Errno 111] refused')\nERROR: x",
            "does not answer",
        ),
        ("ERROR: Could not find a version that satisfies the requirement a==1 (from versions: none)", "not answer"),
        ("(from versions: 1, 2)\nERROR: No matching distribution found for numpy==2.4.6", "has no numpy==2.4.6"),
        ("The virtual environment was not created successfully because ensurepip is not", "python3-venv"),
        ("first\nCMake Error: the compiler broke\n\n", "CMake Error: the compiler broke"),
        ("", "printed nothing"),
    ],
)
def test_causes_are_named_in_one_line(output: str, words: str) -> None:
    cause = machine.cause_of(output)
    assert words in cause
    assert "\n" not in cause


def test_message_packages_of_the_machine_are_not_built_again(tmp_path: Path) -> None:
    own = package_folders(tmp_path / "interfaces", "unitree_hg", "livox_ros_driver2", "tf2_msgs")
    ours = package_folders(tmp_path / "ours", "vm_msgs") / "vm_msgs"
    ros = prefix_with(tmp_path / "ros", "rclpy", "tf2_msgs")
    overlay = prefix_with(tmp_path / "overlay", "unitree_hg")
    wanted = machine.packages_to_build((ours, own), [overlay, ros])
    assert [path.name for path in wanted] == ["livox_ros_driver2", "vm_msgs"]
    assert len(machine.packages_to_build((ours, own), [])) == 4


def test_every_message_package_of_the_project_is_found() -> None:
    names = {path.name for path in machine.packages_to_build(install.MESSAGE_FOLDERS, [])}
    assert names == {"vm_msgs", "unitree_hg", "livox_ros_driver2", "tf2_msgs"}


def test_a_full_ros_is_one_that_is_sourced_and_not_ours(tmp_path: Path) -> None:
    ros, own = prefix_with(tmp_path / "ros", "rclpy"), prefix_with(tmp_path / "venv", "rclpy")
    overlay = prefix_with(tmp_path / "overlay", "unitree_hg")
    path = f"{overlay}:{ros}:{own}"
    assert full_ros_prefixes({"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": path}, [own]) == [overlay, ros]
    assert full_ros_prefixes({"AMENT_PREFIX_PATH": path}, [own]) == []
    assert full_ros_prefixes({"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": f"{overlay}:{own}"}, [own]) == []
    assert full_ros_prefixes({"ROS_DISTRO": "noetic"}, [own]) == []


@pytest.mark.parametrize("folder", ["lib/python3.12/site-packages", "local/lib/python3.10/dist-packages"])
def test_python_of_a_full_ros(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder / "rclpy").mkdir(parents=True)
    assert f"python{machine.python_of_ros([tmp_path])}" in folder
    with pytest.raises(machine.SetupError, match="no rclpy"):
        machine.python_of_ros([tmp_path / "other"])


def test_leftovers_of_an_interrupted_pip(tmp_path: Path) -> None:
    for name in ("whole-1.dist-info", "half-1.dist-info", "~ff-2.dist-info", "whole"):
        (tmp_path / name).mkdir()
    (tmp_path / "whole-1.dist-info" / "RECORD").touch()
    assert [path.name for path in machine.half_installed(tmp_path)] == ["half-1.dist-info", "~ff-2.dist-info"]


def test_a_step_is_done_only_with_unchanged_inputs_in_its_own_folder(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("a==1")
    step = install.Step("a step", lambda: None, tmp_path / "venv", (lock,), ("3.11",))
    assert not step.done()
    step.mark.parent.mkdir(parents=True)
    step.mark.write_text(step.digest())
    assert step.done()
    assert not install.Step("a step", step.action, step.folder, (lock,), ("3.12",)).done()
    lock.write_text("a==2")
    assert not step.done()
    lock.write_text("a==1")
    assert step.mark.is_relative_to(step.folder)


def test_an_environment_that_is_cut_short_or_was_moved_does_not_count(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    assert not install._venv_works(sys.executable, venv)
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "pip").write_text("#!/elsewhere/venv/bin/python\n")
    assert not install._venv_works(sys.executable, venv)
    (venv / "bin" / "pip").write_text(f"#!{venv}/bin/python\n")
    assert not install._venv_works(sys.executable, venv)  # no interpreter
    (venv / "bin" / "python").write_text(f"#!/bin/sh\necho '({sys.version_info[0]}, {sys.version_info[1]}) 1.0'\n")
    (venv / "bin" / "python").chmod(0o755)
    assert not install._venv_works(sys.executable, venv)  # another pip
