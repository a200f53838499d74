"""The starter's processes: how they end together, who waits for whom, where programs are found."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from vm_core.errors import VmError
from vm_policy_node.bringup import processes
from vm_policy_node.bringup.nodes import NodeSpec, node_list
from vm_policy_node.bringup.one_start import only_start
from vm_policy_node.bringup.system import System


def script(tmp_path: Path, name: str, body: str) -> NodeSpec:
    path = tmp_path / name
    path.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    path.chmod(0o755)
    return NodeSpec(name, "vm_p", name, {}, ends_all=name == "ender")


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(processes, "ros_environment", lambda: dict(processes.os.environ))
    return tmp_path


FOREVER = "while True: time.sleep(0.05)"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def until(path: Path) -> str:
    """A program's lines that wait for a file."""
    return f"import os\nwhile not os.path.exists({str(path)!r}): time.sleep(0.05)"


def test_a_good_end_ends_all(on_path, capfd, monkeypatch):
    monkeypatch.setattr(processes, "_GRACE_S", 300.0)  # nobody waits for it
    start = time.monotonic()
    nodes = [script(on_path, "ender", "print('hello')"), script(on_path, "other", FOREVER)]
    assert processes.run_nodes(nodes) == 0
    assert time.monotonic() - start < 60.0
    assert "[ender] hello" in capfd.readouterr().out


def test_a_failure_ends_all_with_its_code(on_path):
    nodes = [script(on_path, "failing", "sys.exit(7)"), script(on_path, "other", FOREVER)]
    assert processes.run_nodes(nodes) == 7
    assert processes.run_nodes([script(on_path, "early", ""), nodes[1]]) == 1  # a node has no business to end


def test_the_time_limit_ends_all(on_path):
    assert processes.run_nodes([script(on_path, "other", FOREVER)], timeout_s=0.3) == 0


def test_an_end_that_is_planned_ends_nothing(on_path, capfd):
    ended = on_path / "ended"
    done = replace(script(on_path, "done", f"open({str(ended)!r}, 'w')"), may_end=True)
    nodes = [done, script(on_path, "ender", f"{until(ended)}\ntime.sleep(1.0)")]
    assert processes.run_nodes(nodes) == 0
    assert "done" not in capfd.readouterr().out
    failing = replace(script(on_path, "failing", "sys.exit(2)"), may_end=True)
    assert processes.run_nodes([failing, script(on_path, "other", FOREVER)]) == 2


def test_who_looks_on_stops_nobody(on_path, capfd):
    seen = on_path / "seen"
    viewer = replace(script(on_path, "viewer", f"open({str(seen)!r}, 'w'); sys.exit(3)"), optional=True)
    waits = f"{until(seen)}\ntime.sleep(1.0)"
    assert processes.run_nodes([viewer, script(on_path, "ender", waits)]) == 0
    assert capfd.readouterr().out.count("[viewer] ended with exit code 3; the others go on") == 1
    assert {node.name for node in node_list(System("p", rviz=True, foxglove=True, record="b")) if node.optional} == {
        *("vm_robot_state", "vm_record", "vm_foxglove", "rviz")
    }


def test_who_gives_way_waits_for_those_who_walk(on_path, monkeypatch):
    stepped: list[int] = []
    monkeypatch.setattr(processes, "step_back", stepped.append)
    viewer = replace(script(on_path, "viewer", FOREVER), optional=True, gives_way=True)
    assert processes.run_nodes([viewer, script(on_path, "ender", "time.sleep(0.2)")]) == 0
    assert len(stepped) == 1


@pytest.mark.skipif(CORES < 2, reason="needs Linux and two cores")
def test_the_control_loop_has_a_core_that_others_leave_alone(on_path):
    says = "import os; open({!r}, 'w').write(' '.join(map(str, os.sched_getaffinity(0))))"
    told = {name: on_path / f"cores_{name}" for name in ("loop", "feeds", "looks")}
    ends = " and ".join(f"__import__('os').path.getsize({str(path)!r})" for path in told.values())
    texts = {
        name: f"{until(path.with_suffix('.go'))}\n{says.format(str(path))}\n{FOREVER}" for name, path in told.items()
    }
    nodes = {name: script(on_path, name, text) for name, text in texts.items()}
    nodes["loop"] = replace(nodes["loop"], own_core=True)
    nodes["looks"] = replace(nodes["looks"], optional=True)
    begin = "".join(f"open({str(path.with_suffix('.go'))!r}, 'w').close()\n" for path in told.values())
    wait = "\n".join(until(path) for path in told.values())
    ender = script(on_path, "ender", f"time.sleep(0.5)\n{begin}{wait}\nwhile not ({ends}): time.sleep(0.01)")
    assert processes.run_nodes([*nodes.values(), ender], timeout_s=60.0) == 0
    seen = {name: {int(number) for number in path.read_text().split()} for name, path in told.items()}
    allowed = os.sched_getaffinity(0)
    assert max(allowed) in seen["loop"] and seen["feeds"] == allowed - {max(allowed)} and seen["looks"] == allowed


def test_who_commands_the_motors_ends_first(on_path, tmp_path):
    """What it says last must reach a robot that still listens."""
    log = tmp_path / "ends"
    body = f"""
import signal
def end(*_):
    time.sleep(0.2 if {{slow}} else 0.0)
    open({str(log)!r}, "a").write(sys.argv[0].rsplit("/")[-1] + " ")
    sys.exit(0)
signal.signal(signal.SIGINT, end)
open(sys.argv[0] + ".up", "w").close()
{FOREVER}"""
    both_up = f"""
import glob
while len(glob.glob({str(tmp_path / "*.up")!r})) < 2: time.sleep(0.05)"""
    policy = replace(script(on_path, "policy", body.format(slow=True)), ends_first=True)
    robot, ender = script(on_path, "robot", body.format(slow=False)), script(on_path, "ender", both_up)
    assert processes.run_nodes([robot, policy, ender], timeout_s=60.0) == 0
    assert log.read_text() == "policy robot "


def test_parameters_keep_their_types(on_path):
    node = script(on_path, "other", "")
    node.parameters.update(path="/tmp/1.0", flag=True, number=0.5)
    assert processes.node_command(node)[1:] == [
        *("--ros-args", "-p", 'path:="/tmp/1.0"', "-p", "flag:=true", "-p", "number:=0.5")
    ]
    placed = replace(node, parameters={}, namespace="r1", remappings={"/a": "/r1/a"}, arguments=("-d", "x"))
    assert processes.node_command(placed)[1:] == [*("-d", "x", "--ros-args", "-r", "__ns:=/r1", "-r", "/a:=/r1/a")]


def test_programs_of_ros_packages_are_found(on_path, monkeypatch):
    program = on_path / "ros/lib/joy/joy_node"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(on_path / "ros"))
    command = [str(program), "--ros-args", "-r", "__node:=joy"]  # its own default is another name
    assert processes.node_command(NodeSpec("joy", "joy", "joy_node")) == command
    with pytest.raises(VmError, match="rviz2 is not installed; it comes with a full ROS 2"):
        processes.node_command(NodeSpec("rviz", "rviz2", "rviz2"))


def test_a_missing_executable_is_named(on_path):
    with pytest.raises(VmError, match="vm-nothing is not installed"):
        processes.node_command(NodeSpec("n", "p", "vm-nothing"))


def test_the_domain_is_the_users_or_free(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    assert processes.pick_domain_id() == "42"
    monkeypatch.delenv("ROS_DOMAIN_ID")
    assert 1 <= int(processes.pick_domain_id()) <= 100


def test_two_starts_in_one_domain_are_refused(tmp_path):
    refused = pytest.raises(VmError, match=rf"another start \(process {os.getpid()}\) runs in ROS_DOMAIN_ID=7; end it")
    with only_start("7", "", tmp_path), only_start("7", "robot2", tmp_path), only_start("8", "", tmp_path), refused:
        only_start("7", "", tmp_path).__enter__()
    with only_start("7", "", tmp_path):  # the first has ended
        pass


STARTER = """
import os
from vm_policy_node.bringup import processes
processes.ros_environment = lambda: dict(os.environ)
processes.run_nodes([processes.NodeSpec("walker", "vm_p", "walker", {})])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")
def test_a_killed_starter_leaves_no_node_behind(on_path, tmp_path):
    tidy = "import signal\nsignal.signal(signal.SIGINT, lambda *_: (open('ended', 'w').close(), sys.exit()))\n"
    script(on_path, "walker", f"{tidy}open('up', 'w').close()\n{FOREVER}")
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    assert appears(tmp_path / "up")
    starter.kill()
    starter.wait()
    assert appears(tmp_path / "ended")


def appears(path: Path) -> bool:
    """Within a minute."""
    until_s = time.monotonic() + 60.0
    while not path.exists() and time.monotonic() < until_s:
        time.sleep(0.05)
    return path.exists()
