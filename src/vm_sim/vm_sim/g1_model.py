"""The G1 as a MuJoCo model specification."""

from __future__ import annotations

import mujoco
import numpy as np

from vm_core import g1
from vm_core.errors import VmError
from vm_core.g1_files import find_g1_xml

_SOLE_FRICTION = 0.6
COLLISIONS = ("spheres", "seat", "full", "described")
_SEAT_GEOMS = ("pelvis_", "hip_", "thigh_")
"""What may rest on a seat."""


def load_g1_spec(*, collision: str = "spheres", meshes: bool = False, wrists: bool = True) -> mujoco.MjSpec:
    """The G1 with PD actuators, without a floor.

    Each motor's force is `kp*ctrl + b0 - kp*q - kd*dq` inside its torque range, with mjlab's gains to begin with
    (`set_gains` changes them at run time); velocity damping is integrated implicitly by `implicitfast`.

    Args:
        collision: "spheres": four spheres a sole and nothing else; "seat": also pelvis, hips and thighs, which touch
            the scene only; "full": the soles' spheres plus the body's capsules, which also touch each other;
            "described": the shapes as the model file has them, capsules for the feet too.
        meshes: keep the visual meshes (for pictures); physics does not need them.
        wrists: keep the six wrist joints; False welds them.
    """
    if collision not in COLLISIONS:
        raise VmError(f"collision {collision!r}; there are {', '.join(COLLISIONS)}")
    spec = mujoco.MjSpec.from_file(str(find_g1_xml()))
    _set_options(spec)
    if collision != "described":
        _set_collisions(spec, collision)
    if not meshes:
        _drop_meshes(spec)
    if not wrists:
        for name in g1.WRIST_JOINT_NAMES:
            spec.delete(spec.joint(name))
    _add_actuators(spec)
    return spec


def set_gains(model: mujoco.MjModel, kp: np.ndarray, kd: np.ndarray) -> None:
    """Sets the PD gains of all actuators, each (nu,) in the model's actuator order."""
    model.actuator_gainprm[:, 0] = kp
    model.actuator_biasprm[:, 1] = -kp
    model.actuator_biasprm[:, 2] = -kd


def joint_addresses(model: mujoco.MjModel, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Addresses of hinge joints by name: indices (J,) into qpos and (J,) into qvel."""
    joints = [model.joint(name) for name in names]
    return np.array([int(j.qposadr[0]) for j in joints]), np.array([int(j.dofadr[0]) for j in joints])


def stand_qpos(model: mujoco.MjModel) -> np.ndarray:
    """qpos (nq,) of the bent-knee stand with the soles on z = 0."""
    qpos = np.zeros(model.nq)
    qpos[2], qpos[3] = g1.STAND_PELVIS_HEIGHT_M, 1.0
    for name, angle in zip(g1.MOTOR_NAMES, g1.DEFAULT_STAND_POSE, strict=True):
        joint = mujoco.mj_name2id(model, int(mujoco.mjtObj.mjOBJ_JOINT), name)
        if joint >= 0:
            qpos[model.jnt_qposadr[joint]] = angle
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    soles = [i for i in range(model.ngeom) if "_sole" in model.geom(i).name]
    qpos[2] -= float(data.geom_xpos[soles, 2].min()) - g1.SOLE_SPHERE_RADIUS_M
    return qpos


def _set_options(spec: mujoco.MjSpec) -> None:
    spec.option.timestep = 0.002
    spec.option.integrator = int(mujoco.mjtIntegrator.mjINT_IMPLICITFAST)
    spec.option.cone = int(mujoco.mjtCone.mjCONE_PYRAMIDAL)
    spec.option.iterations = 10
    spec.option.ls_iterations = 20


def _set_collisions(spec: mujoco.MjSpec, collision: str) -> None:
    for geom in list(spec.geoms):
        is_foot = "_foot" in geom.name and geom.name.endswith("_collision")
        may_sit = collision == "seat" and any(part in geom.name for part in _SEAT_GEOMS)
        if may_sit and geom.name.endswith("_collision"):
            geom.contype, geom.conaffinity, geom.condim = 0, 1, 3
        elif not geom.name.endswith("_collision") or is_foot or collision != "full":
            geom.contype, geom.conaffinity = 0, 0
        else:
            geom.contype, geom.conaffinity, geom.condim = 1, 1, 1
        if is_foot:
            spec.delete(geom)
    for side, body in zip(("left", "right"), g1.FOOT_BODIES, strict=True):
        for i, point in enumerate(g1.SOLE_POINTS):
            spec.body(body).add_geom(
                name=f"{side}_sole{i}",
                type=mujoco.mjtGeom.mjGEOM_SPHERE,
                size=[g1.SOLE_SPHERE_RADIUS_M, 0, 0],
                pos=point,
                mass=0.0,
                contype=0,
                conaffinity=1,
                condim=3,
                priority=1,
                friction=[_SOLE_FRICTION, 0.005, 0.0001],
                group=3,
            )


def _drop_meshes(spec: mujoco.MjSpec) -> None:
    for geom in list(spec.geoms):
        if int(geom.type) == int(mujoco.mjtGeom.mjGEOM_MESH):
            spec.delete(geom)
    for mesh in list(spec.meshes):
        spec.delete(mesh)


def _add_actuators(spec: mujoco.MjSpec) -> None:
    present = {joint.name for joint in spec.joints}
    for i, name in enumerate(g1.MOTOR_NAMES):
        if name not in present:
            continue
        spec.joint(name).armature = g1.ARMATURE[i]
        spec.add_actuator(
            name=name,
            target=name,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            gaintype=mujoco.mjtGain.mjGAIN_FIXED,
            biastype=mujoco.mjtBias.mjBIAS_AFFINE,
            gainprm=[g1.MJLAB_KP[i], *[0.0] * 9],
            biasprm=[0.0, -g1.MJLAB_KP[i], -g1.MJLAB_KD[i], *[0.0] * 7],
            forcelimited=True,
            forcerange=[-g1.TORQUE_LIMIT[i], g1.TORQUE_LIMIT[i]],
        )
