"""How generators learn: imitation, what it begins with, reinforcement learning after it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from object_worlds import STILL, TASK, stand_still, stirred

from vm_core.errors import VmError
from vm_training.rl.task import AnchorConfig, PpoConfig
from vm_training.tasks.work_folder import WorkFolder
from vm_training.visual.gait_table import gait_table
from vm_training.visual.generator import Generator
from vm_training.visual.generator_teacher import GeneratorPpoConfig, train_generator_teacher
from vm_training.visual.generator_training import GeneratorConfig, GeneratorSchool, train_generator
from vm_training.visual.object_world import ObjectWorld
from vm_training.visual.scripted import ScriptedGenerator
from vm_training.visual.tasks import OBJECT_TASKS

DRIBBLE = OBJECT_TASKS["kick_ball"]


def test_imitation_learns_the_script_and_goes_on(tmp_path: Path):
    config = GeneratorConfig(rounds=2, steps=12, batch=16, lessons=256, hidden=(16,), world=STILL, passes=20.0)
    folder = WorkFolder(tmp_path / "run")
    tracker = stand_still()
    generator, records = train_generator(TASK, tracker, gait_table(), config, folder)
    assert len(records) == 2 and records[1]["loss"] < records[0]["loss"] + 0.05
    again, kept = train_generator(TASK, tracker, gait_table(), config, folder)
    seen = torch.randn(2, generator.mean.numel())
    assert len(kept) == 2 and torch.equal(again(None, seen)[0], generator(None, seen)[0])


def test_imitation_begins_with_an_earlier_generator(tmp_path: Path):
    start = Generator("state", (16,))
    stirred(start)
    config = GeneratorConfig(rounds=1, steps=4, batch=8, lessons=64, hidden=(16,), world=STILL, learning_rate=1e-9)
    found, _ = train_generator(TASK, stand_still(), gait_table(), config, WorkFolder(tmp_path / "run"), start=start)
    seen = torch.randn(2, start.mean.numel())
    assert torch.allclose(found(None, seen)[0], start(None, seen)[0], atol=1e-5)


def test_a_run_that_begins_with_another_generator_is_another_run(tmp_path: Path, capsys: pytest.CaptureFixture):
    """One once went on as if nothing had changed."""
    config = GeneratorConfig(rounds=1, steps=4, batch=8, lessons=64, hidden=(16,), world=STILL, learning_rate=1e-9)
    seen = torch.randn(2, Generator("state", (16,)).mean.numel())
    for start in (Generator("state", (16,)), Generator("state", (16,))):
        stirred(start)
        folder = WorkFolder(tmp_path / "run")
        found, _ = train_generator(TASK, stand_still(), gait_table(), config, folder, start=start)
        assert torch.allclose(found(None, seen)[0], start(None, seen)[0], atol=1e-5)
    assert "earlier_1" in capsys.readouterr().out and (tmp_path / "run" / "earlier_1" / "generator.npz").is_file()


def test_reinforcement_learning_begins_with_the_imitation(tmp_path: Path):
    start = Generator("state", (16, 8))
    stirred(start)
    tracker = stand_still()
    ppo = PpoConfig(iterations=1, steps=4, epochs=1, mini_batches=1, hidden=(16, 8), learning_rate=1e-9, desired_kl=0.0)
    config = GeneratorPpoConfig(2.0, STILL, replace(ppo, save_every=25), AnchorConfig(critic_hidden=(8,)))
    out = tmp_path / "rl"
    found, trainer = train_generator_teacher(TASK, tracker, gait_table(), start, config, out, False)
    seen = torch.randn(3, start.mean.numel()).clamp(-2, 2)
    assert torch.allclose(found(None, seen)[0], start(None, seen)[0], atol=1e-4)
    assert len(trainer.records) == 1 and (out / "checkpoint_000001.pt").is_file()
    train_generator_teacher(TASK, tracker, gait_table(), start, config, out, True)  # nothing is left to do
    with pytest.raises(VmError, match="beginnings"):
        train_generator_teacher(TASK, replace(tracker, clip=False), gait_table(), start, config, out, True)
    stirred(start)
    with pytest.raises(VmError, match="beginnings"):  # it would be held to another imitation
        train_generator_teacher(TASK, tracker, gait_table(), start, config, out, True)


def test_by_default_reinforcement_learning_takes_an_imitation_as_it_is_by_default():
    assert GeneratorPpoConfig().ppo.hidden == GeneratorConfig().hidden


def test_episodes_that_no_checkpoint_would_let_end_are_refused():
    with pytest.raises(VmError, match="between checkpoints"):
        GeneratorPpoConfig(longest_s=2.0, ppo=PpoConfig(steps=10, save_every=9))


class Told(ScriptedGenerator):
    """Keeps what it is told of the thing's place."""

    thoughts: list[np.ndarray | None]

    def command(self, thought: np.ndarray | None = None) -> np.ndarray:
        self.thoughts.append(thought)
        return super().command(thought)


@pytest.mark.parametrize("by_thought", [False, True])
def test_by_thought_the_script_knows_no_more_than_the_student(by_thought: bool):
    config = GeneratorConfig("depth", steps=2, batch=8, lessons=64, hidden=(8,), by_thought=by_thought, world=STILL)
    school = GeneratorSchool(DRIBBLE, stand_still(), gait_table(), config)
    school._teacher = teacher = Told(school.world)
    teacher.thoughts = []
    assert school.round(0, fresh=True)["steps"] > 0
    if by_thought:
        assert teacher.thoughts[-1] is not None
        assert np.array_equal(teacher.thoughts[-1], school._pupil.eyes.memory)
    else:
        assert teacher.thoughts == [None, None]
    school.world.close()


def test_scripts_turn_to_where_the_thing_is_thought_to_be():
    found = ObjectWorld(DRIBBLE, stand_still(), gait_table(), STILL, 0)
    script = ScriptedGenerator(found)
    sticks = []
    for aside in (0.3, -0.3):
        script.reset(np.arange(STILL.worlds))
        found.tick()
        found.run[:] = True
        script.command(np.tile([0.5, aside, 0.0], (STILL.worlds, 1)))
        sticks.append(script._stick[:, 1].copy())
    assert np.all(sticks[0] > 0.0) and np.allclose(sticks[0], -sticks[1])
    found.close()


@pytest.mark.parametrize("change", [{"sight": "state"}, {"task": TASK}, {"teacher": Generator("state", (8,))}])
def test_by_thought_asks_for_eyes_a_script_and_a_middle(change: dict):
    config = GeneratorConfig(change.get("sight", "depth"), by_thought=True, world=STILL)
    with pytest.raises(VmError, match="by_thought"):
        GeneratorSchool(change.get("task", DRIBBLE), stand_still(), gait_table(), config, change.get("teacher"))


@pytest.mark.parametrize("halts", [True, False])
def test_lessons_are_those_of_every_robot_that_works(halts: bool):
    config = GeneratorConfig(steps=4, batch=8, lessons=64, hidden=(8,), world=replace(STILL, halts=halts))
    school = GeneratorSchool(TASK, stand_still(), gait_table(), config)
    school.world._run_at[1] = np.inf  # is told to pause
    school.round(0, fresh=False)
    lessons, working = school._lessons, STILL.worlds - halts
    assert lessons.count == 4 * working
    assert len(np.unique(lessons.seen[: lessons.count], axis=0)) == lessons.count
    school.world.close()
