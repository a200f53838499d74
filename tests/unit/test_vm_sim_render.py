"""Robot log, start poses, and pictures without a screen."""

from __future__ import annotations

import subprocess
import sys

import av
import numpy as np
import pytest

from vm_core import g1
from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_sim.objects import find_object_scene
from vm_sim.render import RenderConfig, render_frames
from vm_sim.robot_log import LogRecorder, RobotLog
from vm_sim.start_pose import clip_qpos, start_qpos

SCENE = SceneAsset(boxes=(SceneBox((0.8, 0.0, 0.1), (0.2, 0.5, 0.1), label="step"),))


def _qpos(count: int) -> np.ndarray:
    clip = MotionClip(
        fps=50.0,
        joint_names=g1.POLICY_JOINT_NAMES,
        joint_pos=np.zeros((count, len(g1.POLICY_JOINT_NAMES))),
        root_pos_world=np.linspace([0.0, 0.0, 0.78], [0.2, 0.0, 0.78], count),
        root_quat_wxyz=np.tile([1.0, 0.0, 0.0, 0.0], (count, 1)),
    )
    return clip_qpos(clip)


def test_log_keeps_every_20_ms_and_survives_the_disk(tmp_path):
    recorder = LogRecorder()
    for i in range(101):
        recorder.record(i * 0.002, np.full(36, float(i)))
    recorder.log().save(tmp_path / "log.npz")
    log = RobotLog.load(tmp_path / "log.npz")
    np.testing.assert_allclose(log.time_s, np.arange(11) * 0.02)
    np.testing.assert_array_equal(log.qpos[:, 0], np.arange(11) * 10.0)


def test_other_files_are_no_logs(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(VmError, match="no robot log; it holds x"):
        RobotLog.load(tmp_path / "other.npz")
    with pytest.raises(VmError, match="no such file"):
        RobotLog.load(tmp_path / "missing.npz")
    with pytest.raises(VmError, match="T > 0"):
        LogRecorder().log()


def test_clip_gives_the_start_by_joint_names(tmp_path):
    clip = MotionClip(
        fps=50.0,
        joint_names=("left_knee_joint",),
        joint_pos=np.full((2, 1), 0.9),
        root_pos_world=np.full((2, 3), 0.8),
        root_quat_wxyz=np.tile([1.0, 0.0, 0.0, 0.0], (2, 1)),
    )
    clip.save(tmp_path / "clip.npz")
    qpos = start_qpos(str(tmp_path / "clip.npz"))
    assert qpos is not None
    assert qpos[7 + g1.motor_index("left_knee_joint")] == 0.9
    assert qpos[7 + g1.motor_index("right_knee_joint")] == g1.DEFAULT_STAND_POSE[g1.motor_index("right_knee_joint")]
    assert start_qpos("stand") is None
    with pytest.raises(VmError, match="expected 'stand' or a clip"):
        start_qpos("sit")


def test_video_shows_the_moving_robot(tmp_path):
    log, scene, out = tmp_path / "log.npz", tmp_path / "scene", tmp_path / "robot.mp4"
    RobotLog(np.arange(11) * 0.02, _qpos(11)).save(log)
    SCENE.save(scene)
    size = ["--picture.width", "160", "--picture.height", "120"]
    # a process of its own: MuJoCo chooses its OpenGL at its first import, and other tests may have been there before
    command = [sys.executable, "-m", "vm_sim.render", str(log), "--scene", str(scene), "--out", str(out), *size]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name in ("h264", "libx264")
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(pictures) == 6
    assert pictures[0].shape == (120, 160, 3)
    assert pictures[0].std() > 15.0  # no empty picture
    middle = pictures[0][30:90, 50:110].astype(float)
    assert (middle.max(axis=2) < 80).any()  # the robot's dark parts stand in the middle


def test_light_meshes_keep_the_robots_size():
    import mujoco

    from vm_sim.g1_model import load_g1_spec
    from vm_sim.light_meshes import lighten_meshes

    full, light = load_g1_spec(meshes=True), load_g1_spec(meshes=True)
    lighten_meshes(light)
    models = full.compile(), light.compile()
    assert models[1].mesh_facenum.sum() < 0.4 * models[0].mesh_facenum.sum()
    reach = [model.geom_rbound[model.geom_type == mujoco.mjtGeom.mjGEOM_MESH].sum() for model in models]
    assert reach[1] == pytest.approx(reach[0], rel=0.05)
    np.testing.assert_allclose(models[1].body_mass, models[0].body_mass)


@pytest.mark.parametrize("size", [(15, 120), (161, 120)])
def test_odd_pictures_are_refused(size):
    render = pytest.importorskip("vm_sim.render", reason="needs OpenGL (egl or osmesa)")
    with pytest.raises(VmError, match="even numbers"):
        render.RenderConfig(width=size[0], height=size[1])


def test_an_object_is_recorded_and_drawn(tmp_path):
    """The box before the robot covers pixels that are floor without it."""
    thing = find_object_scene("push_box").thing
    recorder = LogRecorder(thing)
    qpos = np.concatenate([_qpos(1)[0], thing.start_qpos])
    for k in range(3):
        recorder.record(0.02 * k, qpos)
    recorder.log().save(tmp_path / "log.npz")
    log = RobotLog.load(tmp_path / "log.npz")
    assert log.thing == thing and log.qpos.shape == (3, 43)
    small = RenderConfig(width=96, height=72)
    with_box = next(render_frames(log.qpos[:1], SceneAsset(), small, log.thing))
    without = next(render_frames(log.qpos[:1, :36], SceneAsset(), small))
    assert np.mean(np.abs(with_box.astype(int) - without) > 30) > 0.05
    with pytest.raises(VmError, match="expected .T,. and .T, 43."):
        RobotLog(log.time_s, log.qpos[:, :36], thing)
