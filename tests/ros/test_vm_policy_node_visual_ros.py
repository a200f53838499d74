"""A visual policy through the running nodes: a simulated D435i's pictures, the run bit by service, and bad pictures."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import visual_cases as cases
from session import END_S, PATIENT, play, policy_node, start

from vm_policy_node.bringup.nodes import NodeSpec

FAULTS = {
    "depth_silent": "stale depth",
    "depth_wrong_encoding": "depth: pictures come as 'rgb8'",
    "depth_upside_down": "depth: ",
}


@pytest.fixture(scope="module")
def report(environment, tmp_path_factory) -> dict:
    """One session with everything in it, because processes take long to start.

    The robot stays on the gantry: balancing in real time it falls where the machine is held up, which says nothing
    about pictures.
    """
    tracker = cases.tracker_bytes(scale=0.0)
    generator = cases.generator_bytes(tracker, depth=replace(cases.SPEC, max_age_s=2.0))  # a shared machine
    policy = cases.write_bundle(tmp_path_factory.mktemp("visual") / "push", tracker, generator)
    sim = NodeSpec("vm_sim", "vm_sim", "vm-sim", {"object": "kick_ball", "gantry_stays": True})  # much floor to be seen
    nodes = [sim, policy_node(policy, echo_tick=True, **PATIENT)]
    return play("visual", nodes, environment, *FAULTS)[0]


def test_it_stands_by_what_the_tracker_says_and_the_run_bit_is_an_operator_s(report):
    assert report["stands"] and report["runs"]
    assert not report["task before it runs"][0]
    assert report["task at first"]
    assert report["task"] == [True, "doing the task", True]
    assert report["pause"] == [True, "standing still", True]
    assert report["pictures echoed"] > 30  # commands come from pictures, each from its own


def test_an_object_out_of_view_makes_it_stand_still(report):
    seen, state, *said = report["lost"]
    assert seen and state == 2, said


@pytest.mark.parametrize(("fault", "cause"), FAULTS.items())
def test_bad_pictures_damp_standing_and_running(report, fault, cause):
    assert report.get(f"stood before {fault}", True)
    assert report[fault][0] and report[fault][1].startswith(cause), report[fault]


def test_a_folder_whose_halves_disagree_does_not_start(environment, tmp_path):
    mixed = cases.write_bundle(
        tmp_path / "mixed", cases.tracker_bytes(0.0), cases.generator_bytes(cases.tracker_bytes())
    )
    node = start(policy_node(mixed), environment)
    said, _ = node.communicate(timeout=END_S)
    assert node.returncode == 2 and "the two halves disagree" in said


def test_bringup_takes_a_task_and_names_one_that_has_no_policy(environment):
    command = [str(Path(sys.executable).parent / "vm-bringup"), "sim", "--task", "tidy_up"]
    ended = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=END_S)
    assert ended.returncode == 2 and "no policy for the task 'tidy_up'" in ended.stderr
