"""Generators: what they see, what they remember, what teaches their eyes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from object_worlds import STILL, stirred, world

from vm_core.depth_image import DepthSpec
from vm_training.visual.eyes import KINDS, LATENT
from vm_training.visual.generator import (
    HEADING,
    HEADING_SCALE,
    INPUTS,
    LEGS,
    MEMORY_SIZE,
    TOES_M,
    Generator,
    GeneratorEyes,
)
from vm_training.visual.object_world import PERIOD_S


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


def test_what_is_remembered_turns_with_the_robot_until_the_picture_shows_it():
    generator = Generator("depth", (8,))
    last = generator.finds[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.7, -0.2, 30.0]))  # found there, and to be trusted
    seen, latent = torch.zeros(1, INPUTS["depth"]), torch.zeros(1, LATENT)  # nothing in the picture
    seen[0, 8], thought = 0.5 * 1.0, torch.tensor([[1.0, 0.0, 0.4]])  # 1 rad/s to the left, in the term's scale
    for _ in range(25):
        seen[:, -MEMORY_SIZE:] = thought
        thought = generator.think(latent, seen)[0].detach()
    assert np.allclose(thought.numpy(), [[np.cos(0.5), -np.sin(0.5), 0.4]], atol=6e-3)
    seen[:] = 0.0
    seen[0, LEGS] = torch.tensor([0.1, 0.0])  # its legs go ahead at 0.1 m/s
    seen[:, -MEMORY_SIZE:] = thought
    carried = generator.think(latent, seen)[0].detach()
    assert np.allclose((thought - carried).numpy(), [[0.002, 0.0, 0.0]], atol=1e-6)
    latent[0, 2 * KINDS], thought = 1.0, torch.tensor([[1.5, 0.6, 0.0]])
    seen[:] = 0.0
    moved = []
    for _ in range(80):
        seen[:, -MEMORY_SIZE:] = thought
        thought, before = generator.think(latent, seen)[0].detach(), thought
        moved.append(float(torch.linalg.norm(thought - before)))
    assert moved[0] < 0.03 < max(moved)  # a surprise counts little at first: it may be a mask
    assert np.allclose(thought.numpy(), [[0.7, -0.2, 0.0]], atol=1e-3)


def test_who_sees_knows_how_far_it_went_to_the_left_of_its_start():
    generator, seen, thought = Generator("depth", (8,)), torch.zeros(1, INPUTS["depth"]), torch.zeros(1, MEMORY_SIZE)
    for heading, goes, way_m in ((0.5, (0.3, 0.0), 0.3 * np.sin(0.5)), (0.5, (0.0, 0.1), 0.1 * np.cos(0.5))):
        before = thought[0, 2].item()
        seen[0, HEADING] = HEADING_SCALE * torch.tensor([np.cos(heading), np.sin(heading)], dtype=torch.float32)
        seen[0, LEGS] = torch.tensor(goes)
        for _ in range(50):
            seen[:, -MEMORY_SIZE:] = thought
            thought = generator.think(torch.zeros(1, LATENT), seen)[0].detach()
        assert thought[0, 2].item() - before == pytest.approx(way_m, abs=1e-4)


def test_a_thing_before_walking_feet_goes_along():
    """Out of view right before the toes it is not thought to be behind; who turns, or passes it by, leaves it there."""
    generator = Generator("depth", (8,))
    seen = torch.zeros(3, INPUTS["depth"])
    seen[:, LEGS.start] = 0.3  # m/s ahead
    seen[2, LEGS] = torch.tensor([-0.3, 0.0])
    seen[:, -MEMORY_SIZE:] = torch.tensor([[0.4, 0.1, 0.0], [0.4, 0.3, 0.0], [0.2, 0.0, 0.0]])
    for _ in range(200):
        thought = generator.think(torch.zeros(3, LATENT), seen)[0].detach()
        seen[:, -MEMORY_SIZE:] = thought
    assert thought[0, 0] == pytest.approx(TOES_M) and thought[0, 1] == pytest.approx(0.1)
    assert thought[1, 0] == pytest.approx(0.4 - 200 * PERIOD_S * 0.3, abs=1e-4)
    assert thought[2, 0] == pytest.approx(0.2 + 200 * PERIOD_S * 0.3, abs=1e-4)


def test_who_went_far_aside_finds_back():
    generator, seen, thought = Generator("depth", (8,)), torch.zeros(1, INPUTS["depth"]), torch.zeros(1, MEMORY_SIZE)
    seen[0, HEADING] = HEADING_SCALE * torch.tensor([1.0, 0.0])
    for aside in (1.0, -1.0):
        seen[0, LEGS] = torch.tensor([0.0, aside])
        for _ in range(250):  # 5 m and back
            seen[:, -MEMORY_SIZE:] = thought
            thought = generator.think(torch.zeros(1, LATENT), seen)[0].detach()
        assert thought[0, 2].item() == pytest.approx(2.5 * (1.0 + aside), abs=1e-3)


def test_the_heading_is_where_the_network_looks_for_it():
    found = world()
    found.physics.qpos[:, 3:7] = [np.cos(0.3), 0.0, 0.0, np.sin(0.3)]
    found.tick()
    seen, _ = GeneratorEyes(found, "depth").look()
    assert np.allclose(seen[:, HEADING] / HEADING_SCALE, [np.cos(0.6), np.sin(0.6)], atol=1e-5)
    found.close()


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
