"""`vm-foxglove` driven by a real WebSocket client that speaks Foxglove's protocol."""

import json
import re
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vm_core import ros_environment, unitree_cdr
from vm_core.errors import VmError
from vm_core.g1_files import MESH_URI, mesh_files
from vm_policy_node.bringup.nodes import NodeSpec
from vm_policy_node.bringup.processes import node_command

connect = pytest.importorskip("websockets.sync.client").connect
pytest.importorskip("foxglove")
FAKE_ROBOT = Path(__file__).with_name("fake_robot.py")


class Robot(subprocess.Popen):
    """The fake robot; `said` grows by what it prints."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.said: list[str] = []
        threading.Thread(target=lambda: self.said.extend(self.stdout), daemon=True).start()


class Viewer:
    """A client of Foxglove's WebSocket protocol: what it was told by JSON, and what came as bytes."""

    def __init__(self, address: str) -> None:
        self.socket = connect(address, subprotocols=["foxglove.sdk.v1"], max_size=2**25)
        self.channels: dict[str, dict] = {}
        self.services: dict[str, dict] = {}
        self.said: list[dict] = []
        self.binary: list[bytes] = []

    def take(self, until, timeout_s: float = 60.0):
        """Reads until `until()` is true; returns its value."""
        end = time.monotonic() + timeout_s
        while not (found := until()):
            self._keep(self.socket.recv(timeout=max(0.01, end - time.monotonic())))
        return found

    def _keep(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.binary.append(message)
            return
        said = json.loads(message)
        self.said.append(said)
        for channel in said.get("channels", []):
            self.channels[channel["topic"]] = channel
        for service in said.get("services", []):
            self.services[service["name"]] = service

    def send(self, **fields) -> None:
        self.socket.send(json.dumps(fields))

    def look_at(self, topic: str) -> bytes:
        """Subscribes, waits for a message and lets go again."""
        number = 100 + len(self.binary)
        channel = self.take(lambda: self.channels.get(topic))
        subscription = {"op": "subscribe", "subscriptions": [{"id": number, "channelId": channel["id"]}]}
        self.send(**subscription)

        def payload() -> bytes | None:
            # foxglove-sdk 0.30.3 tells of a channel a moment before it knows it itself: who is too quick asks again
            unknown = [said for said in self.said if f"Unknown channel ID: {channel['id']}" in said.get("message", "")]
            for said in unknown:
                self.said.remove(said)
                self.send(**subscription)
            heads = ((m, struct.unpack_from("<BIQ", m)) for m in self.binary if m[0] == 1)
            return next((m[13:] for m, head in heads if head[1] == number), None)

        found = self.take(payload)
        self.send(op="unsubscribe", subscriptionIds=[number])
        return found


@pytest.fixture(scope="module")
def environment(module_domain: int) -> dict[str, str]:
    try:
        env = ros_environment.ros_environment()
    except VmError as error:
        pytest.skip(str(error))
    return env | {"ROS_DOMAIN_ID": str(module_domain), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module")
def bridge(environment):
    """The bridge's address, and the fake robot behind it; the robot's description comes from the real node."""
    pipe = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    robot = Robot([sys.executable, str(FAKE_ROBOT)], **pipe)
    description = subprocess.Popen(node_command(NodeSpec("s", "vm_sim", "vm-robot-state")), env=environment)
    node = subprocess.Popen(node_command(NodeSpec("f", "vm_policy_node", "vm-foxglove", {"port": 0})), **pipe)
    try:
        said = next(line for line in node.stdout if "ws://" in line)
        yield re.search(r"ws://\S+\d", said).group(), robot
    finally:
        for process in (node, description, robot):
            process.terminate()
        for process in (node, description, robot):
            process.wait(60)


@pytest.fixture
def viewer(bridge):
    viewer = Viewer(bridge[0])
    yield viewer
    viewer.socket.close()


def test_messages_come_as_the_bytes_that_ros_sent(viewer):
    state = unitree_cdr.parse_low_state(viewer.look_at("/lowstate"))
    assert state["mode_machine"] == 5 and state["crc"] == unitree_cdr.low_state_crc(state)
    channel = viewer.channels["/lowstate"]
    assert (channel["encoding"], channel["schemaEncoding"]) == ("cdr", "ros2msg")
    assert channel["schemaName"] == "unitree_hg/msg/LowState"
    assert "MSG: unitree_hg/MotorState" in channel["schema"]


def test_a_late_viewer_gets_the_description_and_its_meshes(viewer):
    description = viewer.look_at("/robot_description").decode(errors="replace")
    meshes = re.findall(rf"{MESH_URI}/([\w.]+)", description)
    assert len(meshes) == 35
    viewer.send(op="fetchAsset", uri=f"{MESH_URI}/{meshes[0]}", requestId=7)
    answer = viewer.take(lambda: next((m for m in viewer.binary if m[0] == 4), None))
    request, failed, length = struct.unpack_from("<IBI", answer, 1)
    assert (request, failed) == (7, 0)
    assert answer[10 + length :] == mesh_files()[meshes[0]].read_bytes()


@pytest.mark.parametrize(
    "uri", ["file:///etc/passwd", f"{MESH_URI}/../../../etc/passwd", "package://vm_sim/package.xml"]
)
def test_no_other_file_is_given_away(viewer, uri):
    viewer.send(op="fetchAsset", uri=uri, requestId=8)
    answer = viewer.take(lambda: next((m for m in viewer.binary if m[0] == 4), None))
    assert struct.unpack_from("<IB", answer, 1) == (8, 1)
    assert b"root:" not in answer


def call(viewer: Viewer, name: str) -> dict | bytes:
    service = viewer.take(lambda: viewer.services.get(name))
    viewer.socket.send(struct.pack("<BIII", 2, service["id"], 1, 3) + b"cdr" + b"\x00\x01\x00\x00\x00")

    def answered():
        refused = [said for said in viewer.said if said["op"] == "serviceCallFailure"]
        return next(iter(refused + [m for m in viewer.binary if m[0] == 3]), None)

    return viewer.take(answered)


def test_a_viewer_calls_a_service_and_reads_its_answer(viewer):
    answer = call(viewer, "/policy/stand")
    assert isinstance(answer, bytes)
    assert answer[13:16] == b"cdr" and b"the fake robot does not stand up" in answer
    assert answer[20] == 0  # success, after the CDR header


def test_a_service_that_nobody_offers_is_refused(viewer):
    refused = call(viewer, "/policy/damp")
    assert isinstance(refused, dict) and "no node offers it" in refused["message"]


def twist(vx: float) -> bytes:
    return b"\x00\x01\x00\x00" + struct.pack("<6d", vx, 0, 0, 0, 0, 0)


def test_a_viewer_drives_by_cmd_vel_and_nothing_else(bridge, viewer):
    allowed = {"id": 1, "topic": "/cmd_vel", "encoding": "cdr", "schemaName": "geometry_msgs/msg/Twist"}
    forbidden = {"id": 2, "topic": "/lowcmd", "encoding": "cdr", "schemaName": "unitree_hg/msg/LowCmd"}
    viewer.send(op="advertise", channels=[allowed, forbidden])
    viewer.socket.send(struct.pack("<BI", 1, 2) + unitree_cdr.new_low_cmd().tobytes())
    viewer.socket.send(struct.pack("<BI", 1, 1) + b"\x00\x01")  # no Twist: dropped, and the bridge lives on

    def heard() -> list[str]:
        return [line for line in bridge[1].said if line.startswith("heard")]

    end = time.monotonic() + 60.0
    while not heard() and time.monotonic() < end:
        viewer.socket.send(struct.pack("<BI", 1, 1) + twist(0.25))
        time.sleep(0.1)
    assert heard()[0] == "heard 0.25\n"
    viewer.look_at("/policy_status")


def test_a_port_that_is_taken_is_an_error_in_one_line(bridge, environment):
    port = int(bridge[0].rsplit(":", 1)[1])
    command = node_command(NodeSpec("f", "vm_policy_node", "vm-foxglove", {"port": port}))
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: cannot listen at 127.0.0.1")
