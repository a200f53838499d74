"""A visual policy's two contracts: what is written is read, and what does not belong together is named."""

import json
from dataclasses import replace

import numpy as np
import pytest

from vm_core import g1
from vm_core.depth_image import CameraIntrinsics, DepthReducer, DepthSpec
from vm_core.errors import VmError
from vm_core.keypoint_command import CommandStatistics
from vm_core.policy_contract import GoldenPair, ObservationTerm, PolicyContract
from vm_core.visual_bundle import (
    GeneratorContract,
    GoldenCommand,
    check_golden,
    check_halves,
    fingerprint,
)

J = len(g1.POLICY_JOINT_NAMES)
POSE = tuple(g1.DEFAULT_STAND_POSE[[g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]].tolist())
TRACKER_BYTES = b"a tracker"
STATISTICS = CommandStatistics((0.0,) * 18, (0.1,) * 18)
TRACKER = PolicyContract(
    name="tracker",
    joint_names=g1.POLICY_JOINT_NAMES,
    default_joint_pos=POSE,
    action_scale=(0.25,) * J,
    kp=(80.0,) * J,
    kd=(4.0,) * J,
    observation=(ObservationTerm("base_ang_vel", 3), ObservationTerm("keypoint_command", 18, history_length=2)),
    held_joints=dict.fromkeys(g1.WRIST_JOINT_NAMES, (0.0, 10.0, 1.0)),
    golden=GoldenPair((0.0,) * 39, (0.0,) * J),
    command_statistics=STATISTICS,
)
SPEC = DepthSpec(width=8, height=6)
GENERATOR = GeneratorContract(
    name="push",
    task="push_box",
    tracker=fingerprint(TRACKER_BYTES),
    joint_names=g1.POLICY_JOINT_NAMES,
    default_joint_pos=POSE,
    observation=(ObservationTerm("task_heading", 2), ObservationTerm("last_keypoint_command", 18),
                 ObservationTerm("run", 1)),
    depth=SPEC,
    golden=GoldenCommand((0.1,) * 48, (0.0,) * 21, tuple(0.01 * i for i in range(18))),
    training={"run": "x"},
)  # fmt: skip


def test_contracts_come_back_as_they_were():
    assert GeneratorContract.from_json(GENERATOR.to_json()) == GENERATOR
    assert PolicyContract.from_json(TRACKER.to_json()) == TRACKER
    older = json.loads(TRACKER.to_json())
    older["observation"], older["golden"] = older["observation"][:1], None
    del older["command_statistics"]  # a file of before there were any
    assert PolicyContract.from_json(json.dumps(older)).command_statistics is None


def test_halves_that_belong_together_pass_and_others_are_named():
    check_halves(GENERATOR, TRACKER, TRACKER_BYTES, "push")
    with pytest.raises(VmError, match="push: the two halves disagree.*trained over tracker"):
        check_halves(GENERATOR, TRACKER, b"another tracker", "push")
    other_pose = replace(TRACKER, default_joint_pos=(0.1, *POSE[1:]))
    with pytest.raises(VmError, match="default_joint_pos"):
        check_halves(GENERATOR, other_pose, TRACKER_BYTES, "push")
    with pytest.raises(VmError, match="control_period_s is 0.02 in generator.onnx, 0.01"):
        check_halves(GENERATOR, replace(TRACKER, control_period_s=0.01), TRACKER_BYTES, "push")
    deaf = replace(TRACKER, observation=TRACKER.observation[:1])
    with pytest.raises(VmError, match="reads no keypoint_command"):
        check_halves(GENERATOR, deaf, TRACKER_BYTES, "push")
    lost = replace(TRACKER, observation=(*TRACKER.observation, ObservationTerm("ref_phase", 1)))
    with pytest.raises(VmError, match="ref_phase"):
        check_halves(GENERATOR, lost, TRACKER_BYTES, "push")


def test_a_tracker_without_statistics_is_refused():
    with pytest.raises(VmError, match="command_statistics"):
        replace(TRACKER, command_statistics=None)


def test_golden_commands_are_compared_number_by_number():
    assert GENERATOR.golden is not None
    right = np.array(GENERATOR.golden.command)
    check_golden(GENERATOR, right, "push")
    for wrong in (right + np.eye(18)[7], np.where(np.arange(18) == 7, np.nan, right)):
        with pytest.raises(VmError, match="number 7"):
            check_golden(GENERATOR, wrong, "push")
    with pytest.raises(VmError, match="expected \\(48, 21, 18\\)"):
        check_golden(replace(GENERATOR, golden=GoldenCommand((0.0,) * 3, (0.0,) * 21, (0.0,) * 18)), right, "push")
    with pytest.raises(VmError, match="no golden pair"):
        check_golden(replace(GENERATOR, golden=None), right, "push")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"observation": (ObservationTerm("height_grid", 121),)}, "height_grid"),
        ({"observation": (ObservationTerm("keypoint_command", 18),)}, "last_keypoint_command"),
        ({"observation": (ObservationTerm("gait_phase", 2),)}, "gait_step_s"),
        ({"gait_steps_to_rest": 9.0}, "rests after 9.0 steps"),
        ({"history_layout": "sideways"}, "sideways"),
        ({"tracker": "abc"}, "abc"),
    ],
)
def test_impossible_generators_are_named(change, named):
    with pytest.raises(VmError, match=named):
        replace(GENERATOR, **change)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 1}', '{"format_version": 9}', "[" * 100_000])
def test_damaged_contracts_are_user_errors(text):
    with pytest.raises(VmError):
        GeneratorContract.from_json(text)


def test_a_camera_s_picture_becomes_the_network_s():
    """A slanted wall, seen by a RealSense's 848×480 pixels: each of the network's pixels has the wall's depth there."""
    spec = DepthSpec()
    camera = CameraIntrinsics(848, 480, 425.0, 425.0, 424.0, 240.0)
    u = (np.arange(848) + 0.5 - 424.0) / 425.0
    depth = np.tile(1.0 + 0.3 * u, (480, 1))
    reduced = DepthReducer(camera, spec).reduce(depth)
    np.testing.assert_allclose(reduced, 1.0 + 0.3 * spec.rays[..., 0], atol=0.004)
    half = depth.copy()
    half[:, :424] = 0.0
    holes = DepthReducer(camera, spec).reduce(half)
    assert np.all(holes[:, :39] == 0.0) and np.all(holes[:, 41:] > 0.0)
    speckled = depth * (np.random.default_rng(0).random(depth.shape) > 0.2)
    np.testing.assert_allclose(DepthReducer(camera, spec).reduce(speckled), reduced, atol=0.02)
    step = np.where(np.arange(848) < 421, 0.5, 2.0)[None].repeat(480, axis=0)  # an edge inside a pixel
    assert set(np.unique(DepthReducer(camera, spec).reduce(step))) == {np.float32(0.5), np.float32(2.0)}
    with pytest.raises(VmError, match="640×480 px; its camera info says 848×480"):
        DepthReducer(camera, spec).reduce(np.zeros((480, 640)))


def test_cameras_that_do_not_fit_are_named():
    with pytest.raises(VmError, match="wide"):
        DepthReducer(CameraIntrinsics(640, 480, 600.0, 600.0, 320.0, 240.0), DepthSpec())
    with pytest.raises(VmError, match="at least 80"):
        DepthReducer(CameraIntrinsics(64, 36, 32.0, 32.0, 32.0, 18.0), DepthSpec())
    with pytest.raises(VmError, match="finite"):
        CameraIntrinsics(848, 480, np.nan, 425.0, 424.0, 240.0)
