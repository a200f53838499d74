"""What every reinforcement-learning task shares: robots, their variety, sensors, delays, pushes, height grid, mirror.

Written once on torch tensors; the simulation behind it may be the CPU's or a GPU's. One control step is: mirrored
actions to targets, physics, the task's bookkeeping, rewards and ends, resets, and what the network sees next.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from vm_core import g1
from vm_core.frames import quat_from_rotvec, quat_multiply, quat_rotate_inverse, yaw_from_quat
from vm_core.height_grid import HeightGridSpec
from vm_core.observation import build_terms
from vm_core.observation_terms import ObservationInputs
from vm_core.policy_contract import ObservationTerm
from vm_core.scene_asset import SceneAsset
from vm_training.mdp.grid_errors import GridErrors, GridErrorScales
from vm_training.mdp.terrain_raster import TerrainRaster
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.mapped_heights import MappedHeights
from vm_training.rl.mirror import joint_mirror, term_mirror
from vm_training.rl.simulation import FEET, TORSO, CpuSimulation, RobotParameters

CONTACT_N = 5.0
"""A sole that bears more stands."""
_NEVER = 1_000_000
_ALONG_FEET_M = torch.arange(-0.10, 0.31, 0.05)
"""From an ankle ahead, where the critic is told of the ground: heel, toes, and where they will be."""


class RobotEnv:
    """N robots; a task adds what they are to do.

    Attributes:
        num_envs, num_actions: N, J.
        terms: of the actor's observation.
        mirrored: (N,) bool: robots of the mirrored world.
        push_m_s: (N,) largest push of each robot; a quarter of it is the smallest.
        since_push: (N,) control steps since the last push.
    """

    def __init__(
        self,
        config: EnvConfig,
        scenes: list[SceneAsset],
        scene_of: np.ndarray,
        terms: tuple[ObservationTerm, ...],
        *,
        control_period_s: float,
        default_joint_pos: np.ndarray,
        action_scale: float,
        action_clip: float,
        grid: HeightGridSpec | None,
        grid_unknown_m: float,
        seed: int,
    ) -> None:
        self.config, self.terms, self.grid = config, terms, grid
        self.period_s = control_period_s
        self.sim = CpuSimulation(
            scenes, scene_of, timestep_s=config.timestep_s, control_period_s=control_period_s, threads=config.threads
        )
        device = self.device = self.sim.device
        self.num_envs, self.num_actions = self.sim.num_envs, self.sim.num_joints
        self.generator = torch.Generator(device=device).manual_seed(seed)
        self._draws = np.random.default_rng(seed)
        self.scene_of = torch.as_tensor(scene_of, dtype=torch.int64, device=device)
        self.terrain = TerrainRaster(scenes, device)
        self.default_joint_pos = torch.tensor(default_joint_pos, dtype=torch.float32, device=device)
        self.action_scale, self.action_clip = action_scale, action_clip
        self._heights: MappedHeights | None = None
        if grid is not None:
            scales = GridErrorScales.measured(config.ranges.grid_errors)
            errors = GridErrors(self.num_envs, grid, scales, self.generator, control_period_s)
            self._heights = MappedHeights(
                grid, errors, self.terrain, self.scene_of, grid_unknown_m, config.ranges.exact_grids
            )
        self._history = {t.name: torch.zeros((self.num_envs, t.history_length, t.size), device=device) for t in terms}
        self._fresh = torch.ones(self.num_envs, dtype=torch.bool, device=device)
        self._joint_mirror, self._seen_mirror = joint_mirror(), term_mirror(terms, grid)
        self.mirrored = torch.zeros(self.num_envs, dtype=torch.bool, device=device)
        rows = (self.num_envs, self.num_actions)
        self.action, self.last_action, self.target = (torch.zeros(rows, device=device) for _ in range(3))
        self._joint_bias = torch.zeros(rows, device=device)
        self._tilt_bias = torch.zeros((self.num_envs, 3), device=device)
        self._delay = torch.zeros(self.num_envs, device=device)
        self._ground_of, self._ground = torch.zeros(0), torch.zeros(0)
        self.push_m_s = torch.full((self.num_envs,), config.ranges.push_m_s, device=device)
        self.since_push = torch.full((self.num_envs,), _NEVER, dtype=torch.int64, device=device)
        self.age = torch.zeros(self.num_envs, dtype=torch.int64, device=device)
        low, high = (torch.tensor(limit[_MOTORS], dtype=torch.float32) for limit in (g1.JOINT_LOWER, g1.JOINT_UPPER))
        middle, half = 0.5 * (low + high), 0.49 * (high - low)
        self.soft_low, self.soft_high = middle - half, middle + half

    # -- one control step ----------------------------------------------------------------------------------------------

    def step(self, action: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Acts (N, J) as the network wants; returns observations, rewards (N,), ends (N,) and extras for rsl_rl."""
        own = self._joint_mirror.where(self.mirrored, action) if self.config.mirror else action
        own = own.clamp(-self.action_clip, self.action_clip)
        self.last_action, self.action = self.action, own
        previous, self.target = self.target, self.target_base() + self.action_scale * own
        late = self._delay + torch.rand(self.num_envs, generator=self.generator, device=self.device)
        self.sim.step(self.target, previous, late.floor())
        self.age += 1
        self.since_push += 1
        self._push()
        self.after_physics()
        failed, timed_out = self.ends()
        reward = self.rewards(failed).nan_to_num(0.0)
        over = failed | timed_out
        self.before_reset(failed, over)
        envs = over.nonzero()[:, 0]
        if len(envs):
            self.reset(envs)
        return self.observe(), reward, over.to(torch.int64), {"time_outs": timed_out & ~failed}

    def reset_all(self) -> TensorDict:
        """Begins every episode anew; returns the first observations."""
        self.reset(torch.arange(self.num_envs, device=self.device))
        return self.observe()

    def reset(self, envs: torch.Tensor) -> None:
        """Begins the episodes of robots (E,) anew: other robots, other places, other errors."""
        count = len(envs)
        self._vary(envs)
        qpos, qvel = self.start_states(envs)
        self.sim.reset(envs, qpos, qvel)
        self.sim.refresh()
        self._fresh[envs] = True
        self.age[envs] = 0
        self.since_push[envs] = _NEVER
        self.action[envs] = 0.0
        self.last_action[envs] = 0.0
        self.target[envs] = self.target_base()[envs]
        if self.config.mirror:
            self.mirrored[envs] = torch.rand(count, generator=self.generator, device=self.device) < 0.5
        if self._heights is not None:
            self._heights.reset(envs)
        self.after_reset(envs)

    # -- what a task says ----------------------------------------------------------------------------------------------

    def target_base(self) -> torch.Tensor:
        """(N, J) [rad] that actions add to."""
        raise NotImplementedError

    def start_states(self, envs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """qpos (E, 30) and qvel (E, 29) to begin at; also chooses the task's own start."""
        raise NotImplementedError

    def after_physics(self) -> None:
        """Goes on in time: clip frames, commands."""

    def after_reset(self, envs: torch.Tensor) -> None:
        """Completes a reset once the state is there."""

    def before_reset(self, failed: torch.Tensor, over: torch.Tensor) -> None:
        """Takes note of how episodes ended."""

    def ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Failed and timed out, each (N,) bool."""
        raise NotImplementedError

    def rewards(self, failed: torch.Tensor) -> torch.Tensor:
        """(N,) of this control period."""
        raise NotImplementedError

    def task_inputs(self, inputs: ObservationInputs) -> None:
        """Adds command, reference or gait phase to what terms may read."""

    def privileged(self) -> torch.Tensor:
        """(N, n) of the task for the critic, as seen in the mirrored world by those who live there."""
        raise NotImplementedError

    # -- parts ---------------------------------------------------------------------------------------------------------

    def observe(self) -> TensorDict:
        """What actor and critic see, in the world that each robot lives in."""
        seen = self._seen()
        if self.config.mirror:
            seen = self._seen_mirror.where(self.mirrored, seen)
        critic = torch.cat([seen, self._truth(), self.privileged()], dim=1)
        return TensorDict({"actor": seen, "critic": critic.nan_to_num(0.0)}, batch_size=[self.num_envs])

    @property
    def yaw(self) -> torch.Tensor:
        """(N,) heading of the pelvis [rad]."""
        return yaw_from_quat(self.sim.qpos[:, 3:7])

    @property
    def ground_height(self) -> torch.Tensor:
        """(N,) terrain z under the pelvis [m]; looked up once a state."""
        if self._ground_of is not self.sim.qpos:
            self._ground_of = self.sim.qpos
            self._ground = self.terrain.heights(self.scene_of, self.sim.qpos[:, None, :2].nan_to_num(0.0))[:, 0]
        return self._ground

    @property
    def contact(self) -> torch.Tensor:
        """(N, 2) bool: feet that bear weight."""
        return self.sim.foot_force > CONTACT_N

    @property
    def foot_velocity(self) -> torch.Tensor:
        """(N, 2, 3) [m/s] in the world."""
        return self.sim.body_lin_vel[:, FEET]

    def randn(self, *shape: int) -> torch.Tensor:
        """Standard normal numbers of the environment's own generator."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def _seen(self) -> torch.Tensor:
        built = build_terms(self.terms, self._inputs())
        fresh = self._fresh.nonzero()[:, 0]
        for name, frames in self._history.items():
            if frames.shape[1] > 1:
                frames[:, :-1] = frames[:, 1:].clone()
            frames[:, -1] = built[name]
            if len(fresh):
                frames[fresh] = built[name][fresh, None]
        self._fresh[:] = False
        return torch.cat([self._history[t.name].reshape(self.num_envs, -1) for t in self.terms], dim=1).nan_to_num(0.0)

    def _inputs(self) -> ObservationInputs:
        noise, qpos, qvel, count = self.config.noise, self.sim.qpos, self.sim.qvel, self.num_envs
        tilt = quat_from_rotvec(noise.tilt_rad * self.randn(count, 3) + self._tilt_bias)
        joints = noise.joint_rad * self.randn(count, self.num_actions) + self._joint_bias
        inputs = ObservationInputs(
            joint_pos=qpos[:, 7:] + joints,
            joint_vel=qvel[:, 6:] + noise.joint_rad_s * self.randn(count, self.num_actions),
            default_joint_pos=self.default_joint_pos,
            root_quat_wxyz=quat_multiply(qpos[:, 3:7], tilt),
            root_ang_vel_body=qvel[:, 3:6] + noise.gyro_rad_s * self.randn(count, 3),
            last_action=self.action,
            root_pos_world=qpos[:, :3] + noise.position_m * self.randn(count, 3),
            root_lin_vel_world=qvel[:, :3] + noise.linear_m_s * self.randn(count, 3),
        )
        if self._heights is not None:
            torso = self.sim.body_pos[:, TORSO].nan_to_num(0.0)
            yaw = yaw_from_quat(self.sim.body_quat[:, TORSO]).nan_to_num(0.0)
            inputs.height_grid = self._heights.read(torso, yaw, qvel[:, :2].norm(dim=1).nan_to_num(0.0))
        self.task_inputs(inputs)
        return inputs

    def _truth(self) -> torch.Tensor:
        """(N, 74) for the critic, without noise: velocity in the pelvis frame, height, contacts, joints, footholds."""
        qpos, qvel = self.sim.qpos, self.sim.qvel
        velocity = quat_rotate_inverse(qpos[:, 3:7], qvel[:, :3])
        height = qpos[:, 2:3] - self.ground_height[:, None]
        joints = torch.cat([qpos[:, 7:] - self.default_joint_pos, 0.1 * qvel[:, 6:]], dim=1)
        contact, footholds, flip = self.contact.float(), self._footholds(), self.mirrored[:, None]
        if self.config.mirror:
            velocity = torch.where(flip, velocity * velocity.new_tensor([1.0, -1.0, 1.0]), velocity)
            contact = torch.where(flip, contact.flip(1), contact)
            footholds = torch.where(flip[..., None], footholds.flip(1), footholds)
            halves = [self._joint_mirror.where(self.mirrored, half) for half in joints.split(self.num_actions, dim=1)]
            joints = torch.cat(halves, dim=1)
        return torch.cat([2.0 * velocity, height, contact, joints, 5.0 * footholds.flatten(1)], dim=1)

    def _footholds(self) -> torch.Tensor:
        """(N, 2, P) terrain z below each ankle's [m], along the feet: to the centimetre where an edge is."""
        ankles, yaw = self.sim.body_pos[:, FEET], yaw_from_quat(self.sim.body_quat[:, FEET])
        ahead = torch.stack([yaw.cos(), yaw.sin()], dim=-1)
        points = ankles[:, :, None, :2] + ahead[:, :, None] * _ALONG_FEET_M[:, None]
        heights = self.terrain.heights(self.scene_of, points.flatten(1, 2).nan_to_num(0.0))
        return (heights.view(points.shape[:3]) - ankles[..., 2:]).clamp(-0.6, 0.6)

    def _vary(self, envs: torch.Tensor) -> None:
        ranges, rng, count, joints = self.config.ranges, self._draws, len(envs), self.num_actions
        uniform = rng.uniform
        self.sim.vary(
            envs,
            RobotParameters(
                friction=uniform(*ranges.friction, count),
                payload_kg=uniform(*ranges.payload_kg, count),
                torso_com_m=uniform(-ranges.torso_com_m, ranges.torso_com_m, (count, 3)),
                mass=1.0 + uniform(-ranges.mass, ranges.mass, count),
                kp=1.0 + uniform(-ranges.gain, ranges.gain, (count, joints)),
                kd=1.0 + uniform(-ranges.gain, ranges.gain, (count, joints)),
            ),
        )
        most = ranges.delay_s / self.config.timestep_s
        self._delay[envs] = most * torch.rand(count, generator=self.generator, device=self.device)
        self._joint_bias[envs] = ranges.joint_bias_rad * self.randn(count, joints)
        self._tilt_bias[envs] = ranges.tilt_bias_rad * self.randn(count, 3)

    def _push(self) -> None:
        ranges = self.config.ranges
        if ranges.push_every_s <= 0.0:
            return
        share = torch.rand((self.num_envs, 2), generator=self.generator, device=self.device)
        envs = (share[:, 0] < self.period_s / ranges.push_every_s).nonzero()[:, 0]
        if not len(envs):
            return
        angle = 2.0 * torch.pi * share[envs, 1]
        size = torch.rand(len(envs), generator=self.generator, device=self.device)
        size = self.push_m_s[envs] * (0.25 + 0.75 * size)
        self.since_push[envs] = 0
        self.sim.push(envs, torch.stack([size * angle.cos(), size * angle.sin(), 0.0 * size], dim=1))

    def close(self) -> None:
        """Ends the simulation's threads."""
        self.sim.close()


_MOTORS = [g1.motor_index(name) for name in g1.POLICY_JOINT_NAMES]
