"""What new eyes learn first: pictures of the thing where it is put, while robots work."""

import numpy as np
import pytest
import torch

from vm_core.depth_image import DepthSpec
from vm_core.keypoint_command import COMMAND_SIZE, CommandStatistics
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.mdp.randomization import DomainRanges
from vm_training.student import Student
from vm_training.visual.gait_table import gait_table
from vm_training.visual.generator import Eyes, Generator, GeneratorEyes
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


def test_eyes_learn_where_the_thing_is(glances):
    found, _ = glances
    torch.manual_seed(0)
    network = Generator("depth", (16,))
    untaught = learn_to_find(network, found, 1, np.random.default_rng(0))
    assert learn_to_find(network, found, 60, np.random.default_rng(0)) < 0.5 * untaught


def test_pictures_survive_as_bytes():
    depth = np.linspace(-0.5, 0.5, 45 * 80, dtype=np.float32).reshape(1, 45, 80)
    assert np.abs(as_depth(as_bytes(depth)).numpy() - depth).max() < 0.0021


def test_eyes_find_what_stands_out_wherever_the_picture_has_it():
    eyes, spec = Eyes(), DepthSpec()
    floor = np.linspace(0.4, -0.4, spec.height)[None, :, None] * np.ones((1, 1, spec.width))
    with torch.no_grad():
        for layer in eyes.layers:
            if isinstance(layer, torch.nn.Conv2d):  # each passes on what is nearer than the floor
                layer.weight.zero_()
                layer.bias.zero_()  # type: ignore[union-attr]
                layer.weight[:, 0, layer.kernel_size[0] // 2, layer.kernel_size[1] // 2] = (
                    -3.0 if layer.in_channels == 1 else 3.0
                )
    rng = np.random.default_rng(0)
    eyes.normalize(floor + rng.normal(0.0, 0.02, (50, spec.height, spec.width)))
    places = []
    for column in (20, 60):
        picture = floor.copy()
        picture[0, 24:32, column - 4 : column + 4] -= 0.2
        places.append(eyes(torch.from_numpy(picture.astype(np.float32)))[0, :2].detach().numpy())
    assert places[0][0] == pytest.approx(-0.5, abs=0.1) and places[1][0] == pytest.approx(0.5, abs=0.1)
    assert places[0][1] == pytest.approx(places[1][1], abs=0.05)
