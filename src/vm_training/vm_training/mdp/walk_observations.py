"""What a walker sees: no clip and no odometry, but a root command, a gait clock and the height grid under it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vm_core import g1, g1_kinematics
from vm_core.frames import quat_from_rotvec, quat_multiply
from vm_core.height_grid import HeightGridSpec, cell_points_world, mean_heights, policy_heights
from vm_core.observation import build_terms
from vm_core.observation_terms import ObservationInputs
from vm_core.policy_contract import ObservationTerm, PolicyContract
from vm_training.mdp.clip_tracking import NUM_JOINTS, ClipTracking
from vm_training.mdp.grid_errors import GridErrors, GridErrorScales
from vm_training.mdp.observations import SensorNoise
from vm_training.mdp.operators import Operator

GRID = HeightGridSpec(size_x=18, center_x=0.35, samples_per_side=3)
"""Feet come down 14 cm before an edge; that a cell of 10 cm is "higher" or "lower" is too coarse for that. A step is
chosen as the foot lifts, when the torso is half a step behind the other foot: to 1.2 m ahead there are three steps
left to come to an edge at the right place, to 0.5 m hardly one."""
UNKNOWN_M = PolicyContract.height_grid_unknown
HISTORY = 5


def walk_terms(grid: HeightGridSpec) -> tuple[ObservationTerm, ...]:
    """What a walker sees, the ground by this grid."""
    return (
        ObservationTerm("base_ang_vel", 3, (0.5,), history_length=HISTORY),
        ObservationTerm("projected_gravity", 3, (4.0,), history_length=HISTORY),
        ObservationTerm("velocity_commands", 3, (2.0,)),
        ObservationTerm("gait_phase", 2, (2.0,)),
        ObservationTerm("joint_pos_rel", NUM_JOINTS, (3.0,), history_length=HISTORY),
        ObservationTerm("joint_vel_rel", NUM_JOINTS, (0.3,), (-20.0, 20.0), history_length=HISTORY),
        ObservationTerm("last_action", NUM_JOINTS, (0.5,), history_length=HISTORY),
        ObservationTerm("height_grid", grid.num_cells, (2.0,), (0.0, 1.3)),  # a seat is close below
    )


def observation_size(grid: HeightGridSpec) -> int:
    """How many numbers a walker sees, the ground by this grid."""
    return sum(term.size * term.history_length for term in walk_terms(grid))


WALK_TERMS = walk_terms(GRID)
OBSERVATION_SIZE = observation_size(GRID)
_WAIST = [g1.POLICY_JOINT_NAMES.index(f"waist_{axis}_joint") for axis in ("yaw", "roll", "pitch")]


@dataclass
class WalkObserver:
    """Observations of all robots of an environment, with history and sensor noise.

    Attributes:
        env: robots.
        operator: who commands them.
        default_joint_pos: (J,) [rad] that joints and actions are relative to.
        noise: of the sensors.
        grid_errors: times the errors that the height map was measured to make; 0 leaves the grid exact.
        exact_grids: share of robots whose grid is exact all the same.
        grid: by which it sees the ground.
    """

    env: ClipTracking
    operator: Operator
    default_joint_pos: np.ndarray
    noise: SensorNoise
    grid_errors: float = 1.0
    exact_grids: float = 0.0
    grid: HeightGridSpec = GRID

    def __post_init__(self) -> None:
        count = self.env.num_envs
        draws = torch.Generator().manual_seed(int(self.env.rng.integers(2**31)))
        scales = GridErrorScales.measured(self.grid_errors)
        self._errors = GridErrors(count, self.grid, scales, draws, 1.0 / self.env.clip.fps)
        self._exact = np.arange(count) < round(self.exact_grids * count)
        self._terms = walk_terms(self.grid)
        self._history = {t.name: np.zeros((count, t.history_length, t.size)) for t in self._terms}
        self._fresh = np.ones(count, dtype=bool)
        self.last_action = np.zeros((count, NUM_JOINTS))
        boxes = self.env.scene.boxes
        self._box = np.array([[*b.center_world[:2], *b.half_size[:2], b.top] for b in boxes]).reshape(-1, 5)

    def reset(self, envs: np.ndarray) -> None:
        """Forgets the past of robots (E,)."""
        self._fresh[envs] = True
        self.last_action[envs] = 0.0
        self._errors.reset(torch.as_tensor(np.flatnonzero(envs) if envs.dtype == bool else envs))
        self.operator.reset(envs)

    def observe(self) -> np.ndarray:
        """(N, inputs), in the order of `walk_terms`, oldest frame of a term first."""
        built = build_terms(self._terms, self._inputs())
        for name, frames in self._history.items():
            frames[:, :-1] = frames[:, 1:]
            frames[:, -1] = built[name]
            frames[self._fresh] = built[name][self._fresh, None]
        self._fresh[:] = False
        count = self.env.num_envs
        parts = [self._history[term.name].reshape(count, -1) for term in self._terms]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _inputs(self) -> ObservationInputs:
        env, noise, rng = self.env, self.noise, self.env.rng
        count = env.num_envs
        qpos, qvel = env.physics.qpos.copy(), env.physics.qvel.copy()
        tilt = quat_from_rotvec(rng.normal(0.0, noise.tilt_rad, (count, 3)))
        return ObservationInputs(
            joint_pos=qpos[:, 7:] + rng.normal(0.0, noise.joint_rad, (count, NUM_JOINTS)),
            joint_vel=qvel[:, 6:] + rng.normal(0.0, noise.joint_rad_s, (count, NUM_JOINTS)),
            default_joint_pos=self.default_joint_pos,
            root_quat_wxyz=quat_multiply(qpos[:, 3:7], tilt),
            root_ang_vel_body=qvel[:, 3:6] + rng.normal(0.0, noise.gyro_rad_s, (count, 3)),
            last_action=self.last_action,
            command=self.operator.command(),
            height_grid=self._grid(qpos, qvel),
            gait_phase=self.operator.phase(),
        )

    def _grid(self, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        """(N, cells) of the grid as the height map would have it."""
        torso_pos, torso_quat = torso_pose(qpos)
        cells = cell_points_world(self.grid, torso_pos, torso_quat)[..., :2]
        if not self.grid_errors:
            terrain = mean_heights(self.grid, cells, torso_quat, self._terrain)
            return policy_heights(torso_pos[:, 2], terrain, UNKNOWN_M)
        read_at = self._errors.shift(torch.as_tensor(cells)).numpy()
        read_at[self._exact] = cells[self._exact]
        terrain = mean_heights(self.grid, read_at, torso_quat, self._terrain)
        speed = torch.as_tensor(np.linalg.norm(qvel[:, :2], axis=1))
        mapped = self._errors.disturb(torch.as_tensor(terrain), speed).numpy()
        mapped[self._exact] = terrain[self._exact]
        return policy_heights(torso_pos[:, 2], mapped, UNKNOWN_M)

    def _terrain(self, xy: np.ndarray) -> np.ndarray:
        terrain = self.env.scene.ground_height_at(xy.reshape(-1, 2)).reshape(xy.shape[:-1])
        for x, y, half_x, half_y, top in self._box:
            inside = (np.abs(xy[..., 0] - x) <= half_x) & (np.abs(xy[..., 1] - y) <= half_y)
            terrain = np.where(inside, np.maximum(terrain, top), terrain)
        return terrain


def torso_pose(qpos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position (N, 3) [m] and orientation (N, 4) of torso_link for configurations (N, 30) of the 23-joint model."""
    return g1_kinematics.torso_pose(qpos[:, :3], qpos[:, 3:7], qpos[:, [7 + joint for joint in _WAIST]])
