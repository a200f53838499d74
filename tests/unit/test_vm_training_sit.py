"""Sitting as planned: where, when, in balance, on the seat; and the whole task at the smallest size."""

from dataclasses import replace
from functools import cache

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vm_core import g1
from vm_core.errors import VmError
from vm_core.frames import quat_from_yaw, wrap_angle, yaw_from_quat
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_training import train
from vm_training.mdp.clip_tracking import ClipTracking, StartNoise
from vm_training.mdp.randomization import DomainRanges
from vm_training.motions.clip import MOTORS
from vm_training.motions.feasibility import Feasibility
from vm_training.motions.seat_contact import lowest_over_seat, rearmost_hold
from vm_training.motions.seat_place import SitTimes, find_seat, sit_times, sits
from vm_training.motions.sit_clip import plan_sit, sit_clip
from vm_training.motions.sitting import SitStyle, plan_path
from vm_training.motions.whole_body import reference_model
from vm_training.tasks import tracker
from vm_training.tasks.distillation import DistillationConfig
from vm_training.tasks.sit import LOST_M, SitConfig
from vm_training.teachers.sampled_lqr import LqrConfig, LqrTeacher, TeacherRound

SEAT = SceneBox((0.4, -0.2, 0.16), (0.15, 0.25, 0.16), yaw=0.3, label="seat")
QUICK = SitStyle(least_move_s=0.8, settle_s=0.6, stand_s=0.2)


def seen(yaw: float = 0.3, down: int = 20, seated: int = 60, up: int = 30, stand: int = 10) -> MotionClip:
    """Somebody who sits down at 50 Hz on SEAT, facing `yaw`."""
    height = np.concatenate([
        np.full(stand, 0.75), np.linspace(0.75, 0.45, down), np.full(seated, 0.45), np.linspace(0.45, 0.75, up),
        np.full(stand, 0.75),
    ])  # fmt: skip
    contact = np.zeros((len(height), 3))
    contact[:, :2], contact[stand + down : stand + down + seated, 2] = 1.0, 1.0
    return MotionClip(
        fps=50.0,
        joint_names=g1.MOTOR_NAMES,
        joint_pos=np.tile(g1.DEFAULT_STAND_POSE, (len(height), 1)),
        root_pos_world=np.column_stack([np.tile([0.4, -0.2], (len(height), 1)), height]),
        root_quat_wxyz=np.tile(quat_from_yaw(np.array(yaw)), (len(height), 1)),
        contact_names=("left_foot", "right_foot", "seat"),
        contact=contact,
    )


@cache
def quick_clip() -> MotionClip:
    return sit_clip(SceneAsset(boxes=(SEAT,)), seen(), QUICK)


@given(st.floats(-np.pi, np.pi))
@settings(max_examples=30)
def test_the_feet_stand_before_the_side_that_the_person_faced(yaw):
    place = find_seat(SceneAsset(boxes=(SEAT,)), seen(yaw), edge_m=0.1)
    assert abs(float(wrap_angle(np.array(place.heading - yaw)))) <= np.pi / 4 + 1e-9
    assert not SEAT.contains_xy(place.feet_xy[None])[0]
    back = np.array([np.cos(place.heading), np.sin(place.heading)])
    assert SEAT.contains_xy((place.feet_xy - 0.101 * back)[None])[0]
    assert not SEAT.contains_xy((place.feet_xy - 0.099 * back)[None])[0]
    assert place.height_m == pytest.approx(0.32)


def test_the_person_s_times_are_kept():
    times = sit_times(seen())
    assert times.down_s == pytest.approx(0.38, abs=0.1) and times.up_s == pytest.approx(0.6, abs=0.1)
    assert times.seated_s == pytest.approx(1.18, abs=0.05)


@pytest.mark.parametrize(
    ("scene", "clip", "words"),
    [
        (SceneAsset(), seen(), "boxes are none; expected a 'seat'"),
        (SceneAsset(boxes=(replace(SEAT, label="step"),)), seen(), "boxes are step"),
        (SceneAsset(boxes=(SEAT,)), replace(seen(), contact=np.zeros((130, 3))), "nobody sits"),
        (
            SceneAsset(boxes=(replace(SEAT, center_world=(0.4, -0.2, 0.6), half_size=(0.1, 0.1, 0.6)),)),
            seen(),
            "1.20 m",
        ),
    ],
)
def test_what_cannot_be_sat_on_is_named(scene, clip, words):
    assert sits(clip) == bool(clip.contact[:, 2].any())
    with pytest.raises(VmError, match=words):
        sit_clip(scene, clip, QUICK)


@pytest.mark.parametrize("height_m", [0.25, 0.35, 0.45])
def test_the_hips_come_to_the_seat_and_the_balance_stays_over_the_feet(height_m):
    style, model = SitStyle(), reference_model()
    path, data = plan_path(height_m, style, 1.0, 0.05), mujoco.MjData(model)
    for pose in path.squat:
        data.qpos[:] = pose
        mujoco.mj_forward(model, data)
        assert -0.06 < data.subtree_com[0][0] < 0.03 and abs(data.subtree_com[0][1]) < 0.005
        assert lowest_over_seat(model, data, style.edge_m) > height_m - 0.002
    assert lowest_over_seat(model, data, style.edge_m) == pytest.approx(height_m, abs=0.002)
    hips = data.body("left_hip_yaw_link").xpos.copy()
    data.qpos[:] = path.settle[-1]
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.body("left_hip_yaw_link").xpos, hips, atol=0.003)
    com, hold = data.subtree_com[0][0], rearmost_hold(model, data, style.edge_m)
    assert com < -style.edge_m + 0.03  # over the seat, as far as its hold lets it
    assert com > hold + style.seated_ahead_m - 0.005


def test_forces_of_feet_and_seat_explain_the_motion():
    motion, seat = plan_sit(0.32, SitTimes(1.0, 2.0, 1.0), QUICK)
    found = Feasibility.of_motion(motion)
    assert found.problems == "" and found.root_residual < 0.5
    jumps = np.abs(np.diff(motion.torque, axis=0)) / g1.TORQUE_LIMIT[MOTORS]
    assert jumps.max() < 0.1  # the seat takes over without a jolt
    seated = np.flatnonzero(seat)
    knee = g1.POLICY_JOINT_NAMES.index("left_knee_joint")
    rest = (seated[0] + seated[-1]) // 2
    assert abs(motion.torque[rest, knee]) < 0.9 * abs(motion.torque[seated[0] - 1, knee])


def test_the_clip_lies_where_the_seat_is():
    clip = quick_clip()
    place = find_seat(SceneAsset(boxes=(SEAT,)), seen(), QUICK.edge_m)
    first, middle = clip.root_pos_world[0], clip.root_pos_world[clip.num_frames // 2]
    assert np.linalg.norm(first[:2] - place.feet_xy) < 0.1 and first[2] > 0.7
    assert SEAT.contains_xy(middle[None, :2])[0] and middle[2] < 0.55
    np.testing.assert_allclose(yaw_from_quat(clip.root_quat_wxyz), place.heading, atol=1e-3)


def test_a_robot_without_a_seat_is_lost():
    """The seat bears it in simulation; where it is missing, the robot does not come back."""
    clip, zero = quick_clip(), np.zeros((2, 23))
    lost = []
    for boxes in ((SEAT,), ()):
        env = ClipTracking(
            clip,
            SceneAsset(boxes=boxes),
            2,
            DomainRanges.none(),
            StartNoise(*[0.0] * 6),
            0,
            "seat",
            threads=1,
            lost_m=LOST_M,
        )
        env.reset(np.arange(2), np.full(2, clip.num_frames // 2))
        for _ in range(25):
            env.step(zero)
        lost.append(env.lost().all())
    assert lost == [False, True]


def test_from_video_sits_where_somebody_sits(tmp_path, monkeypatch):
    """The command, from a folder to a file that the node accepts, with a given teacher."""
    silent = LqrTeacher(np.full((quick_clip().num_frames, 23, 59), 0.001))
    monkeypatch.setattr(tracker, "train_lqr", lambda *_: (silent, [TeacherRound(1, 0.9, 5.0)]))
    monkeypatch.setattr(tracker, "evaluate_student", lambda *_, **__: [])
    folder = tmp_path / "seen"
    SceneAsset(boxes=(SEAT,)).save(folder / "scene")
    seen().save(folder / "clip.npz")
    small = DistillationConfig(rounds=1, steps_a_round=40, epochs=1, longest_rollout=20, hold_s=0.1)
    config = SitConfig(LqrConfig(), small, num_envs=2, threads=1, style=QUICK)
    out = tmp_path / "mine.onnx"
    assert train.FromVideo(folder, out, sit=config).run() == 0
    policy = OnnxPolicy.load(out)
    assert policy.contract.name == "mine" and policy.clip is not None
    assert policy.clip.contact_names == ("left_foot", "right_foot", "seat")
