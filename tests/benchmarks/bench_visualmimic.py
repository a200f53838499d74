"""See and move: time of the depth pictures (256 worlds of 80×45) on the CPU; what the shipped policies achieve."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator

import numpy as np
import visualmimic_tasks

from vm_core.scene_asset import SceneAsset
from vm_sim.depth_shapes import DepthCamera
from vm_sim.g1_model import load_g1_spec, stand_qpos
from vm_sim.objects import add_object, find_object_scene, vary_object
from vm_sim.terrain import add_scene

_WORLDS, _ROUNDS = 256, 25


def figures(seed: int) -> Iterator[dict]:
    yield from _depth(seed)
    yield from visualmimic_tasks.figures(seed)


def _depth(seed: int) -> Iterator[dict]:
    """Robots that bend and swing their arms, each before a push box of its own."""
    rng, task = np.random.default_rng(seed), find_object_scene("push_box")
    spec = load_g1_spec(wrists=False)
    add_scene(spec, SceneAsset())
    add_object(spec, task.thing)
    nominal = spec.compile()
    models = [copy.copy(nominal) for _ in range(_WORLDS)]
    for model in models:
        vary_object(model, task.ranges.draw(task.thing, rng))
    qpos = np.tile(stand_qpos(nominal), (_WORLDS, 1))
    qpos[:, 7:30] += rng.normal(0.0, 0.3, (_WORLDS, 23))
    qpos[:, 30:] = [model.qpos0[30:] for model in models]
    qpos[:, 30] -= rng.uniform(0.0, 0.4, _WORLDS)  # some of them near
    camera = DepthCamera(models)
    camera.render(qpos)
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        camera.render(qpos)
        times.append(1000.0 * (time.perf_counter() - start))
    name = "depth of 80x45, 256 environments, one CPU thread"
    yield {"figure": name, "value": round(float(np.median(times)), 2), "unit": "ms", "goal": 60.0, "better": "lower"}
