"""`vm-play POLICY`: one robot under a policy; with a screen a window, keyboard and joystick, without one a film."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from vm_core import command_line
from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_sim.render import RenderConfig, build_visual_model, render_video
from vm_training.benchmark.courses import Episode
from vm_training.benchmark.physics import build_models, physics_named
from vm_training.benchmark.robots import Robots
from vm_training.benchmark.runner import simple_grid
from vm_training.policy_file import PolicyFile

_ARROWS = {265: (0, 1), 264: (0, -1), 263: (2, 1), 262: (2, -1), 44: (1, 1), 46: (1, -1)}
"""GLFW's codes of up, down, left, right, comma and full stop: which command grows or shrinks."""
_STOP, _STEPS = 32, (0.1, 0.1, 0.1)
_DEAD_ZONE = 0.08


@dataclass(frozen=True)
class Play:
    """Runs a policy on one robot.

    Attributes:
        policy: ONNX file with a contract.
        scene: folder of a scene; level ground by default.
        physics: name of a physics, as vm-evaluate has them.
        script: commands "vx vy yaw_rate seconds", separated by commas; for the film, and in a window until a key comes.
        out: film (.mp4); asked for, or without a screen, there is no window.
        seed: of noise and start.
    """

    policy: Annotated[Path, tyro.conf.Positional]
    scene: Path | None = None
    physics: str = "nominal"
    script: str = "0 0 0 1, 0.35 0 0 4, 0.3 0 0.3 3, 0.35 0 0 2, 0 0 0 2"
    out: Path | None = None
    seed: int = 0


def play(options: Play) -> Path | None:
    """Plays in a window, or writes a film and returns its path.

    Raises:
        VmError: no such policy, scene or physics, or a script that is none.
    """
    policy = PolicyFile.load(options.policy)
    scene = SceneAsset() if options.scene is None else SceneAsset.load(options.scene)
    script = read_script(options.script)
    if policy.reference is not None:
        length = len(policy.reference.joint_pos) * policy.contract.control_period_s + 2.0
        script = [(np.zeros(3), length)]
    robots = one_robot(policy, scene, options.physics, options.seed)
    if options.out is None and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        _in_window(robots, scene, script)
        return None
    out = options.out or Path(f"{options.policy.stem}.mp4")
    qpos = np.stack(list(scripted(robots, script)))
    times = np.arange(len(qpos)) * policy.contract.control_period_s
    render_video(times, qpos, scene, out, RenderConfig())
    return out


def read_script(text: str) -> list[tuple[np.ndarray, float]]:
    """Commands (3,) and how long each lasts [s].

    Raises:
        VmError: not four numbers each, or a time that is not positive.
    """
    found = []
    for part in text.split(","):
        try:
            vx, vy, yaw_rate, seconds = (float(word) for word in part.split())
        except ValueError:
            raise VmError(f"script {part.strip()!r}: expected four numbers, vx vy yaw_rate seconds") from None
        if not np.isfinite([vx, vy, yaw_rate]).all() or not 0.0 < seconds < 3600.0:
            raise VmError(f"script {part.strip()!r}: expected finite commands and a time above 0 s")
        found.append((np.array([vx, vy, yaw_rate]), seconds))
    return found


def one_robot(policy: PolicyFile, scene: SceneAsset, physics: str, seed: int) -> Robots:
    """A robot at the scene's origin."""
    variant = physics_named(physics)
    models = build_models([scene], policy.contract, variant, np.random.default_rng(seed))
    return Robots(policy, models, [Episode(scene, 0.0, 0.0, np.inf)], variant, seed, threads=1)


def scripted(robots: Robots, script: list[tuple[np.ndarray, float]]) -> Iterator[np.ndarray]:
    """Configurations (36,) of every control period; ends early when the robot has diverged."""
    limits = np.array(robots.contract.command_limits, dtype=float)
    grid = simple_grid(robots, "true", 0) if robots.contract.height_grid is not None else None
    for command, seconds in script:
        within = np.clip(command, limits[:, 0], limits[:, 1])
        for _ in range(round(seconds / robots.contract.control_period_s)):
            robots.act(within[None], grid, np.arange(1))
            if not np.isfinite(robots.physics.qpos[0]).all():
                return
            yield robots.physics.qpos[0].copy()


def _in_window(robots: Robots, scene: SceneAsset, script: list[tuple[np.ndarray, float]]) -> None:
    """Arrows drive and turn, comma and full stop sidestep, space stops; a joystick's sticks come first."""
    import mujoco.viewer

    model = build_visual_model(scene, RenderConfig())
    data = mujoco.MjData(model)
    limits = np.array(robots.contract.command_limits, dtype=float)
    wish, touched = np.zeros(3), [False]

    def on_key(code: int) -> None:
        touched[0] = True
        if code == _STOP:
            wish[:] = 0.0
        elif code in _ARROWS:
            axis, sign = _ARROWS[code]
            wish[axis] = np.clip(wish[axis] + sign * _STEPS[axis], *limits[axis])

    frames = scripted(robots, script)
    grid = simple_grid(robots, "true", 0) if robots.contract.height_grid is not None else None
    period = robots.contract.control_period_s
    print("arrows drive and turn, comma and full stop sidestep, space stops; close the window to end")
    with mujoco.viewer.launch_passive(model, data, key_callback=on_key, show_left_ui=False) as viewer:
        due = time.monotonic()
        while viewer.is_running():
            stick = _joystick(limits)
            if touched[0] or stick is not None:
                robots.act((wish if stick is None else stick)[None], grid, np.arange(1))
            elif next(frames, None) is None:
                touched[0] = True
            data.qpos[:] = np.nan_to_num(robots.physics.qpos[0])
            mujoco.mj_forward(model, data)
            viewer.sync()
            due += period
            time.sleep(max(due - time.monotonic(), 0.0))


def _joystick(limits: np.ndarray) -> np.ndarray | None:
    """The first joystick's command (3,), or None while there is none or its sticks rest."""
    import glfw

    if not glfw.init() or not glfw.joystick_present(glfw.JOYSTICK_1):
        return None
    axes: Any = glfw.get_joystick_axes(glfw.JOYSTICK_1)
    count = int(axes[1])
    values = [float(axes[0][i]) if i < count else 0.0 for i in (1, 0, 3)]
    sticks = np.array([-value if abs(value) > _DEAD_ZONE else 0.0 for value in values])
    if not sticks.any():
        return None
    return np.where(sticks >= 0.0, sticks * limits[:, 1], -sticks * limits[:, 0])


def _main() -> int:
    film = play(tyro.cli(Play, prog="vm-play", args=sys.argv[1:]))
    if film is not None:
        print(f"film: {film}")
    return 0


def main() -> None:
    """Console entry point of `vm-play`."""
    command_line.run(_main)
