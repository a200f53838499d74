"""Generators: clock and table of steps, worlds of objects, rewards, imitation, files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vm_core import visual_bundle as vb
from vm_core.depth_image import DepthSpec
from vm_core.errors import VmError
from vm_core.gait_clock import GaitClock
from vm_core.keypoint_command import COMMAND_SIZE, CommandStatistics, keypoints_of_joints
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.randomization import DomainRanges
from vm_training.rl.task import PpoConfig
from vm_training.student import Student
from vm_training.tasks.work_folder import WorkFolder
from vm_training.visual.bundle import export_bundle, load_bundle
from vm_training.visual.commander import golden_inputs
from vm_training.visual.evaluate_task import EvaluateTask
from vm_training.visual.eyes import KINDS, LATENT
from vm_training.visual.gait_table import (
    QUICK_STOP,
    STAND_S,
    STEP_S,
    STEPS,
    BatchGaitClock,
    command_of,
    gait_table,
    plan_time,
)
from vm_training.visual.generator import GOES, INPUTS, MEMORY_SIZE, SECONDS_AHEAD, Generator, GeneratorEyes
from vm_training.visual.generator_env import GeneratorEnv
from vm_training.visual.generator_teacher import GeneratorPpoConfig, train_generator_teacher
from vm_training.visual.generator_training import GeneratorConfig, train_generator
from vm_training.visual.object_world import ObjectWorld, Tracker, WorldConfig
from vm_training.visual.scripted import ScriptedGenerator
from vm_training.visual.tasks import OBJECT_TASKS
from vm_training.visual.tracker import OBSERVATION_SIZE

TASK = OBJECT_TASKS["push_box"]
STATISTICS = CommandStatistics((0.0,) * COMMAND_SIZE, (0.05,) * COMMAND_SIZE)
STILL = WorldConfig(worlds=3, ranges=DomainRanges.none(), run_share=1.0, run_after_s=(0.0, 0.0))


def stand_still() -> Tracker:
    """A tracker that holds the default pose: good for a second."""
    return Tracker(Student(OBSERVATION_SIZE, NUM_JOINTS, (8,)), STATISTICS)


def stirred(generator: Generator) -> None:
    """Makes its last layer say something."""
    last = generator.mlp[-1]
    assert isinstance(last, torch.nn.Linear)
    torch.nn.init.normal_(last.weight, std=0.1)


def world(config: WorldConfig = STILL, seed: int = 0) -> ObjectWorld:
    return ObjectWorld(TASK, stand_still(), gait_table(), config, seed)


def test_clock_of_many_is_the_clock_of_one():
    rng, many = np.random.default_rng(0), BatchGaitClock(4)
    one = [GaitClock(STEP_S, steps_to_rest=QUICK_STOP) for _ in range(4)]
    run = np.zeros(4, dtype=bool)
    for _ in range(1500):
        run ^= rng.random(4) < 0.01
        before = [(c.since_s, c.walk_s) for c in one]
        since, walk = many.update(run, 0.02)
        for k, clock in enumerate(one):
            clock.update(np.array([float(run[k]), 0.0, 0.0]), 0.02)
            after = clock.since_s
            if after is not None and before[k][0] is not None:
                assert since[k] == pytest.approx(after - 0.02, abs=1e-9) and walk[k] == clock.walk_s


def test_walks_of_any_length_end_with_the_half_and_the_closing_step():
    for steps in (4, 5, 9):
        walk = steps * STEP_S
        since = np.array([-0.4, 0.1, walk - 1.5 * STEP_S, walk - 0.5 * STEP_S, walk + 0.1])
        time_s, mirrored = plan_time(since, np.full(5, walk))
        within = np.array([0.6, 1.1, (STEPS - 0.5) * STEP_S + STAND_S, (STEPS + 0.5) * STEP_S + STAND_S])
        assert np.allclose(time_s[:4], within) and time_s[4] == pytest.approx(STAND_S + (STEPS + 1) * STEP_S + 0.1)
        # the plan's half step is the right foot's, its closing one the left's
        assert list(mirrored[2:]) == [steps % 2 == 0] * 3
    assert plan_time(np.array([np.nan]), np.array([np.inf]))[0][0] == 0.0


def test_standing_robots_are_told_to_stand():
    table, rest = gait_table(), np.zeros(1)
    qpos = table.stand_qpos[None] + np.concatenate([[3.0, -2.0, 0.0], np.zeros(27)])
    points = keypoints_of_joints(qpos[:, :3], qpos[:, 3:7], qpos[:, 7:])
    rows = table.look_up(rest, np.zeros(1, dtype=bool), rest, rest, rest)
    assert np.abs(command_of(*rows, qpos, points)).max() < 4e-3


def test_the_table_walks_ahead_and_its_mirror_turns_the_other_way():
    table, time_s = gait_table(), np.array([STAND_S + 2.3 * STEP_S])
    straight, wide = (table.look_up(time_s, np.zeros(1, dtype=bool), np.full(1, s), np.zeros(1), np.zeros(1))[0]
                      for s in (0.0, 0.26))  # fmt: skip
    assert wide[0, 1, 0] > straight[0, 1, 0] + 0.02
    left = table.look_up(time_s, np.array([False]), np.full(1, 0.1), np.full(1, 0.1), np.zeros(1))
    right = table.look_up(time_s, np.array([True]), np.full(1, 0.1), np.full(1, -0.1), np.zeros(1))
    assert left[0][0, 1, 18] == pytest.approx(-right[0][0, 0, 18]) and np.allclose(left[1], right[1][:, ::-1])


def test_every_robot_starts_paused_and_half_of_the_episodes_stay_so():
    many = world(replace(STILL, worlds=60, run_share=0.5, run_after_s=(0.1, 0.1)))
    many.tick()
    assert not many.run.any()
    many.age[:] = 50
    many.tick()
    assert 18 <= many.run.sum() <= 42
    many.close()


def test_commands_are_clamped_unless_an_ablation_says_so():
    wild = np.full((3, COMMAND_SIZE), 1.0)
    found = world()
    found.tick()
    found.step(wild)
    assert np.allclose(found.command, 1.64 * 0.05)
    assert np.array_equal(Tracker(found.tracker.student, STATISTICS, clip=False).clamped(wild), wild)
    found.close()


def test_objects_differ_and_a_seed_decides_them():
    first, second, other = world(), world(), world(seed=1)
    assert np.array_equal(first.physics.qpos, second.physics.qpos)
    assert not np.array_equal(first.half_size, other.half_size) and np.ptp(first.half_size[:, 0]) > 0.0
    for found in (first, second, other):
        found.close()


def test_gap_and_bearing_say_where_the_box_is():
    found = world(replace(STILL, vary=False))
    view = found.view()
    assert np.allclose(view.gap, 1.0 - 0.381, atol=1e-6) and np.allclose(view.bearing, 0.0, atol=0.02)
    found.close()


def test_the_near_face_is_where_a_push_begins():
    found = world(replace(STILL, vary=False))
    found.physics.qpos[:, 31] += [0.0, 0.3, -0.3]
    view = found.view()
    face = view.near_face
    assert np.allclose(face[0], [1.0 - 0.381, 0.0, 0.8 * 1.016], atol=2e-3)
    assert np.allclose(face[:, 0], 1.0 - 0.381, atol=0.01)  # the face that looks at the robot, wherever the middle is
    assert np.allclose(np.linalg.norm(face[:, :2] - view.root[:, :2], axis=1), view.gap)
    found.close()


def env(config: WorldConfig = STILL) -> GeneratorEnv:
    made = GeneratorEnv(TASK, stand_still(), gait_table(), config, 5.0, 0)
    made.reset_all()
    return made


def test_only_new_ground_pays():
    made = env(replace(STILL, vary=False))
    made.world.run[:] = True
    none = np.zeros(3, dtype=bool)

    def reward_at(x: float, y: float = 0.0) -> float:
        made.world.physics.qpos[:, 30:32] = made.world._start[:, :2] + [x, y]
        return float(made._rewards(made.world.command, none)[0])

    reward_at(0.0)
    base = reward_at(0.0)
    assert reward_at(0.05) > base + 0.3
    assert abs(reward_at(0.05) - base) < 0.02 and reward_at(0.02) < base + 0.02
    assert reward_at(0.05, 0.05) < base - 0.1 and abs(reward_at(0.05, 0.05) - base) < 0.02
    made.close()


def test_while_paused_only_stillness_pays():
    made = env()
    made.world.run[:] = False
    none = np.zeros(3, dtype=bool)
    made.world.physics.qvel[:] = 0.0
    still = made._rewards(made.world.command, none)
    made.world.physics.qpos[:, 30] += 0.5
    assert np.allclose(made._rewards(made.world.command, none), still)
    made.world.physics.qvel[:, 6:29] = 1.0
    assert np.all(made._rewards(made.world.command, none) < still - 0.01)
    assert np.all(made._rewards(made.world.command, ~none) < still - 4.0)
    made.close()


def test_blind_generators_know_nothing_of_the_object():
    seen = []
    for shift in (0.0, 0.3):
        found = world(replace(STILL, vary=False))
        found.physics.qpos[:, 30] += shift
        found.tick()
        seen.append({sight: GeneratorEyes(found, sight).look() for sight in ("blind", "state", "depth")})
        found.close()
    assert np.array_equal(seen[0]["blind"][0], seen[1]["blind"][0]) and seen[0]["blind"][1] is None
    assert not np.array_equal(seen[0]["state"][0], seen[1]["state"][0])
    assert np.array_equal(seen[0]["depth"][0], seen[1]["depth"][0])
    assert not np.allclose(seen[0]["depth"][1], seen[1]["depth"][1])


def test_imitation_learns_the_script_and_goes_on(tmp_path: Path):
    config = GeneratorConfig(rounds=2, steps=12, batch=16, lessons=256, hidden=(16,), world=STILL, passes=20.0)
    folder = WorkFolder(tmp_path / "run")
    generator, records = train_generator(TASK, stand_still(), gait_table(), config, folder)
    assert len(records) == 2 and records[1]["loss"] < records[0]["loss"] + 0.05
    again, kept = train_generator(TASK, stand_still(), gait_table(), config, folder)
    seen = torch.randn(2, generator.mean.numel())
    assert len(kept) == 2 and torch.equal(again(None, seen)[0], generator(None, seen)[0])


def test_imitation_begins_with_an_earlier_generator(tmp_path: Path):
    start = Generator("state", (16,))
    stirred(start)
    config = GeneratorConfig(rounds=1, steps=4, batch=8, lessons=64, hidden=(16,), world=STILL, learning_rate=1e-9)
    found, _ = train_generator(TASK, stand_still(), gait_table(), config, WorkFolder(tmp_path / "run"), start=start)
    seen = torch.randn(2, start.mean.numel())
    assert torch.allclose(found(None, seen)[0], start(None, seen)[0], atol=1e-5)


def test_reinforcement_learning_begins_with_the_imitation(tmp_path: Path):
    start = Generator("state", (16, 8))
    stirred(start)
    ppo = PpoConfig(iterations=1, steps=4, epochs=1, mini_batches=1, hidden=(16, 8), learning_rate=1e-9, desired_kl=0.0)
    config = GeneratorPpoConfig(2.0, STILL, ppo)
    out = tmp_path / "rl"
    found, trainer = train_generator_teacher(TASK, stand_still(), gait_table(), start, config, out, False)
    seen = torch.randn(3, start.mean.numel()).clamp(-2, 2)
    assert torch.allclose(found(None, seen)[0], start(None, seen)[0], atol=1e-4)
    assert len(trainer.records) == 1 and (out / "checkpoint_000001.pt").is_file()


def test_what_is_remembered_turns_with_the_robot_until_the_picture_shows_it():
    generator = Generator("depth", (8,))
    last = generator.finds[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.7, -0.2, 30.0]))  # found there, and to be trusted
    seen, latent = torch.zeros(1, INPUTS["depth"]), torch.zeros(1, LATENT)  # nothing in the picture
    seen[0, 8], thought = 0.5 * 1.0, torch.tensor([[1.0, 0.0]])  # 1 rad/s to the left, in the term's scale
    for _ in range(25):
        seen[:, -MEMORY_SIZE:] = thought
        thought = generator.think(latent, seen)[0].detach()
    assert np.allclose(thought.numpy(), [[np.cos(0.5), -np.sin(0.5)]], atol=6e-3)
    seen[:] = 0.0
    seen[0, GOES] = torch.tensor([0.1, 0.0]) * SECONDS_AHEAD  # told to go ahead at 0.1 m/s
    seen[:, -MEMORY_SIZE:] = thought
    carried = generator.think(latent, seen)[0].detach()
    assert np.allclose((thought - carried).numpy(), [[0.002, 0.0]], atol=1e-6)
    latent[0, 2 * KINDS], thought = 1.0, torch.tensor([[1.5, 0.6]])
    seen[:] = 0.0
    moved = []
    for _ in range(80):
        seen[:, -MEMORY_SIZE:] = thought
        thought, before = generator.think(latent, seen)[0].detach(), thought
        moved.append(float(torch.linalg.norm(thought - before)))
    assert moved[0] < 0.03 < max(moved)  # a surprise counts little at first: it may be a mask
    assert np.allclose(thought.numpy(), [[0.7, -0.2]], atol=1e-3)


def test_eyes_learn_nothing_from_commands_nor_from_what_was_thought_before():
    generator, spec = Generator("depth", (8,)), DepthSpec()
    stirred(generator)
    picture, seen = torch.rand(2, spec.height, spec.width) - 0.5, torch.rand(2, INPUTS["depth"])
    generator(picture, seen)[0].sum().backward()
    looking = [*generator.eyes.parameters(), *generator.finds.parameters()]
    assert all(weights.grad is None for weights in looking)
    assert generator.mlp[0].weight.grad is not None
    found = generator.think(generator.eyes(picture), seen)[1]
    seen[:, -MEMORY_SIZE:] += 1.0
    assert torch.equal(found, generator.think(generator.eyes(picture), seen)[1])


def test_a_bundle_does_what_the_networks_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    generator, frozen = Generator("depth", (8,)), stand_still()
    stirred(generator)
    seen = golden_inputs(TASK, frozen, gait_table(), generator)
    assert isinstance(frozen.student, Student)
    folder = tmp_path / "bundle"
    export_bundle(folder, TASK.name, frozen.student, STATISTICS, generator, seen, ({}, {}))
    task, tracker, again = load_bundle(folder)
    assert task == TASK.name and tracker.statistics == STATISTICS
    mine, theirs = (g.look(seen[2][None], seen[1][None]) for g in (generator, again))
    assert np.allclose(mine[0], theirs[0], atol=1e-5) and np.allclose(mine[1], theirs[1], atol=1e-5)
    assert again.halts and mine[1].shape == (1, MEMORY_SIZE)
    given = torch.from_numpy(seen[0][None])
    assert torch.allclose(tracker.student(given), frozen.student(given).detach(), atol=1e-5)
    EvaluateTask(folder, TASK.name, rollouts=1, rollout_s=1.0, json=tmp_path / "rows.json").run()
    assert "vision" in capsys.readouterr().out and (tmp_path / "rows.json").is_file()
    with pytest.raises(VmError, match="cannot run on a robot"):
        export_bundle(folder, TASK.name, frozen.student, STATISTICS, Generator("state", (8,)), seen, ({}, {}))
    (folder / vb.TRACKER_FILE).write_bytes((folder / vb.GENERATOR_FILE).read_bytes())
    with pytest.raises(VmError):
        load_bundle(folder)


@pytest.mark.parametrize("name", sorted(name for name, task in OBJECT_TASKS.items() if task.script))
def test_scripts_say_something_finite_for_every_task(name: str):
    found = ObjectWorld(OBJECT_TASKS[name], stand_still(), gait_table(), STILL, 0)
    script = ScriptedGenerator(found)
    for _ in range(3):
        found.tick()
        command = script.command()
        assert command.shape == (3, COMMAND_SIZE) and np.isfinite(command).all() and np.abs(command).max() < 0.6
        found.step(command)
    found.close()


def test_a_task_without_script_says_so():
    found = ObjectWorld(OBJECT_TASKS["balance_ball"], stand_still(), gait_table(), STILL, 0)
    with pytest.raises(VmError, match="balance_ball has no script"):
        ScriptedGenerator(found)
    found.close()
