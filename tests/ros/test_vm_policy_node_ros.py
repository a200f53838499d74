"""The policy node as a process: services, safety and timing over DDS, with a robot that stands still."""

import json
import signal
import subprocess
import sys
import time

import policy_files as files
import pytest
from session import END_S, PATIENT, play, policy_node, start

from vm_core import g1
from vm_policy_node.command_stream import READY


def test_the_whole_round_over_dds(environment, tmp_path):
    moved = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
    policy = files.write(tmp_path / "p.onnx", files.contract(default_joint_pos=tuple(g1.DEFAULT_STAND_POSE[moved])))
    written = tmp_path / "report.json"
    node = policy_node(policy, echo_tick=True, report=str(written), stand_duration_s=1.0, **PATIENT)
    report, _ = play("whole_round", [node], environment)
    assert report["early_run"] == [False, "cannot run from IDLE; stand first"]
    assert report["idle_commands"] == 0
    assert report["stand"][0], report
    assert report["run"][0], report
    assert (report["state_running"], report["mode_machine"], report["crc_ok"]) == (2, 5, True)
    assert report["state_silent"] == 3
    assert report["cause_silent"].startswith("stale state")
    assert report["damping_kp"] == 0.0
    assert not report["run_while_damping"][0]
    assert (report["state_still"], report["state_end"]) == (3, 0)
    assert report["release"]
    # generous: the machine that runs the tests is shared; `make bench ONLY=loop` has the real limits
    assert report["latency_ms"][0] < 100.0
    assert report["period_error_ms"] < 10.0
    assert json.loads(written.read_text())["policy"] == "linear"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"policy": ""}, "no policy"),
        ({"policy": "no_such_file.onnx"}, "no_such_file.onnx"),
        ({"report": 5}, "parameter report: got 5; expected a text"),
        ({"stand_duration_s": 100}, "parameter stand_duration_s: got 100.0; expected 0.2 to 20"),
        ({"mode_machines": 5}, "parameter mode_machines: got 5; expected a list"),
    ],
)
def test_what_it_cannot_start_with_is_one_line(environment, parameters, words):
    node = start(policy_node(**({"policy": "p.onnx"} | parameters)), environment)
    output, _ = node.communicate(timeout=END_S)
    assert node.returncode == 2, output
    assert [line for line in output.splitlines() if line.startswith("error: ") and words in line], output
    assert "Traceback" not in output


def test_terminate_ends_the_node(environment, tmp_path):
    node = start(policy_node(files.write(tmp_path / "p.onnx")), environment)
    assert node.stdout is not None
    while "golden pair matches" not in node.stdout.readline():
        assert node.poll() is None
    node.terminate()
    node.communicate(timeout=END_S)
    assert node.returncode == 130


def test_where_security_is_enforced_and_cannot_be_had_no_node_starts(environment, tmp_path):
    """Neither with keys that are none, nor where the middleware has no security at all, as in ROS 2 from wheels."""
    keys = tmp_path / "keys/enclaves/videomimic/robot"
    keys.mkdir(parents=True)
    for name in ("identity_ca.cert.pem", "cert.pem", "key.pem", "permissions_ca.cert.pem"):
        (keys / name).write_text("none")
    for name in ("governance.p7s", "permissions.p7s"):
        (keys / name).write_text("none")
    secured = environment | {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": str(tmp_path / "keys"),
        "ROS_SECURITY_ENCLAVE_OVERRIDE": "/videomimic/robot",
    }
    node = start(policy_node(files.write(tmp_path / "p.onnx")), secured)
    said, _ = node.communicate(timeout=END_S)
    assert node.returncode not in (0, None) and "golden pair matches" not in said, said


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_command_stream_outlives_signals_that_reach_both(environment, number):
    """A terminal that goes away, or Ctrl-C: the controller's last words must still get out."""
    command = [sys.executable, "-m", "vm_policy_node.command_stream_node", "/lowcmd", "500.0", "0.1", "5.0"]
    stream = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert stream.stdout is not None and stream.stdout.readline() == READY
    stream.send_signal(number)
    time.sleep(0.5)
    assert stream.poll() is None
    stream.communicate(timeout=END_S)
    assert stream.returncode == 0
