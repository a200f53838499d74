"""Parts of the environments: mirror, gate, clocks, commands, kinematics, clips that are refused."""

import json
from dataclasses import replace

import mujoco
import numpy as np
import pytest
import torch
import vm_training_cases as cases
from tensordict import TensorDict

from vm_core import g1
from vm_core.errors import VmError
from vm_core.gait_clock import GaitClock
from vm_core.height_grid import MEASURED_ERRORS_FILE, HeightGridSpec, cell_points_world
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_sim.batch_kinematics import BatchKinematics
from vm_sim.g1_model import load_g1_spec
from vm_training.mdp.commands import BatchGaitClock, CommandRanges, Commands
from vm_training.mdp.grid_errors import GridErrors, GridErrorScales
from vm_training.mdp.observations import SensorNoise
from vm_training.mdp.randomization import EpisodeRanges
from vm_training.mdp.terrain_raster import TerrainRaster
from vm_training.rl.clip_library import ClipLibrary, SceneClip, check_clip, load_clips, with_policy_joints
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.mirror import joint_mirror, term_mirror
from vm_training.rl.model import GatedModel, student_of, take_student, take_without_map
from vm_training.rl.simulation import BODIES
from vm_training.rl.tracking_env import GRID, GRID_TERM, TRACKING_TERMS, TrackingConfig, TrackingEnv

TERMS = (*TRACKING_TERMS, GRID_TERM)
SILENT = SensorNoise(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_kinematics_are_mujoco_s():
    model = load_g1_spec(wrists=False).compile()
    rng = np.random.default_rng(0)
    qpos, qvel = rng.normal(0.0, 0.5, (5, model.nq)), rng.normal(0.0, 1.0, (5, model.nv))
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    position, quat, linear, angular = BatchKinematics(model, BODIES).compute(qpos, qvel)
    data, speed = mujoco.MjData(model), np.zeros(6)
    for i in range(5):
        data.qpos[:], data.qvel[:] = qpos[i], qvel[i]
        mujoco.mj_forward(model, data)
        for j, name in enumerate(BODIES):
            body = model.body(name).id
            mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, speed, 0)
            np.testing.assert_allclose(position[i, j], data.xpos[body], atol=1e-9)
            assert abs(quat[i, j] @ data.xquat[body]) == pytest.approx(1.0, abs=1e-9)
            np.testing.assert_allclose(linear[i, j], speed[3:], atol=1e-9)
            np.testing.assert_allclose(angular[i, j], speed[:3], atol=1e-9)


# -- mirror ------------------------------------------------------------------------------------------------------------


def standing(num: int, **options) -> TrackingEnv:
    clips = [SceneClip("stand", cases.standing_clip(100), SceneAsset())]
    config = EnvConfig(num_envs=num, ranges=EpisodeRanges.none(), noise=SILENT, threads=1, **options)
    return TrackingEnv(clips, ClipLibrary(clips), config, TrackingConfig(), True, 0)


def test_two_mirrors_are_none():
    for mirror in (joint_mirror(), term_mirror(TERMS, GRID)):
        values = torch.randn(4, len(mirror.index))
        assert torch.equal(mirror(mirror(values)), values)
    assert not torch.equal(joint_mirror()(torch.ones(1, 23)), torch.ones(1, 23))


def test_a_mirrored_robot_is_seen_as_the_other_one():
    """Two robots, one the mirror image of the other, the second in the mirrored world: both networks see the same."""
    env, joints = standing(2), joint_mirror()
    env.reset_all()
    env.mirrored[:] = torch.tensor([False, True])
    qpos = env.library.qpos[env.library.first[0]].repeat(2, 1)
    qvel = 0.3 * torch.randn((2, 29), generator=torch.Generator().manual_seed(0))
    qpos[:, 1], qpos[:, 7:] = 0.0, qpos[:, 7:] + 0.1 * torch.randn((1, 23), generator=torch.Generator().manual_seed(1))
    qpos[0, 3:7] = torch.tensor([0.99, 0.05, -0.06, 0.08])
    qpos[0, 3:7] /= qpos[0, 3:7].norm()
    qpos[1, 3:7] = qpos[0, 3:7] * torch.tensor([1.0, -1.0, 1.0, -1.0])
    qpos[1, 7:] = joints(qpos[0, 7:])
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    qvel[1, :6], qvel[1, 6:] = qvel[0, :6] * signs, joints(qvel[0, 6:])
    env.sim.reset(torch.arange(2), qpos, qvel)
    env.sim.refresh()
    env.action[0] = torch.randn(23, generator=torch.Generator().manual_seed(2))
    env.action[1] = joints(env.action[0])
    env.frame[:] = 0
    env._fresh[:] = True
    seen = env.observe()
    grid = slice(-GRID.num_cells, None)  # the map's errors differ from robot to robot
    torch.testing.assert_close(seen["actor"][0, : grid.start], seen["actor"][1, : grid.start], atol=2e-3, rtol=1e-3)
    cells = seen["actor"].shape[1]
    torch.testing.assert_close(seen["critic"][0, cells:], seen["critic"][1, cells:], atol=2e-3, rtol=1e-3)
    env.close()


# -- networks ----------------------------------------------------------------------------------------------------------


def gated(cells: int, inputs: int = 12) -> GatedModel:
    seen = TensorDict({"actor": torch.zeros(1, inputs)}, batch_size=[1])
    gaussian = {"class_name": "GaussianDistribution", "init_std": 0.3}
    return GatedModel(seen, {"actor": ["actor"]}, "actor", 3, (8, 6), distribution_cfg=gaussian, grid_cells=cells)


def test_the_gate_starts_shut_and_loads_a_blind_network():
    torch.manual_seed(0)
    blind, seeing = gated(0, 8), gated(4, 12)
    take_without_map(seeing, blind.state_dict())
    seen = torch.randn(5, 12)
    torch.testing.assert_close(seeing.raw(seen), blind.raw(seen[:, :8]))
    with torch.no_grad():
        seeing.gate.fill_(0.5)
    assert not torch.allclose(seeing.raw(seen), blind.raw(seen[:, :8]))
    torch.testing.assert_close(student_of(seeing.state_dict())(seen), seeing.raw(seen))
    seeing.mean.copy_(torch.randn(12))
    seeing.spread.copy_(1.0 + torch.rand(12))
    torch.testing.assert_close(student_of(seeing.state_dict())(seen), seeing.raw(seen))
    again = gated(4, 12)
    take_student(again, student_of(seeing.state_dict()))
    torch.testing.assert_close(again.raw(seen), seeing.raw(seen))
    with pytest.raises(RuntimeError):
        take_without_map(gated(4, 20), blind.state_dict())


# -- commands and clocks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fade_steps", [0.0, 2.0])
def test_the_clock_of_many_is_the_node_s(fade_steps):
    rng, single = np.random.default_rng(0), [GaitClock(0.6, fade_steps) for _ in range(3)]
    many = BatchGaitClock(3, 0.6, fade_steps)
    command = np.zeros((3, 3))
    for k in range(600):
        if k % 40 == 0:
            command = np.where(rng.random((3, 1)) < 0.5, 0.0, rng.uniform(-0.4, 0.4, (3, 3)))
        found = many.update(torch.tensor(command, dtype=torch.float32), 0.02)
        wanted = np.stack([clock.update(row, 0.02) for clock, row in zip(single, command, strict=True)])
        # a step's end may fall one period apart, by the last digit of single precision
        assert np.abs(found.numpy() - wanted).max() < 0.15, k
    assert np.abs(wanted).max() <= 1.0


def test_commands_stay_within_limits_and_rest_sometimes():
    ranges = CommandRanges(limits=((0.0, 0.4), (-0.1, 0.1), (-0.3, 0.3)))
    commands = Commands(200, ranges, torch.Generator().manual_seed(0), 0.02)
    commands.reset(torch.arange(200), torch.zeros(200))
    low, high = torch.tensor(ranges.limits).unbind(1)
    seen = torch.stack([commands.update(torch.full((200,), 0.2), torch.zeros(200)).clone() for _ in range(500)])
    assert ((seen >= low - 1e-6) & (seen <= high + 1e-6)).all()
    resting = (seen[250:].abs().amax(-1) < 1e-3).float().mean()
    assert 0.1 < resting < 0.4
    assert (seen[250:, :, 0] > 0.399).float().mean() > 0.01  # wishes beyond the limit arrive clipped


# -- terrain and the map's errors --------------------------------------------------------------------------------------


def test_the_raster_has_the_scene_s_heights():
    step = SceneBox((1.0, 0.2, 0.1), (0.3, 0.4, 0.1), yaw=0.3)
    scenes = [SceneAsset(), SceneAsset(boxes=(step,), ground=(0.1, -0.05, 0.02))]
    raster, rng = TerrainRaster(scenes), np.random.default_rng(0)
    xy = rng.uniform(-2.0, 2.5, (2, 400, 2))
    found = raster.heights(torch.tensor([0, 1]), torch.tensor(xy, dtype=torch.float32)).numpy()
    wanted = np.stack([scene.height_at(points) for scene, points in zip(scenes, xy, strict=True)])
    assert (np.abs(found - wanted) > 0.005).mean() < 0.02  # points within a centimetre of an edge
    far = raster.heights(torch.tensor([1]), torch.full((1, 1, 2), 50.0)).item()
    assert far == pytest.approx(scenes[1].ground_height_at(np.full((1, 2), 50.0))[0], abs=1e-3)


def test_map_errors_are_those_measured():
    """Away from edges the spread, beside an edge the share of wrong cells, and unknown cells, as the file says."""
    scales, grid = GridErrorScales.measured(), HeightGridSpec()
    errors = GridErrors(400, grid, scales, torch.Generator().manual_seed(0), 0.02)
    torso = torch.zeros(400, 3)
    cells = cell_points_world(grid, torso, torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(400, 4))[..., :2]
    level = errors.disturb(torch.zeros_like(errors.shift(cells)[..., 0]), torch.full((400,), 0.4))
    assert level.isnan().float().mean().item() == pytest.approx(scales.unknown_share, rel=0.7, abs=2e-3)
    assert scales.spread_m[0] < level.nan_to_num(0.0).std().item() < 2.5 * max(scales.spread_m)
    rows = json.loads(MEASURED_ERRORS_FILE.read_text())["own odometry"]["by_edge_distance_m"]
    row = next(row for row in rows if row["from"] == 0.01)
    edge_at = cells[0, 60, 0] + 0.5 * (row["from"] + row["to"])  # ahead of the middle row
    shifted = errors.shift(cells)[:, 60, 0]
    wrong = (shifted > edge_at).float().mean().item()
    assert wrong == pytest.approx(row["share_over_5cm"], abs=0.06)
    before = errors.shift(cells).clone()
    assert torch.equal(errors.shift(cells), before)  # what is wrong stays wrong
    errors.reset(torch.arange(400))
    assert not torch.equal(errors.shift(cells), before)


# -- clips -------------------------------------------------------------------------------------------------------------


def test_clips_that_no_robot_can_follow_are_named():
    clip = cases.standing_clip(100)
    check_clip("stand", clip, SceneAsset())
    fewer = replace(clip, joint_names=clip.joint_names[1:], joint_pos=clip.joint_pos[:, 1:], joint_target=None)
    with pytest.raises(VmError, match="lacks 1 joints of the G1, such as left_hip_pitch_joint"):
        with_policy_joints("other", fewer)
    short = replace(
        clip,
        joint_pos=clip.joint_pos[:20],
        root_pos_world=clip.root_pos_world[:20],
        root_quat_wxyz=clip.root_quat_wxyz[:20],
        body_names=(),
        contact_names=(),
        joint_target=None,
    )
    with pytest.raises(VmError, match="expected at least 1.0 s"):
        check_clip("short", short, SceneAsset())
    bent = clip.joint_pos.copy()
    bent[7, g1.POLICY_JOINT_NAMES.index("left_knee_joint")] = 3.2
    with pytest.raises(VmError, match="left_knee_joint is 0.32 rad beyond its range in frame 7"):
        check_clip("bent", replace(clip, joint_pos=bent), SceneAsset())
    with pytest.raises(VmError, match="inside the scene"):
        check_clip("deep", clip, SceneAsset(ground=(0.0, 0.0, 0.2)))
    broken = clip.joint_pos.copy()
    broken[3, 3] = np.nan
    with pytest.raises(VmError, match="finite"):
        check_clip("nan", replace(clip, joint_pos=broken), SceneAsset())


def test_clips_are_found_by_path(tmp_path):
    with pytest.raises(VmError, match="no clip"):
        load_clips((tmp_path,), 50.0, flat=False)
    cases.standing_clip(100).save(tmp_path / "stand.npz")
    (found,) = load_clips((tmp_path / "stand.npz",), 25.0, flat=True)
    assert found.clip.fps == 25.0 and found.clip.joint_target is not None
    (tmp_path / "one").mkdir()
    cases.standing_clip(100).save(tmp_path / "one" / "clip.npz")
    SceneAsset(boxes=(SceneBox((3.0, 0.0, 0.1), (0.3, 0.3, 0.1)),)).save(tmp_path / "one" / "scene")
    assert [c.name for c in load_clips((tmp_path,), 50.0, flat=False)] == ["one"]
    with pytest.raises(VmError, match="no clips on level ground; 1 clips in all"):
        load_clips((tmp_path,), 50.0, flat=True)


def test_what_fails_is_drawn_more_often():
    clip = cases.standing_clip(100)
    library = ClipLibrary([SceneClip("a", clip, SceneAsset()), SceneClip("b", clip, SceneAsset())])
    assert torch.equal(library.clip_weights(), torch.ones(2))
    zeros = torch.zeros(50, dtype=torch.int64)
    library.note(zeros, zeros, torch.ones(50, dtype=torch.bool))
    library.note(zeros + 1, zeros, torch.zeros(50, dtype=torch.bool))
    weights = library.clip_weights()
    assert weights[0] > 1.5 * weights[1] and weights[1] >= 1.0 / 3.0
    frames = library.draw_frames(torch.zeros(2000, dtype=torch.int64), torch.Generator().manual_seed(0))
    assert (frames < 25).float().mean() > 1.5 * 25 / clip.num_frames
    assert frames.max() < clip.num_frames - 1
