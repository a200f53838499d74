"""Generators: what they see of themselves and of the thing, and the network that says the 18 numbers."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from vm_core.depth_image import DepthSpec
from vm_core.frames import quat_rotate_inverse, yaw_from_quat
from vm_core.gait_clock import QUICK_STOP, gait_phase
from vm_core.keypoint_command import COMMAND_SIZE
from vm_core.lifting import LiftPath
from vm_core.observation import build_terms
from vm_core.policy_contract import ObservationTerm
from vm_sim.depth_noise import DepthDelay, DepthNoise, DepthNoiseConfig, NumpyDraws
from vm_sim.depth_shapes import DepthCamera, camera_pose
from vm_training.mdp.clip_tracking import NUM_JOINTS
from vm_training.student import NormalizedNetwork, perceptron
from vm_training.visual.eyes import KINDS, LATENT, Eyes, cell_of
from vm_training.visual.object_world import PERIOD_S, ObjectWorld
from vm_training.visual.tasks.base import LANE_M
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
PLACE_SIZE, MEMORY_SIZE, MEMORY_M, FARTHEST_M = 2, 3, 2.0, 50.0
SEEING_TERMS = (*OWN_TERMS, ObservationTerm("leg_velocity", 2), ObservationTerm("memory", MEMORY_SIZE))
"""One that sees also knows how fast its legs carry it, where it thought the thing is, ahead and to the left of the
pelvis, each up to MEMORY_M, and how far to the left of its start it thought itself, across the way that it faced then,
up to FARTHEST_M [m]: a count that ends early is wrong for good."""
OBJECT_SIZE = 16
OWN_SIZE = sum(term.size * term.history_length for term in OWN_TERMS)
_YAW_RATE = 3 * (HISTORY - 1) + 2  # the newest of base_ang_vel's, the first term
_JOINTS_BEGIN = 6 * HISTORY  # after base_ang_vel and projected_gravity
FELT = (
    slice(_JOINTS_BEGIN - 3, _JOINTS_BEGIN),
    slice(_JOINTS_BEGIN + (HISTORY - 1) * NUM_JOINTS, _JOINTS_BEGIN + HISTORY * NUM_JOINTS),
)
FELT_SIZE = 3 + NUM_JOINTS
"""Which of OWN_TERMS say how the camera is held: the newest of gravity and of the joints."""
_HEADING_BEGIN = (6 + 2 * NUM_JOINTS + COMMAND_SIZE) * HISTORY + 2  # after gait_phase
HEADING, HEADING_SCALE = slice(_HEADING_BEGIN, _HEADING_BEGIN + 2), OWN_TERMS[-2].scale[0]
"""Cosine and sine of where it faces since the start, and their scale."""
LEGS = slice(OWN_SIZE, OWN_SIZE + 2)
"""Of SEEING_TERMS: the pelvis' velocity ahead and to the left [m/s]. What it was told to do is no measure of the way of
one that pushes: after 30 s before a box it was 1 m off to the side, the legs' 0.1 m."""
_UNMASKED_M, _UNSURE, MOST_TRUST, SURPRISE_M, UNLIKELY = 0.12, 0.7, 0.3, 0.3, 0.05
TOES_M, BEFORE_FEET_M = 0.28, 0.18
"""A thing that is no farther ahead of the pelvis, nor aside, is pushed by the feet of who walks on. Right there the
camera sees no ball any more, and who took it to stay where it was turned round for it."""
COMMAND_SCALE_M = 0.1
Sight = Literal["state", "depth", "blind"]
"""What a generator knows of the thing: everything, a depth picture, nothing."""
INPUTS: dict[Sight, int] = {"state": OWN_SIZE + OBJECT_SIZE, "depth": OWN_SIZE + 2 + MEMORY_SIZE, "blind": OWN_SIZE}
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
        self.memory = np.zeros((count, sum(term.size for term in self.terms if term.name == "memory")))
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
        inputs.gait_phase = np.nan_to_num(gait_phase(*_finite(*world.clock), world.table.step_s))
        inputs.task_yaw = yaw_from_quat(world.qpos[:, 3:7])
        inputs.run, inputs.memory = world.run.astype(float), self.memory
        seen = self._own.observe(build_terms(self.terms, inputs))
        if self.sight == "state":
            seen = np.concatenate([seen, object_state(world)], axis=1)
        depth = self._picture() if self.sight == "depth" else None
        return np.nan_to_num(seen), depth

    def glance(self, marks: np.ndarray, inside_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pictures of this very moment from cameras that are drawn anew, which none will remember.

        Args:
            marks: (N, 3) of the things in the world [m].
            inside_m: (N,) how far behind the surface that is seen.

        Returns:
            (N, height, width) scaled, with the camera's noise; (N,) cells of the pictures where the marks are seen.
        """
        count, spec = len(marks), self.spec
        self._noise.reset(np.arange(count), count)
        tilt, qpos = np.asarray(self._noise.tilt, dtype=float), np.nan_to_num(self._world.physics.qpos)
        depth = np.asarray(self._noise.apply(self._camera.render(qpos, tilt).astype(np.float32)))
        pos, quat = camera_pose(*self._camera.scene(qpos)[1:], spec, tilt)
        x, y, z = quat_rotate_inverse(quat, marks - pos).T
        z = np.maximum(z, 0.05)
        across, down = (2.0 * spec.focal_px * part / z / size for part, size in ((x, spec.width), (y, spec.height)))
        inside = (np.abs(across) < 1.0) & (np.abs(down) < 1.0)
        row, column = (
            np.clip(0.5 * (place + 1.0) * size, 0, size - 1).astype(int)
            for place, size in ((down, spec.height), (across, spec.width))
        )
        unmasked = np.abs(depth[np.arange(count), row, column] - z + inside_m) < _UNMASKED_M
        return spec.scaled(depth).astype(np.float32), cell_of(across, down, inside & unmasked)

    def _picture(self) -> np.ndarray:
        tilt = np.asarray(self._noise.tilt, dtype=float)
        clean = self._camera.render(np.nan_to_num(self._world.physics.qpos), tilt).astype(np.float32)
        late = self._delay.push(clean, self._noise.latency_s)
        return self.spec.scaled(self._noise.apply(late)).astype(np.float32)


def _finite(since_s: np.ndarray, walk_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At rest the clock fades out as long before a first step."""
    return np.where(np.isnan(since_s), -10.0, since_s), walk_s


def facing(heading: torch.Tensor, thought: torch.Tensor) -> torch.Tensor:
    """(N, 2) scaled cosine and sine of the heading from the way to the goal.

    Args:
        heading: (N, 2) scaled cosine and sine of the heading since the start.
        thought: (N, MEMORY_SIZE) of SEEING_TERMS [m].
    """
    (cos, sin), (ahead, left, lane) = heading.unbind(1), thought.unbind(1)
    aside = lane + (sin * ahead + cos * left) / HEADING_SCALE
    far = (LANE_M**2 + aside.square()).sqrt()
    return torch.stack([LANE_M * cos - aside * sin, LANE_M * sin + aside * cos], dim=1) / far[:, None]


class Generator(NormalizedNetwork):
    """Commands (N, 18) [m] from observations (N, n) and, if it sees, depth pictures (N, height, width)."""

    def __init__(self, sight: Sight, hidden: tuple[int, ...] = (256, 128)) -> None:
        others = {"state": OBJECT_SIZE, "depth": PLACE_SIZE, "blind": 0}[sight]
        super().__init__(OWN_SIZE + (OBJECT_SIZE if sight == "state" else 0))
        self.sight: Sight = sight
        self.halts, self.steps_to_rest = True, QUICK_STOP
        self.lift: LiftPath | None = None
        self.terms: tuple[ObservationTerm, ...] | None = None
        if sight == "depth":
            self.eyes = Eyes()
            self.finds = perceptron(LATENT + FELT_SIZE, (64, 32), PLACE_SIZE + 1)
        self.mlp = perceptron(OWN_SIZE + others, hidden, COMMAND_SIZE)

    def forward(self, depth: torch.Tensor | None, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Commands (N, 18) [m], and what is thought (N, MEMORY_SIZE) [m], see SEEING_TERMS: said by those that see."""
        thought = observation[:, :0]
        if self.sight == "depth":
            assert depth is not None
            thought = self.think(self.eyes(depth), observation)[0]
        return self.act(observation, thought), thought

    def act(self, observation: torch.Tensor, thought: torch.Tensor) -> torch.Tensor:
        """Commands (N, 18) [m] of who thinks so (N, MEMORY_SIZE) [m]; eyes learn nothing by it.

        Whoever sees faces the way to its goal, LANE_M ahead of the thing on the line that it began on, not this line.
        """
        own = observation[:, : len(self.mean)]
        if self.sight == "depth":
            thought = thought.detach()
            own = torch.cat([own[:, : HEADING.start], facing(own[:, HEADING], thought), own[:, HEADING.stop :]], dim=1)
        seen = ((own - self.mean) / self.spread).clamp(-8.0, 8.0)
        return COMMAND_SCALE_M * self.mlp(torch.cat([seen, thought[:, :PLACE_SIZE] / (0.5 * MEMORY_M)], dim=1))

    def think(self, latent: torch.Tensor, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is thought (N, MEMORY_SIZE), and where the picture alone has the thing (N, PLACE_SIZE) [m].

        Where the thing was thought is turned and carried as the robot goes, but not into its feet; the picture corrects
        it as far as it shows the thing, a little in each period where that is a surprise, for a mask may look like a
        thing for one. What was thought has no part in what the picture shows: it lies near the truth in lessons, and
        eyes would repeat it.
        """
        was = observation[:, -MEMORY_SIZE:]
        goes = PERIOD_S * observation[:, LEGS]
        ahead, left = (was[:, :PLACE_SIZE] - goes).unbind(1)
        pushed = torch.maximum(ahead, was[:, 0].clamp(max=TOES_M))  # walked into, it goes along
        ahead = torch.where((left.abs() < BEFORE_FEET_M) & (was[:, 0] > 0.0), pushed, ahead)
        turn = PERIOD_S / OWN_TERMS[0].scale[0] * observation[:, _YAW_RATE]
        before = torch.stack([ahead + turn * left, left - turn * ahead], dim=1)
        felt = (observation[:, part] for part in FELT)
        found, trust = self.finds(torch.cat([latent, *felt], dim=1)).split([PLACE_SIZE, 1], dim=1)
        in_picture = ((latent[:, 2 * KINDS, None] - _UNSURE) / (1.0 - _UNSURE)).clamp(0.0, 1.0)
        surprise = ((found - before) / SURPRISE_M).square().sum(dim=1, keepdim=True)
        likely = UNLIKELY + (1.0 - UNLIKELY) * torch.exp(-0.5 * surprise)
        trust = MOST_TRUST * likely * in_picture * torch.sigmoid(trust)
        cos, sin = (observation[:, HEADING] / HEADING_SCALE).unbind(1)
        lane = was[:, PLACE_SIZE:] + (sin * goes[:, 0] + cos * goes[:, 1])[:, None]
        place = (before + trust * (found - before)).clamp(-MEMORY_M, MEMORY_M)
        return torch.cat([place, lane.clamp(-FARTHEST_M, FARTHEST_M)], dim=1), found

    def look(self, seen: np.ndarray, depth: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """`forward` on arrays, without gradients."""
        with torch.inference_mode():
            picture = None if depth is None else torch.from_numpy(depth)
            command, thought = self(picture, torch.from_numpy(seen))
        return command.numpy().astype(np.float64), thought.numpy().astype(np.float64)
