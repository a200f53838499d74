"""What a walker sees: no clip and no odometry, but a root command, a gait clock and the height grid under it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vm_core import g1, g1_kinematics
from vm_core.frames import quat_from_rotvec, quat_multiply, yaw_from_quat
from vm_core.gait_clock import RAMP_S, STEPS_TO_REST, gait_phase
from vm_core.height_grid import HeightGridSpec, cell_points_world, policy_heights
from vm_core.motion_clip import MotionClip
from vm_core.observation import ObservationInputs, build_terms
from vm_core.policy_contract import ObservationTerm, PolicyContract
from vm_training.mdp.clip_tracking import NUM_JOINTS, ClipTracking
from vm_training.mdp.observations import SensorNoise
from vm_training.motions.footsteps import Gait

GRID = HeightGridSpec()
UNKNOWN_M = PolicyContract.height_grid_unknown
HISTORY = 3
WALK_TERMS = (
    ObservationTerm("base_ang_vel", 3, (0.5,), history_length=HISTORY),
    ObservationTerm("projected_gravity", 3, (4.0,), history_length=HISTORY),
    ObservationTerm("velocity_commands", 3, (2.0,)),
    ObservationTerm("gait_phase", 2, (2.0,)),
    ObservationTerm("joint_pos_rel", NUM_JOINTS, (3.0,), history_length=HISTORY),
    ObservationTerm("joint_vel_rel", NUM_JOINTS, (0.3,), (-20.0, 20.0), history_length=HISTORY),
    ObservationTerm("last_action", NUM_JOINTS, (0.5,), history_length=HISTORY),
    ObservationTerm("height_grid", GRID.num_cells, (2.0,), (0.3, 1.3)),
)
OBSERVATION_SIZE = sum(term.size * term.history_length for term in WALK_TERMS)
YAW_GAIN = 1.0  # 1/s: an operator's correction of the heading
MOST_YAW_ERROR_RAD = 0.15
_WAIST = [g1.POLICY_JOINT_NAMES.index(f"waist_{axis}_joint") for axis in ("yaw", "roll", "pitch")]


@dataclass(frozen=True)
class Timing:
    """When a clip walks and how fast, as an operator would say it.

    Attributes:
        start_s: when the first foot lifts.
        walk_s: from there to the last touch-down.
        step_s: of a step.
        speed: mean, along the heading [m/s].
        yaw_rate: mean [rad/s].
    """

    start_s: float
    walk_s: float
    step_s: float
    speed: float
    yaw_rate: float

    @staticmethod
    def of(clip: MotionClip, gait: Gait) -> Timing:
        """Reads a planned clip, which stands for `gait.stand_s` at both ends."""
        walk_s = round((clip.duration_s - 2.0 * gait.stand_s) / gait.step_s) * gait.step_s
        yaw = np.unwrap(yaw_from_quat(clip.root_quat_wxyz))
        # the closing step makes no way, the first and the last before it half
        going_s = max(walk_s - 2.0 * gait.step_s, gait.step_s)
        forward = clip.root_pos_world[-1, :2] - clip.root_pos_world[0, :2]
        way = float(np.linalg.norm(forward)) / max(float(np.sinc(0.5 * (yaw[-1] - yaw[0]) / np.pi)), 0.1)
        return Timing(gait.stand_s, walk_s, gait.step_s, way / going_s, float(yaw[-1] - yaw[0]) / going_s)


@dataclass
class WalkObserver:
    """Observations of all robots of an environment, with history and sensor noise.

    Attributes:
        env: robots on a clip.
        gait: of the clip.
        default_joint_pos: (J,) [rad] that joints and actions are relative to.
        noise: of the sensors.
        grid_noise_m: standard deviation of a cell's height.
    """

    env: ClipTracking
    gait: Gait
    default_joint_pos: np.ndarray
    noise: SensorNoise
    grid_noise_m: float = 0.005

    def __post_init__(self) -> None:
        count = self.env.num_envs
        self.timing = timing = Timing.of(self.env.clip, self.gait)
        self._time_s = np.arange(self.env.clip.num_frames) / self.env.clip.fps
        self._phase = gait_phase(self._time_s - timing.start_s, timing.walk_s, timing.step_s)
        self._history = {t.name: np.zeros((count, t.history_length, t.size)) for t in WALK_TERMS}
        self._fresh = np.ones(count, dtype=bool)
        self._speed, self._off_s = np.full(count, timing.speed), np.full(count, timing.start_s)
        self.last_action = np.zeros((count, NUM_JOINTS))
        boxes = self.env.scene.boxes
        self._box = np.array([[*b.center_world[:2], *b.half_size[:2], b.top] for b in boxes]).reshape(-1, 5)

    def reset(self, envs: np.ndarray) -> None:
        """Forgets the past of robots (E,)."""
        self._fresh[envs] = True
        self.last_action[envs] = 0.0
        timing, rng = self.timing, self.env.rng
        # on edges the treads say how far to step, whatever the operator thinks
        unsure = 0.2 if len(self._box) else 0.03
        self._speed[envs] = timing.speed * rng.uniform(1.0 - unsure, 1.0 + unsure, len(envs))
        early_s = timing.step_s * (STEPS_TO_REST + rng.uniform(0.0, 1.0, len(envs)))
        self._off_s[envs] = timing.start_s + np.maximum(timing.walk_s - early_s, 0.1)

    def yaw_error(self) -> np.ndarray:
        """(N,) [rad]: how far the clip's heading is to the left of the robot's, bounded."""
        wanted = yaw_from_quat(self.env.reference_qpos[self.env.clip_frame, 3:7])
        error = wanted - yaw_from_quat(self.env.physics.qpos[:, 3:7])
        return np.clip(np.angle(np.exp(1j * error)), -MOST_YAW_ERROR_RAD, MOST_YAW_ERROR_RAD)

    def observe(self) -> np.ndarray:
        """(N, OBSERVATION_SIZE), in the order of WALK_TERMS, oldest frame of a term first."""
        built = build_terms(WALK_TERMS, self._inputs())
        for name, frames in self._history.items():
            frames[:, :-1] = frames[:, 1:]
            frames[:, -1] = built[name]
            frames[self._fresh] = built[name][self._fresh, None]
        self._fresh[:] = False
        count = self.env.num_envs
        parts = [self._history[term.name].reshape(count, -1) for term in WALK_TERMS]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def command(self) -> np.ndarray:
        """(N, 3) root command [m/s, m/s, rad/s]; it ends as long before the last step as the gait clock goes on."""
        time_s = self._time_s[self.env.clip_frame]
        on = (time_s >= self.timing.start_s - RAMP_S) & (time_s < self._off_s)
        yaw_rate = self.timing.yaw_rate + YAW_GAIN * self.yaw_error()
        return np.column_stack([on * self._speed, np.zeros(len(on)), on * yaw_rate])

    def _inputs(self) -> ObservationInputs:
        env, noise, rng = self.env, self.noise, self.env.rng
        count = env.num_envs
        qpos, qvel = env.physics.qpos.copy(), env.physics.qvel.copy()
        heights = self._heights(qpos) + rng.normal(0.0, self.grid_noise_m, (count, GRID.num_cells))
        tilt = quat_from_rotvec(rng.normal(0.0, noise.tilt_rad, (count, 3)))
        return ObservationInputs(
            joint_pos=qpos[:, 7:] + rng.normal(0.0, noise.joint_rad, (count, NUM_JOINTS)),
            joint_vel=qvel[:, 6:] + rng.normal(0.0, noise.joint_rad_s, (count, NUM_JOINTS)),
            default_joint_pos=self.default_joint_pos,
            root_quat_wxyz=quat_multiply(qpos[:, 3:7], tilt),
            root_ang_vel_body=qvel[:, 3:6] + rng.normal(0.0, noise.gyro_rad_s, (count, 3)),
            last_action=self.last_action,
            command=self.command(),
            height_grid=heights,
            gait_phase=self._phase[env.clip_frame],
        )

    def _heights(self, qpos: np.ndarray) -> np.ndarray:
        torso_pos, torso_quat = torso_pose(qpos)
        cells = cell_points_world(GRID, torso_pos, torso_quat)[..., :2]
        terrain = self.env.scene.ground_height_at(cells.reshape(-1, 2)).reshape(cells.shape[:2])
        for x, y, half_x, half_y, top in self._box:
            inside = (np.abs(cells[..., 0] - x) <= half_x) & (np.abs(cells[..., 1] - y) <= half_y)
            terrain = np.where(inside, np.maximum(terrain, top), terrain)
        return policy_heights(torso_pos[:, 2], terrain, UNKNOWN_M)


def torso_pose(qpos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position (N, 3) [m] and orientation (N, 4) of torso_link for configurations (N, 30) of the 23-joint model."""
    return g1_kinematics.torso_pose(qpos[:, :3], qpos[:, 3:7], qpos[:, [7 + joint for joint in _WAIST]])
