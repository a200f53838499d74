"""The visual policies that come with the policy node, each before its object."""

from pathlib import Path

import numpy as np
import pytest

import vm_policy_node
from vm_training.mdp.randomization import DomainRanges
from vm_training.visual.bundle import load_bundle
from vm_training.visual.commander import LearntCommander
from vm_training.visual.gait_table import gait_table
from vm_training.visual.object_world import ObjectWorld, WorldConfig
from vm_training.visual.tasks import find_object_task

FOLDER = Path(vm_policy_node.__file__).parent / "policies"
INSTALLED = sorted(path.parent.name for path in FOLDER.glob("*/generator.onnx"))


@pytest.mark.parametrize("name", INSTALLED)
def test_an_installed_policy_reaches_its_object_and_moves_it(name: str):
    task, tracker, generator = load_bundle(FOLDER / name)
    assert task == name
    config = WorldConfig(2, DomainRanges.none(), run_share=1.0, run_after_s=(0.5, 0.5), vary=False, lift=generator.lift)
    world = ObjectWorld(find_object_task(task), tracker, gait_table(tracker.step_s), config, 0)
    commander = LearntCommander(world, generator)
    commander.reset(np.arange(2))
    for _ in range(700 if world.task.lifts else 400):
        world.tick()
        world.step(commander.command(), commander.place)
        assert not world.fallen().any()
    view = world.view()
    if world.task.lifts:
        assert np.all(np.abs(view.thing[:, 2] - world.task.height_m) < 0.15)
    else:
        assert np.all(view.root[:, 0] > 0.4) and (view.thing - view.start)[:, 0].max() > 0.3
    world.close()
