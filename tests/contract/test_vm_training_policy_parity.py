"""What the student saw and did in training is what the node sees and does on the robot, number for number."""

import itertools
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import vm_training_cases as cases

import vm_policy_node
from vm_core import frames, g1, unitree_cdr
from vm_core.motion_clip import MotionClip
from vm_core.remote import RemoteState, encode_remote
from vm_policy_node.controller import Controller
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.safety import SafetyLimits, State
from vm_training.export import export_policy, tracking_contract
from vm_training.mdp.clip_tracking import ClipTracking
from vm_training.mdp.observations import TRACKING_TERMS, observe
from vm_training.student import Student
from vm_training.tasks.distillation import OBSERVATION_SIZE, act
from vm_training.teachers.sampled_lqr import MAX_CORRECTION_RAD

MOVED = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
PERIOD_S, STAND_S = 0.02, 2.2
TICKS = itertools.count(20, 20)  # the robot's clock [ms]
REMOTE = np.frombuffer(encode_remote(RemoteState()), dtype=np.uint8)


@cache
def lively() -> MotionClip:
    """The climb with every joint, the arms too, swinging at its own pace: no two columns are alike."""
    clip = cases.climb_clip()
    time = np.arange(clip.num_frames)[:, None] / clip.fps
    wave = 0.05 * np.sin((1.0 + 0.1 * np.arange(23)) * time)
    assert clip.joint_target is not None
    return replace(clip, joint_pos=clip.joint_pos + wave, joint_target=clip.joint_target + 1.2 * wave)


def following() -> ClipTracking:
    """One simulated robot on that clip."""
    return cases.tracking(lively(), cases.stairs(), envs=1)


def untrained() -> Student:
    """A student that has learnt nothing, but whose actions are not zero."""
    torch.manual_seed(0)
    student = Student(OBSERVATION_SIZE, 23)
    torch.nn.init.normal_(student.layers[-1].weight, 0.0, 5.0)
    return student


@pytest.fixture(scope="module")
def policy_file(tmp_path_factory) -> Path:
    clip, out = lively(), tmp_path_factory.mktemp("parity") / "policy.onnx"
    export_policy(untrained(), tracking_contract("parity", clip, {}), np.zeros(OBSERVATION_SIZE), out, clip)
    return out


def low_state(qpos: np.ndarray, qvel: np.ndarray, compass_rad: float) -> bytes:
    """What the robot says of a simulated state; its own compass points elsewhere."""
    record = unitree_cdr.new_low_state()
    joints, speeds = np.zeros((2, g1.NUM_MOTORS))
    joints[MOVED], speeds[MOVED] = qpos[7:], qvel[6:]
    record["imu"]["quaternion"] = frames.quat_multiply(frames.quat_from_yaw(np.array(compass_rad)), qpos[3:7])
    record["imu"]["gyroscope"] = qvel[3:6]
    record["tick"], record["mode_machine"] = next(TICKS), 5
    unitree_cdr.set_motors(record, "q", joints)
    unitree_cdr.set_motors(record, "dq", speeds)
    record["wireless_remote"] = REMOTE
    record["crc"] = unitree_cdr.low_state_crc(record)
    return record.tobytes()


def tell(controller: Controller, env: ClipTracking, now_s: float, compass_rad: float) -> np.ndarray | None:
    """Both messages of one control period, as the node gives them, and the command that comes back."""
    qpos, qvel = env.physics.qpos[0], env.physics.qvel[0]
    controller.on_low_state(low_state(qpos, qvel, compass_rad), now_s)
    controller.on_odometry(qpos[:3], qpos[3:7], qvel[:3], now_s)
    return controller.step(now_s)


def running(policy_file: Path, env: ClipTracking, compass_rad: float) -> Controller:
    """A controller that has stood up at the clip's first frame and now runs the policy."""
    controller = Controller(
        OnnxPolicy.load(policy_file), limits=SafetyLimits(start_still_s=0.0, late_cycle_s=1.0, late_share=1.0)
    )
    env.reset(np.arange(1), np.zeros(1, dtype=int))
    for k in range(round(STAND_S / PERIOD_S)):
        tell(controller, env, k * PERIOD_S, compass_rad)
        if k == 2:
            assert controller.request("stand", k * PERIOD_S).accepted
    assert controller.request("run", STAND_S).accepted
    return controller


def disturb(env: ClipTracking, frame: int, rng: np.random.Generator) -> None:
    """Somewhere near a frame of the clip, in numbers that a LowState can carry."""
    env.reset(np.arange(1), np.array([min(frame, env.clip.num_frames - 1)]))
    env.frame[0] = frame
    qpos, qvel = env.physics.qpos, env.physics.qvel
    qpos[0, :3] += rng.normal(0.0, 0.05, 3)
    turned = frames.quat_multiply(qpos[0, 3:7], frames.quat_from_rotvec(rng.normal(0.0, 0.1, 3)))
    qpos[0, 3:7] = turned.astype(np.float32)
    qpos[0, 7:] = (qpos[0, 7:] + rng.normal(0.0, 0.02, 23)).astype(np.float32)
    qvel[0] = (qvel[0] + rng.normal(0.0, 0.3, 29)).astype(np.float32)


def told(controller: Controller, env: ClipTracking, frame: int, compass_rad: float) -> np.ndarray:
    """The command for a frame. The compass is corrected with the state before, so a jump is told twice."""
    tell(controller, env, STAND_S + frame * PERIOD_S, compass_rad)
    controller.runner.run_step = frame
    record = tell(controller, env, STAND_S + frame * PERIOD_S, compass_rad)
    assert controller.machine.state == State.RUNNING, controller.machine.cause
    assert record is not None
    return record


@pytest.mark.parametrize(("compass_rad", "tolerance"), [(0.0, 3e-7), (2.0, 5e-6)])
def test_the_node_sees_what_the_student_saw(policy_file, compass_rad, tolerance):
    """All 108 numbers at every frame and beyond the end: to float32's last digit, turned compasses to a few more."""
    env, rng, seen, wanted = following(), np.random.default_rng(0), [], []
    controller = running(policy_file, env, compass_rad)
    controller.policy.act = lambda observation: (seen.append(observation), np.zeros(23))[1]
    for frame in range(env.clip.num_frames + 20):
        disturb(env, frame, rng)
        told(controller, env, frame, compass_rad)
        wanted.append(observe(env, None)[0])
    ours, theirs = np.array(seen[1::2]), np.array(wanted)
    assert ours.shape == theirs.shape == (env.clip.num_frames + 20, 108)
    assert theirs.std(axis=0).min() > 1e-3  # every number moves, so every number is compared
    at = 0
    for term in TRACKING_TERMS:
        part = slice(at, at + term.size)
        np.testing.assert_allclose(ours[:, part], theirs[:, part], atol=tolerance, rtol=2e-7, err_msg=term.name)
        at += term.size


def test_the_node_does_what_the_student_did(policy_file):
    """The same state gives the same PD targets, also where actions are clipped; the wrists are held."""
    env, rng, corrections = following(), np.random.default_rng(1), []
    controller, student = running(policy_file, env, 0.0), untrained()
    env.physics.step = lambda target, previous, delay: None  # targets only
    for frame in range(10, env.clip.num_frames + 5, 3):  # the first frames blend with standing
        disturb(env, frame, rng)
        record = told(controller, env, frame, 0.0)
        correction = act(student, observe(env, None))
        corrections.append(correction)
        env.step(correction)
        commanded = unitree_cdr.get_motors(record, "q")
        np.testing.assert_allclose(commanded[MOVED], env.last_target[0], atol=2e-6)
        for name, gains in (("kp", env.model.actuator_gainprm[:, 0]), ("kd", -env.model.actuator_biasprm[:, 2])):
            np.testing.assert_allclose(unitree_cdr.get_motors(record, name)[MOVED], gains, rtol=1e-6)
        wrists = [g1.motor_index(name) for name in g1.WRIST_JOINT_NAMES]
        np.testing.assert_allclose(commanded[wrists], 0.0)  # where training welds them
    sizes = np.abs(np.array(corrections))
    assert np.mean(sizes == MAX_CORRECTION_RAD) > 0.01 and np.median(sizes) < 0.9 * MAX_CORRECTION_RAD


def test_committed_policies_load_and_keep_no_trace_of_where_they_were_made():
    found = sorted((Path(vm_policy_node.__file__).parent / "policies").glob("*.onnx"))
    for path in found:
        assert OnnxPolicy.load(path).contract.golden is not None
        assert b'File "' not in path.read_bytes(), f"{path.name} holds stack traces; export it again"
