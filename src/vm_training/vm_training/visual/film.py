"""A film of one robot at an object task: the G1, the object, and what its camera sees in a corner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mujoco
import numpy as np

from vm_core import g1
from vm_core.depth_image import DepthSpec
from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_sim.depth_shapes import DepthCamera
from vm_sim.g1_model import joint_addresses
from vm_sim.objects import ObjectSpec, add_object
from vm_sim.render import RenderConfig, build_visual_model, write_video
from vm_training.visual.commander import Saying
from vm_training.visual.gait_table import GaitTable
from vm_training.visual.object_evaluation import commander_of, world_config
from vm_training.visual.object_world import NUM_QPOS, PERIOD_S, ObjectWorld, Tracker
from vm_training.visual.tasks.base import ObjectTask

FPS = 25.0


def film(
    task: ObjectTask,
    tracker: Tracker,
    table: GaitTable,
    generator: Saying | None,
    out: Path,
    seed: int,
    length_s: float = 30.0,
) -> None:
    """Lets one robot act and writes an mp4; it ends early if the robot falls.

    Raises:
        VmError: an output that is no .mp4.
    """
    if out.suffix != ".mp4":
        raise VmError(f"{out}: expected a name that ends in .mp4")
    config = RenderConfig(width=640, height=400, fps=FPS)
    world = ObjectWorld(task, tracker, table, world_config(1, generator), seed)
    commander = commander_of(world, "film", generator)
    commander.reset(np.arange(1))
    camera, spec = DepthCamera(world.models), DepthSpec()
    states, pictures = [], []
    for step in range(round(length_s / PERIOD_S)):
        world.tick()
        if step % round(1.0 / FPS / PERIOD_S) == 0:
            states.append(world.physics.qpos[0].copy())
            pictures.append(spec.scaled(camera.render(world.physics.qpos)[0]) + 0.5)
        world.step(commander.command(), commander.place)
        if world.fallen()[0]:
            break
    world.close()
    frames = _frames(states, pictures, world.things[0], config)
    write_video(out, frames, FPS, len(states), task.name)


def _frames(
    states: list[np.ndarray], pictures: list[np.ndarray], thing: ObjectSpec, config: RenderConfig
) -> Iterator[np.ndarray]:
    model = build_visual_model(SceneAsset(source="film"), config, lambda spec: add_object(spec, thing))
    data = mujoco.MjData(model)
    at, _ = joint_addresses(model, g1.POLICY_JOINT_NAMES)
    wrists, _ = joint_addresses(model, g1.WRIST_JOINT_NAMES)
    view = mujoco.MjvCamera()
    view.azimuth, view.elevation, view.distance = 75.0, -14.0, 3.6  # from the right: a large box hides nobody
    options = mujoco.MjvOption()
    options.geomgroup[:] = [group <= 2 for group in range(len(options.geomgroup))]
    with mujoco.Renderer(model, config.height, config.width) as renderer:
        for state, picture in zip(states, pictures, strict=True):
            data.qpos[:7], data.qpos[at] = state[:7], state[7:NUM_QPOS]
            data.qpos[wrists] = [g1.DEFAULT_STAND_POSE[g1.motor_index(name)] for name in g1.WRIST_JOINT_NAMES]
            data.qpos[-7:] = state[NUM_QPOS:]
            mujoco.mj_kinematics(model, data)
            mujoco.mj_camlight(model, data)
            view.lookat[:] = 0.5 * (state[:3] + state[NUM_QPOS : NUM_QPOS + 3])
            renderer.update_scene(data, view, options)
            yield _with_corner(renderer.render(), picture)


def _with_corner(image: np.ndarray, picture: np.ndarray) -> np.ndarray:
    grey = (255.0 * np.clip(picture, 0.0, 1.0)).astype(np.uint8)
    large = np.repeat(np.repeat(grey, 2, axis=0), 2, axis=1)[..., None].repeat(3, axis=2)
    image = image.copy()
    image[: large.shape[0], : large.shape[1]] = large
    return image
