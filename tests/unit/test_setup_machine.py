"""The set-up's decisions: Python, torch's build, disk, message packages, and causes named from a program's output."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from vm_core.ros_environment import full_ros_prefixes

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "requirements"))
import environments  # noqa: E402
import install  # noqa: E402
import machine  # noqa: E402
import programs  # noqa: E402
import steps  # noqa: E402


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
    with pytest.raises(programs.SetupError, match=rf"Python {version[0]}\.{version[1]}, needed is 3\.10 to 3\.12"):
        machine.check_python(version)


def test_cuda_only_where_the_driver_lists_a_gpu(tmp_path: Path) -> None:
    answers, fails = tmp_path / "answers", tmp_path / "fails"
    answers.write_text("#!/bin/sh\necho 'GPU 0: some GPU'\n")
    fails.write_text("#!/bin/sh\necho 'GPU 0: no driver'\nexit 9\n")
    for program in (answers, fails):
        program.chmod(0o755)
    assert machine.torch_choice({}, lambda _: None) == ("cpu", "no NVIDIA GPU answers")
    assert machine.torch_choice({}, lambda _: str(answers)) == ("cuda", "nvidia-smi lists a GPU")
    assert machine.torch_choice({}, lambda _: str(fails))[0] == "cpu"
    assert machine.torch_choice({}, lambda _: str(tmp_path / "gone"))[0] == "cpu"
    assert machine.torch_choice({"VM_TORCH": "cpu"}, lambda _: str(answers)) == ("cpu", "VM_TORCH says so")
    assert machine.torch_choice({"VM_TORCH": "cuda"}, lambda _: None)[0] == "cuda"
    with pytest.raises(programs.SetupError, match="VM_TORCH=rocm; expected cpu or cuda"):
        machine.torch_choice({"VM_TORCH": "rocm"}, lambda _: None)


def test_torch_cpu_never_falls_back_to_another_build() -> None:
    assert machine.torch_attempts("torch==2.13.0", "cuda") == [["torch==2.13.0"]]
    attempts = machine.torch_attempts("torch==2.13.0", "cpu")
    assert len(attempts) == 2
    assert all("torch==2.13.0+cpu" in arguments and "--no-deps" in arguments for arguments in attempts)


def test_missing_parts_of_the_machine_are_named_with_their_packages() -> None:
    known = "libEGL.so.1 (libc6,x86-64)\n libGL.so.1 (libc6)\n"
    missing = machine.missing_parts(known, has_compiler=False, of_python=["ensurepip"])
    assert missing == ["libOSMesa.so.8", "g++", "Python.h"]
    line = "apt-get install -y --no-install-recommends libosmesa6 g++ python3.12-dev"
    assert machine.apt_line(missing, "3.12") == line
    assert machine.missing_parts(known + "libOSMesa.so.8", True, ["ensurepip", "Python.h"]) == []


def test_parts_of_a_python_are_found() -> None:
    assert set(machine.python_parts(sys.executable)) <= {"ensurepip", "Python.h"}
    assert machine.python_parts("/bin/false") == []


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.stem)
@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12"])
def test_a_lock_pins_each_package_once_for_every_python(lock: Path, version: str) -> None:
    wanted = [Requirement(line) for line in lock.read_text().splitlines() if line and not line.startswith("#")]
    there = [one for one in wanted if one.marker is None or one.marker.evaluate({"python_version": version})]
    names = [canonicalize_name(one.name) for one in there]
    assert len(names) == len(set(names)) > 0
    assert all(str(one.specifier).startswith("==") for one in there)


def test_disk_space_is_checked_against_what_is_left_to_do() -> None:
    steps.check_disk(6.0, 5.9, ROOT)
    with pytest.raises(programs.SetupError, match=r"0\.5 GB free .* still needs 2\.0 GB; make room"):
        steps.check_disk(0.5, 2.0, ROOT)


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
    cause = programs.cause_of(output)
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
    assert names == {"vm_msgs", "unitree_api", "unitree_hg", "livox_ros_driver2", "tf2_msgs"}


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
    with pytest.raises(programs.SetupError, match="no rclpy"):
        machine.python_of_ros([tmp_path / "other"])


def test_leftovers_of_an_interrupted_pip(tmp_path: Path) -> None:
    for name in ("whole-1.dist-info", "half-1.dist-info", "~ff-2.dist-info", "whole"):
        (tmp_path / name).mkdir()
    (tmp_path / "whole-1.dist-info" / "RECORD").touch()
    assert [path.name for path in machine.half_installed(tmp_path)] == ["half-1.dist-info", "~ff-2.dist-info"]


def test_a_step_is_done_only_with_unchanged_inputs_in_its_own_folder(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("a==1")
    step = steps.Step("a step", lambda: None, tmp_path / "venv", (lock,), ("3.11",))
    assert not step.done()
    step.mark.parent.mkdir(parents=True)
    step.mark.write_text(step.digest())
    assert step.done()
    assert not steps.Step("a step", step.action, step.folder, (lock,), ("3.12",)).done()
    lock.write_text("a==2")
    assert not step.done()
    lock.write_text("a==1")
    assert step.mark.is_relative_to(step.folder)


def test_an_environment_that_is_cut_short_or_was_moved_does_not_count(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    assert not environments.works(sys.executable, venv)
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "pip").write_text("#!/elsewhere/venv/bin/python\n")
    assert not environments.works(sys.executable, venv)
    (venv / "bin" / "pip").write_text(f"#!{venv}/bin/python\n")
    assert not environments.works(sys.executable, venv)  # no interpreter
    (venv / "bin" / "python").write_text(f"#!/bin/sh\necho '({sys.version_info[0]}, {sys.version_info[1]}) 1.0'\n")
    (venv / "bin" / "python").chmod(0o755)
    assert not environments.works(sys.executable, venv)  # another pip


def test_an_interrupted_program_leaves_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "STATE", tmp_path)

    def interrupt(process: subprocess.Popen) -> int:
        while not (tmp_path / "child").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(programs, "_wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        programs.call(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; touch {tmp_path}/child; wait"], "no")
    state = Path(f"/proc/{int((tmp_path / 'pid').read_text())}/stat")
    until = time.monotonic() + 10.0
    while state.exists() and state.read_text().split()[2] != "Z":
        assert time.monotonic() < until, "a program that the set-up started goes on after an interrupt"
        time.sleep(0.02)


def test_a_failed_program_is_one_line_with_its_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "STATE", tmp_path)
    with pytest.raises(programs.SetupError, match=r"^making it failed: it is broken \(all output: .*\)$"):
        programs.call(["sh", "-c", "echo it is broken; exit 3"], "making it failed")
