"""What lies in launch/ speaks of topics, services and parameters that exist."""

import json
import re
from pathlib import Path

import pytest
import yaml

from vm_core import g1
from vm_heightmap.node_parameters import PARAMETERS as HEIGHT_MAP
from vm_policy_node.bringup.message_types import message_type
from vm_policy_node.bringup.nodes import node_list
from vm_policy_node.bringup.system import TELEOPS, System
from vm_policy_node.bringup.topics import SERVICES, TOPICS, markdown_table
from vm_policy_node.parameters import PARAMETERS as POLICY

LAUNCH = Path(__file__).parents[2] / "launch"
NAMES = {topic.name: topic for topic in TOPICS}
MARKERS = "visualization_msgs/msg"
KINDS = (
    {"PointCloud2": "sensor_msgs/msg/PointCloud2"}
    | {k: f"{MARKERS}/{k}" for k in ("Marker", "MarkerArray")}
    | {
        kind: f"nav_msgs/msg/{full}"
        for kind, full in (("Map", "OccupancyGrid"), ("Path", "Path"), ("Odometry", "Odometry"))
    }
)


def values(node) -> list[str]:
    """Every text in a nested structure, keys included."""
    if isinstance(node, dict):
        return [text for key, value in node.items() for text in (key, *values(value))]
    if isinstance(node, list):
        return [text for value in node for text in values(value)]
    return [node] if isinstance(node, str) else []


def test_rviz_shows_topics_of_the_right_type_and_quality():
    config = yaml.safe_load((LAUNCH / "rviz/g1.rviz").read_text())
    displays = config["Visualization Manager"]["Displays"]
    shown = [display for display in displays if "Topic" in display]
    assert len(shown) >= 6
    for display in shown:
        topic = NAMES[display["Topic"]["Value"]]
        assert KINDS[display["Class"].split("/")[1]] == topic.type
        assert not (display["Topic"]["Durability Policy"] == "Transient Local" and not topic.latched)
    robot = next(display for display in displays if display["Name"] == "G1")
    assert NAMES[robot["Description Topic"]["Value"]].latched
    assert config["Visualization Manager"]["Views"]["Current"]["Target Frame"] == g1.PELVIS_BODY


def test_the_layout_for_foxglove_names_what_the_bridge_offers():
    layout = json.loads((LAUNCH / "foxglove/g1.json").read_text())
    panels = {text for text in values(layout["layout"]) if "!" in text}
    assert panels == set(layout["configById"])
    named = {text.split(".")[0] for text in values(layout["configById"]) if text.startswith("/")}
    assert named - set(SERVICES) <= set(NAMES)
    fields = {"linear-x", "linear-y", "angular-z"}
    drive = layout["configById"]["Teleop!cmd_vel"]
    assert {button["field"] for button in drive.values() if isinstance(button, dict)} <= fields


def test_what_foxglove_plots_are_fields_of_the_messages():
    pytest.importorskip("rclpy")
    plotted = [
        (path["value"], path["label"])
        for panel in json.loads((LAUNCH / "foxglove/g1.json").read_text())["configById"].values()
        for path in panel.get("paths", [])
    ]
    assert len(plotted) >= 10
    for value, label in plotted:
        found = re.fullmatch(r"(/\w+)\.(\w+)(?:\[(\d+)\])?", value)
        assert found is not None, value
        topic, name, number = found.groups()
        kind = message_type(NAMES[topic].type).get_fields_and_field_types()[name]
        assert ("[" in kind or "sequence" in kind) == (number is not None), value
        if topic == "/joint_states":
            side, joint, *_ = label.replace("ankle pitch", "ankle_pitch").split()
            assert g1.MOTOR_NAMES[int(number)] == f"{side}_{joint}_joint", label


def test_the_parameter_file_has_the_nodes_own_defaults():
    pytest.importorskip("rclpy")  # two of the tables stand in node files
    from vm_policy_node.viewing.foxglove_node import PARAMETERS as FOXGLOVE
    from vm_sim.robot_state_node import PARAMETERS as ROBOT_STATE

    tables = {
        "/**/vm_policy_node": {name: parameter.default for name, parameter in POLICY.items()},
        **{
            f"/**/{node}": {name: default for name, (default, _) in table.items()}
            for node, table in (
                ("vm_heightmap", HEIGHT_MAP),
                ("vm_robot_state", ROBOT_STATE),
                ("vm_foxglove", FOXGLOVE),
            )
        },
    }
    written = yaml.safe_load((LAUNCH / "config/g1.yaml").read_text())
    assert set(written) == set(tables)
    for node, found in written.items():
        for name, value in found["ros__parameters"].items():
            assert value == tables[node][name] and type(value) is type(tables[node][name]), f"{node}: {name}"


def test_every_file_that_the_list_of_nodes_names_exists():
    for teleop in TELEOPS:
        for node in node_list(System("p", rviz=True, teleop=teleop), str(LAUNCH)):
            texts = (*node.arguments, node.params_file, *map(str, node.parameters.values()))
            paths = [text for text in texts if str(LAUNCH) in text]
            assert all(Path(path).is_file() for path in paths), paths


def test_the_table_of_topics_is_the_codes():
    """`python -m vm_policy_node.bringup.topics` prints it."""
    page = (LAUNCH / "README.md").read_text()
    assert markdown_table() in page
    for service in SERVICES:
        folder, _, name = service.rpartition("/")
        assert service in page or (f"{folder}/{{" in page and name in page)
