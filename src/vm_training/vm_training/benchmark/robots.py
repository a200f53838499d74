"""Many robots that run one policy file: what the node does between LowState and LowCmd, for all of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import mujoco
import numpy as np

from vm_core import g1
from vm_core.action import joint_target_from_action
from vm_core.frames import quat_from_rotvec, quat_multiply, yaw_from_quat
from vm_core.g1_kinematics import torso_pose
from vm_core.observation import ObservationHistory, build_terms
from vm_core.observation_terms import ObservationInputs
from vm_core.policy_clocks import PolicyClocks
from vm_core.policy_contract import PolicyContract
from vm_sim.batch_physics import BatchPhysics
from vm_sim.g1_model import stand_qpos
from vm_training.benchmark.courses import Episode
from vm_training.benchmark.physics import PhysicsVariant
from vm_training.policy_file import PolicyFile

WAIST = [g1.motor_index(f"waist_{axis}_joint") for axis in ("yaw", "roll", "pitch")]
TORQUE_MARGIN = 2.0
"""The node limits targets to what this multiple of a motor's torque asks for."""
_FALLEN_TILT, _FALLEN_HEIGHT_M = 0.5, 0.35


@dataclass(frozen=True)
class StateNoise:
    """Standard deviations of white noise on the robot's own state: encoders, inertial unit, odometry."""

    joint_rad: float = 2e-4
    joint_rad_s: float = 0.02
    tilt_rad: float = 0.005
    gyro_rad_s: float = 0.003
    position_m: float = 0.003
    linear_m_s: float = 0.02


class GridSource(Protocol):
    """Where the height grid comes from."""

    def heights(self, robots: Robots) -> np.ndarray:
        """(N, cells) torso z minus terrain z [m] as the policy reads it."""
        ...

    def after_step(self, robots: Robots, active: np.ndarray) -> None:
        """Takes note of a control period that robots (E,) have gone through."""
        ...


class Robots:
    """N robots in N models.

    Attributes:
        physics: their simulation.  models: their models.  episodes: what each is to do.
        target: (N, 29) newest PD targets [rad].  step_count: control periods since the start.
    """

    def __init__(
        self,
        policy: PolicyFile,
        models: list[mujoco.MjModel],
        episodes: list[Episode],
        variant: PhysicsVariant,
        seed: int,
        threads: int,
        noise: StateNoise | None = None,
    ) -> None:
        self.policy, self.contract = policy, policy.contract
        self.models, self.episodes = models, episodes
        self.num = len(models)
        self.rng = np.random.default_rng([seed, 17])
        self.noise = noise or StateNoise()
        period = self.contract.control_period_s
        self.physics = BatchPhysics(models, control_period_s=period, threads=threads)
        self._motors = self.contract.motor_indices()
        self._hold, self._kp = _held_pose(self.contract)
        self._delay = self.rng.uniform(*variant.latency_s, self.num) / variant.timestep_s
        start = np.stack([self._start(model, episode) for model, episode in zip(models, episodes, strict=True)])
        self.physics.reset(np.arange(self.num), start, np.zeros((self.num, models[0].nv)))
        self.target = start[:, 7:].copy()
        self._history = ObservationHistory(self.contract.observation, self.contract.history_layout)
        self._clocks = [PolicyClocks(self.contract) for _ in range(self.num)]
        self._last_action = np.zeros((self.num, len(self.contract.joint_names)))
        self.step_count = 0
        self._data = mujoco.MjData(models[0])

    @property
    def time_s(self) -> float:
        return self.step_count * self.contract.control_period_s

    @property
    def yaw(self) -> np.ndarray:
        """(N,) heading of the pelvis [rad]."""
        return yaw_from_quat(self.physics.qpos[:, 3:7])

    def act(self, command: np.ndarray, grid: GridSource | None, active: np.ndarray) -> None:
        """One control period of robots (E,) under commands (N, 3)."""
        qpos = np.nan_to_num(self.physics.qpos)  # a robot that diverged is seen by nobody; it only fills a row
        heights = None if grid is None or self.contract.height_grid is None else grid.heights(self)
        inputs = self._inputs(qpos, np.nan_to_num(self.physics.qvel), command, heights)
        reference = self.policy.reference
        if reference is not None:
            inputs.reference = reference.at(self.step_count, self.num)
        built = build_terms(self.contract.observation, inputs)
        action = self.policy.act(self._history.push(built))
        self._last_action = action
        aim = None if inputs.reference is None else inputs.reference.joint_target
        target = np.tile(self._hold, (self.num, 1))
        target[:, self._motors] = joint_target_from_action(action, self.contract, aim)
        reach = TORQUE_MARGIN * g1.TORQUE_LIMIT / np.maximum(self._kp, 1e-6)
        target = np.clip(target, qpos[:, 7:] - reach, qpos[:, 7:] + reach)
        late = np.floor(self._delay + self.rng.random(self.num))
        self.physics.step(target, self.target, np.minimum(late, self.physics.substeps), active)
        self.target = target
        self.step_count += 1
        if grid is not None:
            grid.after_step(self, active)

    def fallen(self, ground: np.ndarray) -> np.ndarray:
        """(N,) bool: tilted beyond 60 degrees, the pelvis within 0.35 m of the surface (N,), or diverged."""
        qpos = self.physics.qpos
        up = 1.0 - 2.0 * (qpos[:, 4] ** 2 + qpos[:, 5] ** 2)
        return ~((up > _FALLEN_TILT) & (qpos[:, 2] - ground > _FALLEN_HEIGHT_M))

    def push(self, envs: np.ndarray, velocity_xy: np.ndarray) -> None:
        """Adds a pelvis velocity (E, 2) [m/s] to robots (E,)."""
        self.physics.qvel[envs, :2] += velocity_xy

    def _inputs(
        self, qpos: np.ndarray, qvel: np.ndarray, command: np.ndarray, heights: np.ndarray | None
    ) -> ObservationInputs:
        noise, rng, count, period = self.noise, self.rng, self.num, self.contract.control_period_s
        tilt = quat_from_rotvec(rng.normal(0.0, noise.tilt_rad, (count, 3)))
        seen = [None] * count if heights is None else list(heights)
        told = [
            own.update(*shown, period) for own, shown in zip(self._clocks, zip(command, seen, strict=True), strict=True)
        ]
        more: dict[str, Any] = {name: np.stack([one.inputs[name] for one in told]) for name in told[0].inputs}
        odometry = qpos[:, :3] + rng.normal(0.0, noise.position_m, (count, 3))
        seen_quat = quat_multiply(qpos[:, 3:7], tilt)
        more |= self._anchor(odometry, seen_quat, qpos[:, 7:])
        joints, speeds = qpos[:, 7:][:, self._motors], qvel[:, 6:][:, self._motors]
        return ObservationInputs(
            joint_pos=joints + rng.normal(0.0, noise.joint_rad, joints.shape),
            joint_vel=speeds + rng.normal(0.0, noise.joint_rad_s, speeds.shape),
            default_joint_pos=np.array(self.contract.default_joint_pos),
            root_quat_wxyz=seen_quat,
            root_ang_vel_body=qvel[:, 3:6] + rng.normal(0.0, noise.gyro_rad_s, (count, 3)),
            last_action=self._last_action,
            command=np.stack([one.command for one in told]),
            height_grid=heights,
            root_pos_world=odometry,
            root_lin_vel_world=qvel[:, :3] + rng.normal(0.0, noise.linear_m_s, (count, 3)),
            **more,
        )

    def _anchor(self, position: np.ndarray, quat: np.ndarray, motors: np.ndarray) -> dict[str, np.ndarray]:
        """Pose of the body that the contract calls its anchor."""
        if self.contract.anchor_body is None:
            return {}
        if self.contract.anchor_body == g1.TORSO_BODY:
            position, quat = torso_pose(position, quat, motors[:, WAIST])
        return {"anchor_pos_world": position, "anchor_quat_wxyz": quat}

    def _start(self, model: mujoco.MjModel, episode: Episode) -> np.ndarray:
        """qpos (36,): the clip's first frame, or the policy's pose with the soles on the ground; a little off."""
        reference, rng = self.policy.reference, self.rng
        qpos = stand_qpos(model)
        if reference is not None:
            qpos[:7] = np.concatenate([reference.root_pos_world[0], reference.root_quat_wxyz[0]])
            qpos[7 + self._motors] = reference.joint_pos[0]
            qpos[:2] += rng.normal(0.0, 0.01, 2)
            return qpos
        qpos[7:] = self._hold
        qpos[7 + self._motors] = np.array(self.contract.default_joint_pos) + rng.normal(0.0, 0.02, len(self._motors))
        for side in ("left", "right"):
            qpos[7 + g1.motor_index(f"{side}_ankle_pitch_joint")] -= np.arctan(episode.slope)
        # a seat has its random place from its course, and what is turned further has a heel in it
        turned = rng.uniform(-0.05, 0.05) if episode.seat_m else rng.normal(0.0, 0.05)
        yaw = 0.5 * (episode.heading + turned)
        qpos[3:7] = [np.cos(yaw), 0.0, 0.0, np.sin(yaw)]
        qpos[:2] = 0.0 if episode.seat_m else rng.normal(0.0, 0.02, 2)
        qpos[2] += _lift(model, qpos, episode)
        return qpos


def _held_pose(contract: PolicyContract) -> tuple[np.ndarray, np.ndarray]:
    """Positions and kp (29,) of all motors at the policy's default pose."""
    hold, kp = np.zeros(g1.NUM_MOTORS), np.zeros(g1.NUM_MOTORS)
    motors = contract.motor_indices()
    hold[motors], kp[motors] = contract.default_joint_pos, contract.kp
    for name, (position, gain, _) in contract.held_joints.items():
        hold[g1.motor_index(name)], kp[g1.motor_index(name)] = position, gain
    return hold, kp


def _lift(model: mujoco.MjModel, qpos: np.ndarray, episode: Episode) -> float:
    """How far the pelvis must rise [m] for the lowest sole to touch the surface under it."""
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    soles = [i for i in range(model.ngeom) if "_sole" in model.geom(i).name]
    points = data.geom_xpos[soles]
    clearance = points[:, 2] - g1.SOLE_SPHERE_RADIUS_M - episode.scene.height_at(points[:, :2])
    return float(0.001 - clearance.min())
