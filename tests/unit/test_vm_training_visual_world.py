"""Worlds of objects: bits, clamps, seeds, what scripts see of a box; scripts of every task."""

from dataclasses import replace

import numpy as np
import pytest
from object_worlds import STATISTICS, STILL, stand_still, world

from vm_core.errors import VmError
from vm_core.keypoint_command import COMMAND_SIZE
from vm_training.visual.gait_table import gait_table
from vm_training.visual.object_world import ObjectWorld, Tracker
from vm_training.visual.scripted import ScriptedGenerator
from vm_training.visual.tasks import OBJECT_TASKS


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
