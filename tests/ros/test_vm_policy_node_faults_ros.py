"""The running node and the simulated robot: e-stop, faults by service, recordings, and a node that is killed."""

import os
from pathlib import Path

import policy_files as files
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from session import PATIENT, play, policy_node

from vm_core import g1
from vm_core.scene_asset import SceneAsset
from vm_policy_node.bringup.nodes import NodeSpec

FAULTS = ("motor_hot", "state_silent", "second_publisher")


@pytest.fixture(scope="module")
def report(environment, tmp_path_factory) -> dict:
    """One session with everything in it, because processes take long to start. A gantry holds the robot: balancing in
    real time it falls where the machine is held up.
    """
    folder = tmp_path_factory.mktemp("faults")
    SceneAsset().save(folder / "scene")
    moved = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
    pose = tuple(g1.DEFAULT_STAND_POSE[moved])
    policy = files.write(folder / "p.onnx", files.contract(default_joint_pos=pose))
    sim = NodeSpec("vm_sim", "vm_sim", "vm-sim", {"scene": str(folder / "scene"), "gantry_stays": True})
    nodes = [sim, policy_node(policy, **PATIENT)]
    return play("faults", nodes, environment, *FAULTS, killed=1)[0]


def test_the_estop_topic_stops_and_keeps_it_stopped(report):
    assert report["stands"]
    assert report["estop"] == [True, "e-stop: engaged by topic"]
    assert report["release_while_engaged"] == [False, "cannot release, the e-stop is engaged (engaged by topic)"]
    assert report["released"]


def test_bytes_that_are_no_message_do_not_end_the_node(report):
    assert "after broken bytes" in report  # it still answers; the tests below see it go on


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("motor_hot", "temperature: left_knee"),
        ("state_silent", "stale state"),
        ("second_publisher", "another publisher"),
    ],
)
def test_the_simulated_robot_plays_faults_by_service(report, fault, cause):
    assert report[f"stands before {fault}"]
    assert report[fault][0], report[fault]
    assert report[fault][1].startswith(cause)
    assert report[f"released after {fault}"]


def test_a_killed_node_ends_in_damping(report):
    """First by its own stream, which outlives it for two seconds, then by the robot's timeout."""
    assert report["last stand"]
    assert report["stiff_commands"] < 200  # of 500 a second; a tenth of one until it damps, and what lay in queues
    assert not report["stiff_after_damping"]
    assert 100 < report["damping_commands"] < 1100
    assert report["last_command_s"] > 1.0
    assert report["sim"] == "damping"


def test_each_trip_leaves_a_recording(report, environment):
    folder = Path(environment["ROS_HOME"]) / "flight_records"
    names = [path.stem.split("_", 2)[2] for path in sorted(folder.glob("*.mcap"))]
    assert {"e_stop", "temperature", "stale_state", "another_publisher", "request"} <= set(names), names
    assert report["record"][0]
    path = next(folder.glob("*_temperature.mcap"))
    seen: dict[str, int] = {}
    events = []
    with path.open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        for schema, channel, _ in reader.iter_messages():
            assert schema is not None and schema.encoding == "ros2msg"
            seen[channel.topic] = seen.get(channel.topic, 0) + 1
        own = ["/policy/events", "/policy_status", "/lowcmd"]  # others may have sent broken bytes
        for _, channel, _, message in reader.iter_decoded_messages(topics=own):
            if channel.topic == "/policy/events":
                events.append(message.msg)
    assert {"/lowstate", "/lowcmd", "/policy_status", "/policy/events", "/ground_truth/odometry"} <= set(seen)
    assert seen["/lowstate"] > 20  # a busy machine hands over a part of them
    assert any(event.startswith("DAMPING: temperature") for event in events)
    assert os.path.getsize(path) < 40 * 2**20
