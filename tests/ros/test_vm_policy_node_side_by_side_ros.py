"""Two nodes side by side in namespaces, one of them dry: topics, limits set over ROS, and the end of all processes."""

from dataclasses import replace

import policy_files as files
import pytest
from session import PATIENT, play, policy_node

from vm_core import g1
from vm_policy_node.bringup.topics import remappings


@pytest.fixture(scope="module")
def report(environment, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("two")
    moved = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
    policy = files.write(folder / "p.onnx", files.contract(default_joint_pos=tuple(g1.DEFAULT_STAND_POSE[moved])))
    nodes = [
        replace(policy_node(policy, space, dry_run=dry, **PATIENT), remappings=remappings(space, sim=True))
        for space, dry in (("a", False), ("b", True))
    ]
    return play("side_by_side", nodes, environment, killed=0)[0]


def test_limits_change_while_idle_within_their_range_and_nothing_else_does(report):
    assert report["set"] == [True, ""] and report["got"] == pytest.approx(0.6)
    assert not report["out of range"][0]
    assert not report["read-only"][0]
    assert report["set while standing"] == [False, "limits change in IDLE only"]


def test_a_dry_run_commands_a_shadow(report):
    assert report["stood"] == [True, True]
    assert report["heard"]["/b/lowcmd_dry_run"] > 20
    assert "/b/lowcmd" not in report["heard"] and "/lowcmd" not in report["heard"]


def test_one_robot_damps_alone(report):
    assert report["after damping b"] == {"a": 1, "b": 3}


def test_commands_end_with_the_node_and_its_stream(report):
    """What is left is the robot's own timeout."""
    assert report["children"] == 1
    silent, late = report["after kill"]
    assert silent and late < 100  # what lay in queues; a stream that lived on would damp for two seconds: 1,000
    assert report["b lives"]
