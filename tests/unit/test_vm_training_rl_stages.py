"""The stages from end to end, a few robots and iterations each: pretraining, scenes, fine-tuning, export."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import vm_training_cases as cases

from vm_core.errors import VmError
from vm_training.export import export_policy, walking_contract
from vm_training.export_run import Export, export_run
from vm_training.exported_students import read_student
from vm_training.mdp.observations import DEFAULT_JOINT_POS
from vm_training.policy_file import PolicyFile
from vm_training.rl.command_env import CommandConfig, CommandEnv
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.random_courses import OPEN, TERRAINS, CourseRanges, random_course
from vm_training.rl.simulation import FEET
from vm_training.rl.task import AnchorConfig, PpoConfig
from vm_training.rl.walk_validation import ValidationConfig
from vm_training.student import Student
from vm_training.tasks.finetuning import FinetuneConfig, train_finetune
from vm_training.tasks.motion_pretraining import MotionPretrainingConfig, train_motion_pretraining
from vm_training.tasks.scene_tracking import SceneTrackingConfig, train_scene_tracking

FEW = EnvConfig(num_envs=4, threads=1)
SHORT = PpoConfig(iterations=2, steps=4, epochs=1, mini_batches=1, save_every=1, hidden=(16, 8))


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> Path:
    """A walker's file whose network brings its inputs to mean and spread."""
    torch.manual_seed(0)
    contract = walking_contract("student", np.asarray(DEFAULT_JOINT_POS), 0.6, {})
    network = Student(contract.observation_size, 23, (16, 8))
    torch.nn.init.normal_(network.layers[-1].weight, 0.0, 0.2)
    network.normalize(np.random.default_rng(0).normal(0.3, 2.0, (50, contract.observation_size)).astype(np.float32))
    out = tmp_path_factory.mktemp("student") / "student.onnx"
    export_policy(network, contract, np.ones(contract.observation_size), out)
    return out


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """A stand on level ground, and a climb on its steps."""
    folder = tmp_path_factory.mktemp("clips")
    for name, clip in (("stand", cases.standing_clip(60)), ("climb", cases.climb_clip())):
        (folder / name).mkdir()
        clip.save(folder / name / "clip.npz")
    cases.stairs().save(folder / "climb" / "scene")
    return folder


def test_pretraining_scenes_and_export(clips, tmp_path):
    runs = tmp_path / "pretrained", tmp_path / "scenes"
    first = train_motion_pretraining(MotionPretrainingConfig((clips,), FEW, ppo=SHORT), runs[0], False)
    config = SceneTrackingConfig((clips,), runs[0], FEW, ppo=SHORT)
    second = train_scene_tracking(config, runs[1], False)
    assert len(first.records) == len(second.records) == 2
    wide, narrow = second.ppo.actor.mlp[0].weight, first.ppo.actor.mlp[0].weight
    assert wide.shape == narrow.shape and second.ppo.actor.grid.weight.shape[1] == 121
    assert (wide - narrow).abs().max() < 0.01  # it began with the pretrained network and has hardly learnt since
    out = export_run(Export(runs[1], clip="climb", name="climber"))
    policy = PolicyFile.load(out)
    assert policy.contract.name == "climber" and policy.reference is not None
    assert len(policy.reference.joint_pos) == cases.climb_clip().num_frames
    card = out.with_suffix(".md").read_text()
    assert "scene_tracking" in card and "the clip climb" in card and "2 iterations" in card
    with pytest.raises(VmError, match="no clip 'dance'; it has climb, stand"):
        export_run(Export(runs[1], clip="dance"))
    with pytest.raises(VmError, match="checkpoint of 'scene_tracking'; expected one of 'motion_pretraining'"):
        train_scene_tracking(SceneTrackingConfig((clips,), runs[1], FEW, ppo=SHORT), tmp_path / "third", False)


def test_fine_tuning_begins_with_the_student(student, tmp_path):
    network, contract = read_student(student)
    seen = torch.randn(3, contract.observation_size)
    anchor, validation = AnchorConfig(warm_up=1), ValidationConfig(robots=1, seconds=0.1)
    config = FinetuneConfig(student, FEW, CommandConfig(scenes=7), SHORT, anchor, validation)
    trainer = train_finetune(config, tmp_path / "run", False)
    with torch.no_grad():
        off = (trainer.ppo.actor.raw(seen) - network(seen)).abs().max()
    assert 0.0 < off < 0.2
    exported = PolicyFile.load(export_run(Export(tmp_path / "run", skills=("sit",))))
    np.testing.assert_allclose(exported.act(seen.numpy()), trainer.ppo.actor.raw(seen).detach().numpy(), atol=1e-4)
    assert exported.contract.observation == contract.observation and exported.contract.training["skills"] == ["sit"]
    again = train_finetune(config, tmp_path / "run", True)
    assert json.dumps(again.records) == json.dumps(trainer.records)


def test_commanded_robots_stand_where_the_ground_is(student):
    network, contract = read_student(student)
    env = CommandEnv(contract, network, EnvConfig(num_envs=14, threads=1), CommandConfig(scenes=7), 0)
    env.reset_all()
    height = env.sim.qpos[:, 2] - env.ground_height
    assert (height > 0.6).all() and (height < 0.95).all()
    with torch.no_grad():
        for _ in range(5):
            seen, reward, over, extras = env.step(torch.zeros(14, 23))
    assert reward.isfinite().all() and seen["critic"].isfinite().all() and set(extras) == {"time_outs"}
    limits = torch.tensor(env.task.commands.limits)
    assert ((env.commands.value >= limits[:, 0]) & (env.commands.value <= limits[:, 1])).all()
    frictions = [model.geom_friction[env.sim._soles[0], 0] for model in env.sim._copies]
    assert len(set(frictions)) == 14
    env.reset(torch.tensor([3]))
    assert env.sim._copies[3].geom_friction[env.sim._soles[0], 0] != frictions[3] and env.age[3] == 0
    assert env.sim._copies[4].geom_friction[env.sim._soles[0], 0] == frictions[4]
    env.close()


def test_a_walker_of_some_places_is_in_those_alone(student):
    """Its critic knows where an edge is to the centimetre."""
    network, contract = read_student(student)
    kinds = ("stairs_up", "stairs_down")
    task = CommandConfig(scenes=6, kinds=kinds, courses=CourseRanges(rise_m=(0.15, 0.15), approach_m=(1.0, 1.0)))
    env = CommandEnv(contract, network, EnvConfig(num_envs=6, threads=1), task, 0)
    assert {TERRAINS[kind] for kind in env.kind_of.tolist()} == set(kinds)
    env.reset_all()
    qpos = env.sim.qpos.clone()
    up = env.kind_of == TERRAINS.index("stairs_up")
    feet_x = env.sim.body_pos[:, FEET, 0].mean(1)
    for ahead_m, rises in ((0.22, True), (0.40, False)):
        qpos[:, 0] += 1.0 - ahead_m - feet_x
        env.sim.reset(torch.arange(6), qpos, torch.zeros(6, 29))
        env.sim.refresh()
        feet_x = env.sim.body_pos[:, FEET, 0].mean(1)
        ground = env._footholds()
        change = ground[..., -1] - ground[..., 0]
        expected = torch.where(up, 0.15, -0.15) * rises
        torch.testing.assert_close(change, expected[:, None].expand(-1, 2), atol=1e-3, rtol=0.0)
    assert set(env.take_statistics()) == {"success", "episodes", "falls_stairs_up", "falls_stairs_down"}
    env.close()
    with pytest.raises(VmError, match="kinds moon; expected some of flat"):
        CommandConfig(kinds=("moon",))


def test_courses_are_what_their_names_say():
    ranges, x = CourseRanges(), np.linspace(-0.2, 5.0, 400)
    for kind in TERRAINS:
        scene = random_course(kind, ranges, np.random.default_rng(0))
        height = scene.height_at(np.column_stack([x, 0.0 * x]))
        change = height[-1] - height[0]
        assert {"stairs_up": change > 0.3, "stairs_down": change < -0.3}.get(kind, abs(change) < 0.8), kind
        assert (np.ptp(height) > 0.004) == (kind not in OPEN), kind


def test_who_cannot_be_fine_tuned_is_told_why(student, tmp_path):
    shipped = Path(__file__).resolve().parents[2] / "src/vm_policy_node/vm_policy_node/policies/demo_steps.onnx"
    with pytest.raises(VmError, match="follows a clip; expected a policy that sees a root command"):
        read_student(shipped)
    with pytest.raises(VmError, match="no such policy file"):
        read_student(tmp_path / "none.onnx")
