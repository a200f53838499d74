"""Many robots on torch tensors, whatever simulates them; the CPU's backend is `vm_sim.batch_physics`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import mujoco
import numpy as np
import torch

from vm_core import g1
from vm_core.frames import quat_rotate
from vm_core.scene_asset import SceneAsset, SceneBox
from vm_sim.batch_kinematics import BatchKinematics
from vm_sim.batch_physics import BatchPhysics
from vm_sim.g1_model import load_g1_spec, stand_qpos
from vm_sim.terrain import add_scene

BODIES = (
    "pelvis",
    "torso_link",
    *(f"{side}_{part}_link" for side in ("left", "right") for part in ("hip_pitch", "knee", "ankle_roll")),
    *(f"{side}_{part}_link" for side in ("left", "right") for part in ("shoulder_pitch", "elbow", "wrist_yaw")),
)
"""Bodies that tasks look at: pelvis and torso, then left before right."""
PELVIS, TORSO = 0, 1
FEET = [BODIES.index(name) for name in g1.FOOT_BODIES]
_FAR_BELOW_M = -20.0


@dataclass
class RobotParameters:
    """What differs between robots; one row a robot.

    Attributes:
        friction: (E,) sliding friction of the soles.
        payload_kg: (E,) on the torso.
        torso_com_m: (E, 3) shift of the torso's centre of mass.
        mass: (E,) factor on all masses and inertias.
        kp, kd: (E, J) factors on gains.
    """

    friction: np.ndarray
    payload_kg: np.ndarray
    torso_com_m: np.ndarray
    mass: np.ndarray
    kp: np.ndarray
    kd: np.ndarray


class CpuSimulation:
    """N robots of 23 joints on S scenes, on the CPU.

    Attributes:
        num_envs: N.  num_joints: 23.  substeps: physics steps a control period.
        qpos (N, 30), qvel (N, 29): state; NaN rows have diverged.
        body_pos, body_quat, body_lin_vel, body_ang_vel: (N, B, 3 or 4) of BODIES in the world.
        foot_force: (N, 2) normal force on the soles [N].
        stand_qpos: (30,) of the bent-knee stand.
    """

    device = torch.device("cpu")

    def __init__(
        self,
        scenes: Sequence[SceneAsset],
        scene_of: np.ndarray,
        *,
        timestep_s: float,
        control_period_s: float,
        threads: int,
    ) -> None:
        """Compiles one model a scene; robot i stands on scene scene_of[i]."""
        most = max(len(scene.boxes) for scene in scenes)
        self._nominal = [compile_robot(padded(scene, most), timestep_s) for scene in scenes]
        self._scene_of = np.asarray(scene_of)
        self._copies = [copy.copy(self._nominal[s]) for s in self._scene_of]
        self._physics = BatchPhysics(self._copies, control_period_s=control_period_s, threads=threads)
        first = self._nominal[0]
        self.num_envs, self.num_joints, self.substeps = len(self._copies), first.nu, self._physics.substeps
        self._kinematics = BatchKinematics(first, BODIES)
        self._soles = [i for i in range(first.ngeom) if "_sole" in first.geom(i).name]
        self._torso = first.body(g1.TORSO_BODY).id
        self._touch = [int(first.sensor(f"{name}_touch").adr[0]) for name in g1.FOOT_BODIES]
        self.stand_qpos = torch.tensor(stand_qpos(first), dtype=torch.float32)
        self.refresh()

    def reset(self, envs: torch.Tensor, qpos: torch.Tensor, qvel: torch.Tensor) -> None:
        """Puts robots (E,) at qpos (E, 30) and qvel (E, 29); call `refresh` before reading."""
        self._physics.reset(envs.numpy(), qpos.numpy(), qvel.numpy())
        self._physics.sensordata[envs.numpy()] = 0.0

    def step(self, target: torch.Tensor, previous: torch.Tensor, delay_substeps: torch.Tensor) -> None:
        """One control period of PD targets (N, 23) [rad], the previous ones in force for the first substeps (N,)."""
        self._physics.step(target.numpy(), previous.numpy(), delay_substeps.numpy())
        self.refresh()

    def push(self, envs: torch.Tensor, velocity: torch.Tensor) -> None:
        """Adds a pelvis velocity (E, 3) [m/s] to robots (E,)."""
        self._physics.qvel[envs.numpy(), :3] += velocity.numpy()

    def refresh(self) -> None:
        """Reads state, bodies and contacts anew."""
        qpos, qvel = self._physics.qpos, self._physics.qvel
        self.qpos, self.qvel = _tensor(qpos), _tensor(qvel)
        parts = self._kinematics.compute(qpos, qvel)
        self.body_pos, self.body_quat, self.body_lin_vel, self.body_ang_vel = (_tensor(part) for part in parts)
        self.foot_force = _tensor(self._physics.sensordata[:, self._touch])

    def sole_points(self, qpos: torch.Tensor) -> torch.Tensor:
        """(E, 8, 3) [m] the middles of the soles' spheres for configurations (E, 30)."""
        still = np.zeros((len(qpos), self._physics.qvel.shape[1]))
        position, quat = self._kinematics.compute(qpos.double().numpy(), still)[:2]
        feet, points = position[:, FEET], np.asarray(g1.SOLE_POINTS)
        turned = quat_rotate(np.repeat(quat[:, FEET, None], len(points), axis=2), np.tile(points, (len(qpos), 2, 1, 1)))
        return _tensor((feet[:, :, None] + turned).reshape(len(qpos), -1, 3))

    def vary(self, envs: torch.Tensor, parameters: RobotParameters) -> None:
        """Gives robots (E,) the parameters of as many rows."""
        for row, i in enumerate(envs.tolist()):
            model, nominal = self._copies[i], self._nominal[self._scene_of[i]]
            model.geom_friction[self._soles, 0] = parameters.friction[row]
            model.body_mass[:] = nominal.body_mass * parameters.mass[row]
            model.body_inertia[:] = nominal.body_inertia * parameters.mass[row]
            model.body_mass[self._torso] += parameters.payload_kg[row]
            model.body_ipos[self._torso] = nominal.body_ipos[self._torso] + parameters.torso_com_m[row]
            model.actuator_gainprm[:, 0] = nominal.actuator_gainprm[:, 0] * parameters.kp[row]
            model.actuator_biasprm[:, 1] = nominal.actuator_biasprm[:, 1] * parameters.kp[row]
            model.actuator_biasprm[:, 2] = nominal.actuator_biasprm[:, 2] * parameters.kd[row]

    def close(self) -> None:
        """Ends the worker threads."""
        self._physics.close()


def compile_robot(scene: SceneAsset, timestep_s: float) -> mujoco.MjModel:
    """The 23-joint G1 with sphere feet and a force sensor in each sole."""
    spec = load_g1_spec(collision="spheres", wrists=False)
    add_scene(spec, scene)
    for name in g1.FOOT_BODIES:
        box = {"type": mujoco.mjtGeom.mjGEOM_BOX, "size": [0.14, 0.06, 0.05]}
        spec.body(name).add_site(name=f"{name}_touch", pos=g1.SOLE_CENTER, **box)
        kind, site = mujoco.mjtSensor.mjSENS_TOUCH, mujoco.mjtObj.mjOBJ_SITE
        spec.add_sensor(name=f"{name}_touch", type=kind, objtype=site, objname=f"{name}_touch")
    spec.option.timestep = timestep_s
    return spec.compile()


def padded(scene: SceneAsset, boxes: int) -> SceneAsset:
    """The scene with as many boxes, those that are missing far below: all models need one structure."""
    missing = boxes - len(scene.boxes)
    extra = tuple(SceneBox((0.0, 0.0, _FAR_BELOW_M), (0.1, 0.1, 0.1)) for _ in range(missing))
    return replace(scene, boxes=(*scene.boxes, *extra))


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))
