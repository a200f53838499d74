"""Generators: what they see of themselves and of the thing, and the network that says the 18 numbers."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import nn

from vm_core.depth_image import DepthSpec
from vm_core.frames import yaw_from_quat
from vm_core.gait_clock import gait_phase
from vm_core.keypoint_command import COMMAND_SIZE
from vm_core.observation import build_terms
from vm_core.policy_contract import ObservationTerm
from vm_sim.depth_noise import DepthDelay, DepthNoise, DepthNoiseConfig, NumpyDraws
from vm_sim.depth_shapes import DepthCamera
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.student import NormalizedNetwork, perceptron
from vm_training.visual.gait_table import QUICK_STOP, STEP_S
from vm_training.visual.object_world import PERIOD_S, ObjectWorld
from vm_training.visual.tracker import Proprioceptor

HISTORY = 3
OWN_TERMS = (
    ObservationTerm("base_ang_vel", 3, (0.5,), history_length=HISTORY),
    ObservationTerm("projected_gravity", 3, (4.0,), history_length=HISTORY),
    ObservationTerm("joint_pos_rel", NUM_JOINTS, (3.0,), history_length=HISTORY),
    ObservationTerm("joint_vel_rel", NUM_JOINTS, (0.3,), (-20.0, 20.0), history_length=HISTORY),
    ObservationTerm("last_keypoint_command", COMMAND_SIZE, (10.0,), (-1.0, 1.0), history_length=HISTORY),
    ObservationTerm("gait_phase", 2, (2.0,)),
    ObservationTerm("task_heading", 2, (2.0,)),
    ObservationTerm("run", 1, (2.0,)),
)
"""What every generator reads, on the robot too; the gait clock goes while the run bit is 1."""
OBJECT_SIZE = 16
OWN_SIZE = sum(term.size * term.history_length for term in OWN_TERMS)
COMMAND_SCALE_M = 0.1
Sight = Literal["state", "depth", "blind"]
"""What a generator knows of the thing: everything, a depth picture, nothing."""


def object_state(world: ObjectWorld) -> np.ndarray:
    """(N, OBJECT_SIZE) of a teacher: the thing from the pelvis in its heading frame, its motion, lane, size, weight."""
    view = world.view()
    near = view.ahead(view.thing)
    turn = view.thing_yaw - view.heading
    c, s = np.cos(view.heading), np.sin(view.heading)
    vx, vy = view.thing_vel[:, 0], view.thing_vel[:, 1]
    return np.column_stack(
        [
            near,
            view.thing[:, 2] - view.root[:, 2],
            np.sin(turn),
            np.cos(turn),
            c * vx + s * vy,
            -s * vx + c * vy,
            np.clip(view.thing[:, 1], -1.0, 1.0),
            np.clip(view.root[:, 1], -1.0, 1.0),
            view.gap,
            view.bearing,
            view.half_size,
            view.weight_n / 50.0,
            world.run,
        ]
    ).astype(np.float32)


class GeneratorEyes:
    """What generators of N worlds see in each control period.

    Attributes:
        sight: of the thing.
    """

    def __init__(self, world: ObjectWorld, sight: Sight, noise: DepthNoiseConfig | None = None, seed: int = 0) -> None:
        self._world, self.sight = world, sight
        count = world.num_envs
        self._own = Proprioceptor(OWN_TERMS, count, world.config.sensors)
        self.spec = DepthSpec()
        self._rng = np.random.default_rng(seed)
        if sight == "depth":
            config, draws = noise or DepthNoiseConfig(), NumpyDraws(self._rng)
            self._camera = DepthCamera(world.models, self.spec)
            self._noise = DepthNoise(count, self.spec, config, draws)
            self._delay = DepthDelay(count, self.spec, PERIOD_S, config.latency_s[1], draws)

    def reset(self, envs: np.ndarray) -> None:
        """Worlds (E,) start anew."""
        self._own.reset(envs)
        if self.sight == "depth" and len(envs):
            self._noise.reset(envs, len(envs))
            self._delay.reset(envs, len(envs))

    def look(self) -> tuple[np.ndarray, np.ndarray | None]:
        """(N, n) of this control period, and (N, height, width) scaled depth or None; after `ObjectWorld.tick`."""
        world = self._world
        inputs = self._own.sense(world.qpos, world.qvel, self._rng)
        inputs.last_keypoint_command = world.command
        inputs.gait_phase = np.nan_to_num(gait_phase(*_finite(*world.clock), STEP_S))
        inputs.task_yaw = yaw_from_quat(world.qpos[:, 3:7])
        inputs.run = world.run.astype(float)
        seen = self._own.observe(build_terms(OWN_TERMS, inputs))
        if self.sight == "state":
            seen = np.concatenate([seen, object_state(world)], axis=1)
        depth = self._picture() if self.sight == "depth" else None
        return np.nan_to_num(seen), depth

    def _picture(self) -> np.ndarray:
        tilt = np.asarray(self._noise.tilt, dtype=float)
        clean = self._camera.render(np.nan_to_num(self._world.physics.qpos), tilt).astype(np.float32)
        late = self._delay.push(clean, self._noise.latency_s)
        return self.spec.scaled(self._noise.apply(late)).astype(np.float32)


def _finite(since_s: np.ndarray, walk_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At rest the clock fades out as long before a first step."""
    return np.where(np.isnan(since_s), -10.0, since_s), walk_s


class Generator(NormalizedNetwork):
    """Commands (N, 18) [m] from observations (N, n) and, if it sees, depth pictures (N, height, width)."""

    def __init__(self, sight: Sight, hidden: tuple[int, ...] = (256, 128), latent: int = 48) -> None:
        inputs = OWN_SIZE + (OBJECT_SIZE if sight == "state" else 0)
        super().__init__(inputs)
        self.sight: Sight = sight
        self.steps_to_rest = QUICK_STOP
        if sight == "depth":
            spec = DepthSpec()
            self.eyes = nn.Sequential(
                nn.Conv2d(1, 8, 5, stride=2, padding=2), nn.ELU(),
                nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ELU(),
                nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.ELU(), nn.Flatten(),
                nn.Linear(16 * (-(-spec.height // 8)) * (-(-spec.width // 8)), latent), nn.ELU(),
            )  # fmt: skip
        self.mlp = perceptron(inputs + (latent if sight == "depth" else 0), hidden, COMMAND_SIZE)

    def forward(self, depth: torch.Tensor | None, observation: torch.Tensor) -> torch.Tensor:
        seen = ((observation - self.mean) / self.spread).clamp(-8.0, 8.0)
        if self.sight == "depth":
            assert depth is not None
            seen = torch.cat([seen, self.eyes(depth[:, None])], dim=1)
        return COMMAND_SCALE_M * self.mlp(seen)

    def command(self, seen: np.ndarray, depth: np.ndarray | None) -> np.ndarray:
        """(N, 18) [m] without gradients."""
        with torch.inference_mode():
            picture = None if depth is None else torch.from_numpy(depth)
            return self(picture, torch.from_numpy(seen)).numpy().astype(np.float64)
