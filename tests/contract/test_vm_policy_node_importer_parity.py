"""What the node gives an imported policy is what that project's own deployment computes, number for number.

Each project's formula stands here once more, written from its deployment code with plain matrices, and is compared over
random robot states with the observation that the network gets inside the running controller's `PolicyRunner`.
"""

import math
from pathlib import Path

import foreign_policies as files
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vm_core import g1
from vm_core.motion_clip import MotionClip
from vm_policy_node.importers.holosoma import import_holosoma
from vm_policy_node.importers.imported import Imported
from vm_policy_node.importers.mjlab import BEYONDMIMIC, MJLAB, import_metadata_policy
from vm_policy_node.importers.unitree_rl_lab import import_unitree_rl_lab
from vm_policy_node.inputs import Odometry, RobotState
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.policy_runner import PolicyInputs, PolicyRunner

STEPS = 8
ORDER = np.arange(28, -1, -1)  # every file here has the motors in reversed order
DEFAULT = 0.01 * np.arange(29)
WAIST = [12, 13, 14]
LIMITS = ((-0.5, 0.5), (-0.3, 0.3), (-0.5, 0.5))


class Moment:
    """A random robot state, with matrices in place of quaternions."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.q, self.dq = rng.normal(0.0, 0.4, 29), rng.normal(0.0, 2.0, 29)
        self.turn = Rotation.from_rotvec(rng.normal(0.0, 0.5, 3))
        self.gyro, self.pos, self.vel = rng.normal(size=3), rng.normal(size=3), rng.normal(size=3)
        self.command = np.array([0.3, -0.1, 0.2]) if seed % 5 else np.zeros(3)

    @property
    def inputs(self) -> PolicyInputs:
        quat = np.roll(self.turn.as_quat(), 1)
        state = RobotState(
            **(_ANYTHING | {"joint_pos": self.q, "joint_vel": self.dq, "quat_wxyz": quat, "ang_vel_body": self.gyro})
        )
        return PolicyInputs(state, quat, self.command, None, Odometry(self.pos, self.vel))

    @property
    def torso(self) -> tuple[np.ndarray, np.ndarray]:
        """Position and matrix of the torso in the world: the waist's three turns over the pelvis'."""
        return torso_of(self.pos, self.turn.as_matrix(), self.q[WAIST])


def state_defaults() -> dict:
    """Fields of a robot state that no observation reads."""
    import dataclasses

    return {field.name: None for field in dataclasses.fields(RobotState)}


_ANYTHING = state_defaults()


def torso_of(pos: np.ndarray, turn: np.ndarray, waist: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    yaw = turn @ Rotation.from_rotvec([0.0, 0.0, waist[0]]).as_matrix()
    own = yaw @ Rotation.from_euler("XY", waist[1:]).as_matrix()
    return pos + yaw @ g1.WAIST_ROLL_IN_WAIST_YAW, own


def seen_by(imported: Imported, out: Path, moments: list[Moment]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Observations and raw actions of the policy file, inside the node's runner."""
    imported.write(out)
    runner = PolicyRunner(OnnxPolicy.load(out))
    observed, actions = [], []
    act = runner.policy.act

    def listen(observation: np.ndarray) -> np.ndarray:
        observed.append(np.array(observation))
        actions.append(act(observation))
        return actions[-1]

    runner.policy.act = listen
    first = moments[0].inputs
    runner.begin(first.root_quat_wxyz, first.odometry, align=False)
    for moment in moments:
        runner.step(moment.inputs)
    return observed, actions


def compare(observed: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(observed) == len(expected) == STEPS
    for step, (ours, theirs) in enumerate(zip(observed, expected, strict=True)):
        np.testing.assert_allclose(ours, theirs, atol=2e-6, err_msg=f"step {step}")


def gravity(moment: Moment) -> np.ndarray:
    return moment.turn.as_matrix().T @ [0.0, 0.0, -1.0]


@pytest.fixture
def moments() -> list[Moment]:
    return [Moment(seed) for seed in range(STEPS)]


@pytest.mark.parametrize("gym_history", [False, True])
def test_unitree_rl_lab(tmp_path, moments, gym_history):
    """deploy/include/isaaclab: clip, then scale; a deque a term, oldest first; reset fills it with the first."""
    depth = 4 if gym_history else 3
    terms = {
        "base_ang_vel": {"clip": [-0.9, 0.9], "scale": [0.2] * 3, "history_length": depth},
        "projected_gravity": {"clip": None, "scale": None, "history_length": depth},
        "velocity_commands": {"clip": None, "scale": [1.0, 2.0, 3.0], "history_length": depth},
        "joint_pos_rel": {"clip": None, "scale": None, "history_length": depth},
        "joint_vel_rel": {"clip": None, "scale": [0.05] * 29, "history_length": depth},
        "last_action": {"clip": None, "scale": None, "history_length": depth},
        "gait_phase": {"params": {"period": 0.7}, "clip": None, "scale": None, "history_length": depth},
    }
    values = files.deploy(({"use_gym_history": True} if gym_history else {}) | terms)
    folder = files.unitree_rl_lab(tmp_path / "u", values)
    observed, actions = seen_by(import_unitree_rl_lab(folder), tmp_path / "out.onnx", moments)
    buffers: dict[str, list[np.ndarray]] = {key: [] for key in terms}
    expected, phase, last = [], 0.0, np.zeros(29)
    for moment, action in zip(moments, actions, strict=True):
        phase = math.fmod(phase + 0.02 / 0.7, 1.0)
        now = {
            "base_ang_vel": 0.2 * np.clip(moment.gyro, -0.9, 0.9),
            "projected_gravity": gravity(moment),
            "velocity_commands": moment.command * [1.0, 2.0, 3.0],
            "joint_pos_rel": moment.q[ORDER] - DEFAULT,
            "joint_vel_rel": 0.05 * moment.dq[ORDER],
            "last_action": last,
            "gait_phase": np.array([math.sin(2 * math.pi * phase), math.cos(2 * math.pi * phase)]),
        }
        for key, buffer in buffers.items():
            buffer.extend([now[key]] * (1 if buffer else depth))
            del buffer[:-depth]
        if gym_history:
            expected.append(np.concatenate([buffers[key][k] for k in range(depth) for key in terms]))
        else:
            expected.append(np.concatenate([value for key in terms for value in buffers[key]]))
        last = action
    compare(observed, expected)


def test_unitree_rl_lab_mimic(tmp_path, moments):
    """State_Mimic: torso from the waist joints, the motion turned to the robot's heading at the start."""
    plain = {"clip": None, "scale": None, "history_length": 1}
    folder = files.unitree_rl_lab(tmp_path / "u", files.deploy({"motion_command": plain, "motion_anchor_ori_b": plain}))
    joint_pos, (pos, quat) = files.joint_table(), files.pelvis_motion()
    clip = MotionClip(50.0, g1.MOTOR_NAMES, joint_pos, pos, quat)
    observed, _ = seen_by(import_unitree_rl_lab(folder, clip), tmp_path / "out.onnx", moments)

    def yaw(turn: np.ndarray) -> np.ndarray:
        return Rotation.from_euler("z", math.atan2(turn[1, 0], turn[0, 0])).as_matrix()

    turns = Rotation.from_quat(np.roll(quat, -1, axis=1)).as_matrix()
    start = yaw(moments[0].turn.as_matrix()) @ yaw(turns[0]).T
    velocity = np.gradient(joint_pos, 0.02, axis=0)
    expected = []
    for k, moment in enumerate(moments):
        reference = start @ torso_of(pos[k], turns[k], joint_pos[k][WAIST])[1]
        relative = (reference.T @ moment.torso[1]).T
        expected.append(np.concatenate([joint_pos[k][ORDER], velocity[k][ORDER], relative[:, :2].ravel()]))
    compare(observed, expected)


@pytest.mark.parametrize("history", [1, 3])
def test_beyondmimic(tmp_path, moments, history):
    """whole_body_tracking's observations.py; motion and robot in one world, joints in the file's order."""
    path = files.beyondmimic(tmp_path / "b.onnx", history=history)
    observed, actions = seen_by(
        import_metadata_policy(path, BEYONDMIMIC, "", 0.02, LIMITS), tmp_path / "out.onnx", moments
    )
    tables = files.motion_tables(files.REVERSED)
    frames, last = [], np.zeros(29)
    for k, (moment, action) in enumerate(zip(moments, actions, strict=True)):
        pos, turn = moment.torso
        goal = tables["body_pos_w"][k, 2], Rotation.from_quat(np.roll(tables["body_quat_w"][k, 2], -1)).as_matrix()
        frames.append(
            [
                np.concatenate([tables["joint_pos"][k], tables["joint_vel"][k]]),
                turn.T @ (goal[0] - pos),
                (turn.T @ goal[1])[:, :2].ravel(),
                moment.turn.as_matrix().T @ moment.vel,
                moment.gyro,
                moment.q[ORDER] - DEFAULT,
                moment.dq[ORDER],
                last,
            ]
        )
        last = action
    expected = []
    for k in range(STEPS):
        shown = [frames[max(k - age, 0)] for age in range(history - 1, -1, -1)]
        expected.append(np.concatenate([frame[term] for term in range(8) for frame in shown]))
    compare(observed, expected)


def test_mjlab_velocity(tmp_path, moments):
    """mjlab's velocity task: a velocimeter at the IMU's site; clip, scale, history of the first term."""
    imported = import_metadata_policy(files.mjlab(tmp_path / "m.onnx"), MJLAB, "", 0.02, LIMITS)
    observed, actions = seen_by(imported, tmp_path / "out.onnx", moments)
    expected, speeds, last = [], [], np.zeros(29)
    for moment, action in zip(moments, actions, strict=True):
        at_imu = moment.turn.as_matrix().T @ moment.vel + np.cross(moment.gyro, [0.04525, 0.0, -0.08339])
        speeds.extend([at_imu * [0.25, 0.5, 1.0]] * (1 if speeds else 3))
        now = [np.clip(moment.gyro, -1.5, 1.5), gravity(moment), moment.q[ORDER] - DEFAULT, moment.dq[ORDER]]
        expected.append(np.concatenate([*speeds[-3:], *now, last, moment.command]))
        last = action
    compare(observed, expected)


def test_holosoma_locomotion(tmp_path, moments):
    """holosoma_inference: alphabetical terms, phases advanced first and held at pi while standing."""
    observed, actions = seen_by(import_holosoma(files.holosoma(tmp_path / "h.onnx")), tmp_path / "out.onnx", moments)
    pose = dict.fromkeys(g1.MOTOR_NAMES, 0.0) | {"left_elbow_joint": 0.6, "right_elbow_joint": 0.6}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        pose |= {f"{side}_hip_pitch_joint": -0.312, f"{side}_knee_joint": 0.669, f"{side}_ankle_pitch_joint": -0.363}
        pose |= {f"{side}_shoulder_pitch_joint": 0.2, f"{side}_shoulder_roll_joint": sign * 0.2}
    default = np.array([pose[name] for name in files.REVERSED])
    phase, standing, expected, last = np.array([0.0, math.pi]), False, [], np.zeros(29)
    for moment, action in zip(moments, actions, strict=True):
        phase = np.fmod(phase + 2 * math.pi / 50.0 + math.pi, 2 * math.pi) - math.pi
        if np.linalg.norm(moment.command[:2]) < 0.01 and abs(moment.command[2]) < 0.01:
            phase, standing = np.full(2, math.pi), True
        elif standing:
            phase, standing = np.array([0.0, math.pi]), False
        blocks = [last, 0.25 * moment.gyro, moment.command[2:], moment.command[:2], np.cos(phase)]
        blocks += [moment.q[ORDER] - default, 0.05 * moment.dq[ORDER], gravity(moment), np.sin(phase)]
        expected.append(np.concatenate(blocks))
        last = np.clip(action, -100.0, 100.0)
    compare(observed, expected)


def test_holosoma_tracking(tmp_path, moments):
    """Whole-body tracking: the torso in the motion's, both freed of their first heading."""
    imported = import_holosoma(files.holosoma(tmp_path / "h.onnx", tracking=True))
    observed, _ = seen_by(imported, tmp_path / "out.onnx", moments)
    tables = files.motion_tables(files.REVERSED)
    pelvis = Rotation.from_quat(np.roll(tables["body_quat_w"][:, 0], -1, axis=1)).as_matrix()

    def yaw(turn: np.ndarray) -> np.ndarray:
        return Rotation.from_euler("z", math.atan2(turn[1, 0], turn[0, 0])).as_matrix()

    start = yaw(moments[0].turn.as_matrix()) @ yaw(pelvis[0]).T
    for k, moment in enumerate(moments):
        goal = start @ Rotation.from_quat(np.roll(tables["body_quat_w"][k, 2], -1)).as_matrix()
        relative = (moment.torso[1].T @ goal)[:, :2].ravel()
        command = np.concatenate([tables["joint_pos"][k], tables["joint_vel"][k]])
        at = [term.name for term in imported.contract.observation]
        assert at[-2:] == ["ref_joint_state", "ref_anchor_ori"]
        np.testing.assert_allclose(observed[k][-64:], np.concatenate([command, relative]), atol=2e-6)
