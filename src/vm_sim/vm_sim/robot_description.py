"""The G1 as URDF text, written from the compiled MuJoCo model: one robot, described once."""

from __future__ import annotations

from pathlib import PurePosixPath
from xml.etree import ElementTree

import mujoco
import numpy as np

from vm_core import frames, g1
from vm_core.g1_files import MESH_URI
from vm_sim.g1_model import load_g1_spec

LIDAR_FRAME = "livox_frame"


def robot_description(mesh_uri: str = MESH_URI) -> str:
    """The URDF of the G1 with 29 joints, inertias, visual meshes and the LiDAR's frame.

    Args:
        mesh_uri: what stands before `/NAME.STL` in every mesh's address.

    Raises:
        VmError: no model of the G1.
    """
    model = load_g1_spec(collision="full", meshes=True).compile()
    root = ElementTree.Element("robot", name="g1")
    first = model.body(g1.PELVIS_BODY).id
    for body in range(first, model.nbody):
        root.append(_link(model, body, mesh_uri))
        if body != first:
            root.append(_joint(model, body))
    ElementTree.SubElement(root, "link", name=LIDAR_FRAME)
    mount = _fixed_joint(g1.TORSO_BODY, LIDAR_FRAME)
    _origin(mount, g1.LIDAR_POS_IN_TORSO, g1.LIDAR_QUAT_IN_TORSO_WXYZ)
    root.append(mount)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def _link(model: mujoco.MjModel, body: int, mesh_uri: str) -> ElementTree.Element:
    link = ElementTree.Element("link", name=model.body(body).name)
    inertial = ElementTree.SubElement(link, "inertial")
    _origin(inertial, model.body_ipos[body], model.body_iquat[body])
    ElementTree.SubElement(inertial, "mass", value=_text(model.body_mass[body]))
    ixx, iyy, izz = (_text(value) for value in model.body_inertia[body])
    ElementTree.SubElement(inertial, "inertia", ixx=ixx, iyy=iyy, izz=izz, ixy="0", ixz="0", iyz="0")
    for geom in np.flatnonzero(model.geom_bodyid == body):
        if int(model.geom_type[geom]) == int(mujoco.mjtGeom.mjGEOM_MESH):
            link.append(_visual(model, int(geom), mesh_uri))
    return link


def _visual(model: mujoco.MjModel, geom: int, mesh_uri: str) -> ElementTree.Element:
    """A mesh where the file has it: MuJoCo moves a mesh into its own inertial frame when it compiles."""
    mesh = int(model.geom_dataid[geom])
    quat = frames.quat_multiply(model.geom_quat[geom], frames.quat_conjugate(model.mesh_quat[mesh]))
    pos = model.geom_pos[geom] - frames.quat_rotate(quat, model.mesh_pos[mesh])
    visual = ElementTree.Element("visual")
    _origin(visual, pos, quat)
    name = PurePosixPath(_mesh_file(model, mesh)).name
    ElementTree.SubElement(ElementTree.SubElement(visual, "geometry"), "mesh", filename=f"{mesh_uri}/{name}")
    material = ElementTree.SubElement(visual, "material", name=f"{model.mesh(mesh).name}_color")
    rgba = model.geom_rgba[geom] if model.geom_matid[geom] < 0 else model.mat_rgba[model.geom_matid[geom]]
    ElementTree.SubElement(material, "color", rgba=_vector(np.round(rgba, 4)))
    return visual


def _mesh_file(model: mujoco.MjModel, mesh: int) -> str:
    start = int(model.mesh_pathadr[mesh])
    return model.paths[start : model.paths.index(b"\x00", start)].decode()


def _joint(model: mujoco.MjModel, body: int) -> ElementTree.Element:
    name, parent = model.body(body).name, model.body(int(model.body_parentid[body])).name
    if not model.body_jntnum[body]:
        joint = _fixed_joint(parent, name)
        _origin(joint, model.body_pos[body], model.body_quat[body])
        return joint
    index = int(model.body_jntadr[body])
    joint = ElementTree.Element("joint", name=model.joint(index).name, type="revolute")
    ElementTree.SubElement(joint, "parent", link=parent)
    ElementTree.SubElement(joint, "child", link=name)
    _origin(joint, model.body_pos[body], model.body_quat[body])
    ElementTree.SubElement(joint, "axis", xyz=_vector(model.jnt_axis[index]))
    motor = g1.motor_index(model.joint(index).name)
    lower, upper = (_text(value) for value in model.jnt_range[index])
    effort, velocity = _text(g1.TORQUE_LIMIT[motor]), _text(g1.VELOCITY_LIMIT[motor])
    ElementTree.SubElement(joint, "limit", lower=lower, upper=upper, effort=effort, velocity=velocity)
    return joint


def _fixed_joint(parent: str, child: str) -> ElementTree.Element:
    joint = ElementTree.Element("joint", name=f"{child}_mount", type="fixed")
    ElementTree.SubElement(joint, "parent", link=parent)
    ElementTree.SubElement(joint, "child", link=child)
    return joint


def _origin(parent: ElementTree.Element, pos: np.ndarray, quat_wxyz: np.ndarray) -> None:
    ElementTree.SubElement(parent, "origin", xyz=_vector(pos), rpy=_vector(_roll_pitch_yaw(quat_wxyz)))


def _roll_pitch_yaw(quat_wxyz: np.ndarray) -> np.ndarray:
    """URDF's fixed-axis angles (3,) [rad]: the rotation is Rz(yaw) Ry(pitch) Rx(roll)."""
    m = frames.matrix_from_quat(np.asarray(quat_wxyz, dtype=float))
    pitch = np.arctan2(-m[2, 0], np.hypot(m[0, 0], m[1, 0]))
    if np.hypot(m[0, 0], m[1, 0]) < 1e-9:  # straight up or down: roll and yaw turn about the same axis
        return np.array([np.arctan2(-m[1, 2], m[1, 1]), pitch, 0.0])
    return np.array([np.arctan2(m[2, 1], m[2, 2]), pitch, np.arctan2(m[1, 0], m[0, 0])])


def _vector(values: np.ndarray) -> str:
    return " ".join(_text(value) for value in values)


def _text(value: float) -> str:
    return f"{round(float(value), 8) + 0.0:.9g}"  # + 0.0: no negative zero
