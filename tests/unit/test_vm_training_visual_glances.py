"""What new eyes learn first: pictures of the thing where it is put, while robots work."""

import numpy as np
import pytest
import torch

from vm_core.depth_image import DepthSpec
from vm_core.keypoint_command import COMMAND_SIZE, CommandStatistics
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.randomization import DomainRanges
from vm_training.student import Student
from vm_training.visual.eyes import KINDS, NOWHERE, Eyes, cell_of, shown
from vm_training.visual.gait_table import gait_table
from vm_training.visual.generator import Generator, GeneratorEyes
from vm_training.visual.object_world import ObjectWorld, Tracker, WorldConfig
from vm_training.visual.seen_lessons import as_bytes, as_depth, glance_around, learn_to_find
from vm_training.visual.tasks import OBJECT_TASKS
from vm_training.visual.tracker import OBSERVATION_SIZE

STILL = WorldConfig(worlds=3, ranges=DomainRanges.none(), run_share=1.0, run_after_s=(0.0, 0.0))


@pytest.fixture(scope="module")
def glances():
    statistics = CommandStatistics((0.0,) * COMMAND_SIZE, (0.05,) * COMMAND_SIZE)
    tracker = Tracker(Student(OBSERVATION_SIZE, NUM_JOINTS, (8,)), statistics)
    world = ObjectWorld(OBJECT_TASKS["kick_ball"], tracker, gait_table(), STILL, 0)
    eyes = GeneratorEyes(world, "depth")
    before = world.physics.qpos.copy()
    found = glance_around(world, eyes, lambda: None, 16, np.random.default_rng(0))
    moved = np.abs(world.physics.qpos - before).max()
    world.close()
    return found, moved


def test_things_are_put_back_and_pictures_differ_by_where_they_were(glances):
    found, moved = glances
    assert moved == 0.0
    assert len(found.pictures) == len(found.seen) == len(found.places) == 48
    assert len(np.unique(found.pictures.reshape(48, -1), axis=0)) > 24  # some places are out of view


def test_the_thing_stands_out_where_it_is_said_to_be_seen(glances):
    found, _ = glances
    assert 0.3 < (found.cells < NOWHERE).mean() < 0.95
    map_of = torch.nn.functional.avg_pool2d(shown(as_depth(found.pictures))[:, :1], 4, 4, ceil_mode=True).flatten(1)
    there = np.flatnonzero(found.cells < NOWHERE)
    assert np.median(map_of[there, found.cells[there]]) > 0.1 > 2.0 * map_of.median(dim=1).values.abs().max()
    left = found.places[there, 1] > 0.2
    assert (found.cells[there][left] % 20 < 12).all()


def test_eyes_learn_where_the_thing_is(glances):
    found, _ = glances
    torch.manual_seed(0)
    network = Generator("depth", (16,))
    untaught = learn_to_find(network, found, 1, np.random.default_rng(0))
    assert learn_to_find(network, found, 60, np.random.default_rng(0)) < 0.85 * untaught


def test_pictures_survive_as_bytes():
    depth = np.linspace(-0.5, 0.5, 45 * 80, dtype=np.float32).reshape(1, 45, 80)
    assert np.abs(as_depth(as_bytes(depth)).numpy() - depth).max() < 0.0021


def test_floors_do_not_stand_out_whatever_way_the_camera_looks():
    spec, rng = DepthSpec(), np.random.default_rng(0)
    slope = rng.normal(0.0, 0.15, (5, 2, 1, 1))
    metres = 1.0 / (0.9 + slope[:, 0] * spec.rays[None, ..., 0] + slope[:, 1] * spec.rays[None, ..., 1])
    assert metres.min() > 0.6 and metres.max() < 2.0
    floor = torch.from_numpy(spec.scaled(metres).astype(np.float32))
    assert shown(floor)[:, 0, 8:-8, 8:-8].abs().max() < 1e-3
    floor[:, 20:28, 30:40] = floor[:, 20:28, 30:40] - 0.1
    assert shown(floor)[:, 0, 22:26, 32:38].min() > 0.1


def test_details_have_their_place_in_the_picture_or_none():
    eyes = Eyes()
    across, down = np.array([-0.5, 0.5, 0.0]), np.array([0.25, -0.6, 0.0])
    cells = cell_of(across, down, np.array([True, True, False]))
    details = torch.full((3, KINDS, NOWHERE + 1), -20.0)
    details[np.arange(3), 0, cells] = 20.0
    latent = eyes.summary(details).numpy()
    assert np.allclose(latent[:2, 0], across[:2], atol=0.06) and np.allclose(latent[:2, 1], down[:2], atol=0.1)
    assert np.allclose(latent[:, 2 * KINDS], [1.0, 1.0, 0.0], atol=1e-4)
