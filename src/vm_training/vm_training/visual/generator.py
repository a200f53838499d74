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
MEMORY_SIZE, MEMORY_M = 2, 2.0
LATENT, SHARPNESS = 48, 8.0
SEEING_TERMS = (*OWN_TERMS, ObservationTerm("memory", MEMORY_SIZE))
"""One that sees also knows where it thought the thing is: ahead and to the left of the pelvis, up to MEMORY_M [m]."""
OBJECT_SIZE = 16
OWN_SIZE = sum(term.size * term.history_length for term in OWN_TERMS)
_YAW_RATE = 3 * (HISTORY - 1) + 2  # the newest of base_ang_vel's, the first term
COMMAND_SCALE_M = 0.1
Sight = Literal["state", "depth", "blind"]
"""What a generator knows of the thing: everything, a depth picture, nothing."""
INPUTS: dict[Sight, int] = {"state": OWN_SIZE + OBJECT_SIZE, "depth": OWN_SIZE + MEMORY_SIZE, "blind": OWN_SIZE}
"""How many numbers it reads beside a picture."""


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
        memory: (N, MEMORY_SIZE) [m] what the generator itself said one control period ago; it sees to that.
    """

    def __init__(
        self,
        world: ObjectWorld,
        sight: Sight,
        noise: DepthNoiseConfig | None = None,
        seed: int = 0,
        terms: tuple[ObservationTerm, ...] | None = None,
    ) -> None:
        self._world, self.sight = world, sight
        count = world.num_envs
        self.terms = terms or (SEEING_TERMS if sight == "depth" else OWN_TERMS)
        self.memory = np.zeros((count, MEMORY_SIZE))
        self._own = Proprioceptor(self.terms, count, world.config.sensors)
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
        self.memory[envs] = 0.0
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
        inputs.run, inputs.memory = world.run.astype(float), self.memory
        seen = self._own.observe(build_terms(self.terms, inputs))
        if self.sight == "state":
            seen = np.concatenate([seen, object_state(world)], axis=1)
        depth = self._picture() if self.sight == "depth" else None
        return np.nan_to_num(seen), depth

    def glance(self) -> np.ndarray:
        """(N, height, width) scaled pictures of this very moment, with the camera's noise, which none will remember."""
        tilt = np.asarray(self._noise.tilt, dtype=float)
        clean = self._camera.render(np.nan_to_num(self._world.physics.qpos), tilt).astype(np.float32)
        return self.spec.scaled(self._noise.apply(clean)).astype(np.float32)

    def _picture(self) -> np.ndarray:
        tilt = np.asarray(self._noise.tilt, dtype=float)
        clean = self._camera.render(np.nan_to_num(self._world.physics.qpos), tilt).astype(np.float32)
        late = self._delay.push(clean, self._noise.latency_s)
        return self.spec.scaled(self._noise.apply(late)).astype(np.float32)


def _finite(since_s: np.ndarray, walk_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At rest the clock fades out as long before a first step."""
    return np.where(np.isnan(since_s), -10.0, since_s), walk_s


class Eyes(nn.Module):
    """Where things are in a depth picture: from (N, height, width) to (N, 3 C), for each of C kinds of detail its place
    across and down the picture, and how much of it is there.

    Pictures come to zero mean and unit spread pixel by pixel: what the floor always looks like is not worth a glance.
    """

    mean: torch.Tensor
    spread: torch.Tensor
    places: torch.Tensor

    def __init__(self, latent: int = LATENT) -> None:
        super().__init__()
        spec, kinds = DepthSpec(), latent // 3
        self.register_buffer("mean", torch.zeros(spec.height, spec.width))
        self.register_buffer("spread", torch.ones(spec.height, spec.width))
        down, across = (torch.linspace(-1.0, 1.0, -(-size // 4)) for size in (spec.height, spec.width))
        self.register_buffer("places", torch.cartesian_prod(down, across).flip(1), persistent=False)
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2, padding=2), nn.ELU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ELU(),
            nn.Conv2d(16, kinds, 3, padding=1),
        )  # fmt: skip

    def normalize(self, depth: np.ndarray, least_spread: float = 0.02) -> None:
        """Takes mean and spread from pictures (n, height, width)."""
        self.mean.copy_(torch.from_numpy(depth.mean(axis=0, dtype=np.float64)))
        self.spread.copy_(torch.from_numpy(np.maximum(depth.std(axis=0, dtype=np.float64), least_spread)))

    def forward(self, depth: torch.Tensor) -> torch.Tensor:
        shown = SHARPNESS * self.layers(((depth - self.mean) / self.spread).clamp(-5.0, 5.0)[:, None]).flatten(2)
        share = torch.softmax(shown, dim=2)
        where = share @ self.places
        return torch.cat([where.flatten(1), torch.tanh(0.2 / SHARPNESS * (share * shown).sum(dim=2))], dim=1)


class Generator(NormalizedNetwork):
    """Commands (N, 18) [m] from observations (N, n) and, if it sees, depth pictures (N, height, width)."""

    def __init__(self, sight: Sight, hidden: tuple[int, ...] = (256, 128), latent: int = LATENT) -> None:
        inputs = INPUTS[sight]
        super().__init__(inputs)
        self.sight: Sight = sight
        self.halts, self.steps_to_rest = True, QUICK_STOP
        self.terms: tuple[ObservationTerm, ...] | None = None
        if sight == "depth":
            self.eyes = Eyes(latent)
            self.finds = perceptron(inputs + latent, (64,), 2 * MEMORY_SIZE + 1)
        self.mlp = perceptron(inputs + (latent + MEMORY_SIZE if sight == "depth" else 0), hidden, COMMAND_SIZE)

    def normalize(self, observations: np.ndarray, least_spread: float = 0.1) -> None:
        super().normalize(observations, least_spread)
        if self.sight == "depth":  # what it will remember is nothing yet
            self.mean[-MEMORY_SIZE:], self.spread[-MEMORY_SIZE:] = 0.0, 0.5 * MEMORY_M

    def forward(self, depth: torch.Tensor | None, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Commands (N, 18) [m], and where the thing is thought to be (N, MEMORY_SIZE) [m]: said by those that see."""
        seen = ((observation - self.mean) / self.spread).clamp(-8.0, 8.0)
        thought = observation[:, :0]
        if self.sight == "depth":
            assert depth is not None
            seen = torch.cat([seen, self.eyes(depth)], dim=1)
            thought = self._found(seen, observation)
            seen = torch.cat([seen, thought / (0.5 * MEMORY_M)], dim=1)
        return COMMAND_SCALE_M * self.mlp(seen), thought

    def _found(self, seen: torch.Tensor, observation: torch.Tensor) -> torch.Tensor:
        """What was thought is turned and carried as the robot goes; the picture corrects it as far as it shows."""
        ahead, left = observation[:, -2], observation[:, -1]
        turn = PERIOD_S / OWN_TERMS[0].scale[0] * observation[:, _YAW_RATE]
        before = torch.stack([ahead + turn * left, left - turn * ahead], dim=1)
        found, goes, trust = self.finds(seen).split([MEMORY_SIZE, MEMORY_SIZE, 1], dim=1)
        carried = before + PERIOD_S * goes
        return (carried + torch.sigmoid(trust) * (found - carried)).clamp(-MEMORY_M, MEMORY_M)

    def look(self, seen: np.ndarray, depth: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """`forward` on arrays, without gradients."""
        with torch.inference_mode():
            picture = None if depth is None else torch.from_numpy(depth)
            command, thought = self(picture, torch.from_numpy(seen))
        return command.numpy().astype(np.float64), thought.numpy().astype(np.float64)
