"""The URDF and the link frames against the MuJoCo model that they describe."""

from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest
import trimesh

from vm_core import frames, g1
from vm_core.g1_files import MESH_URI, mesh_files
from vm_core.g1_kinematics import JOINT_OFFSET
from vm_sim.g1_model import load_g1_spec
from vm_sim.link_frames import LINK_NAMES, PARENT_NAMES, link_quats
from vm_sim.robot_description import LIDAR_FRAME, robot_description


@pytest.fixture(scope="module")
def posed():
    """Model and data with the pelvis at the origin and every joint somewhere else."""
    model = load_g1_spec(collision="full", meshes=True).compile()
    data = mujoco.MjData(model)
    data.qpos[:7] = (0, 0, 0, 1, 0, 0, 0)
    data.qpos[7:] = np.random.default_rng(3).uniform(g1.JOINT_LOWER, g1.JOINT_UPPER)
    mujoco.mj_kinematics(model, data)
    return model, data


@pytest.fixture(scope="module")
def urdf() -> ElementTree.Element:
    return ElementTree.fromstring(robot_description())


def numbers(text: str) -> np.ndarray:
    return np.array([float(part) for part in text.split()])


def origin(element: ElementTree.Element) -> tuple[np.ndarray, np.ndarray]:
    """Position and quaternion of an element's origin, by URDF's rule Rz Ry Rx."""
    found = element.find("origin")
    quat = np.array([1.0, 0, 0, 0])
    for axis, angle in zip((2, 1, 0), numbers(found.get("rpy"))[::-1], strict=True):
        quat = frames.quat_multiply(quat, frames.quat_from_rotvec(angle * np.eye(3)[axis]))
    return numbers(found.get("xyz")), quat


def link_poses(urdf: ElementTree.Element, angles: dict[str, float]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    poses = {g1.PELVIS_BODY: (np.zeros(3), np.array([1.0, 0, 0, 0]))}
    for joint in urdf.findall("joint"):
        pos, quat = poses[joint.find("parent").get("link")]
        offset, turn = origin(joint)
        if joint.get("type") == "revolute":
            rotvec = angles[joint.get("name")] * numbers(joint.find("axis").get("xyz"))
            turn = frames.quat_multiply(turn, frames.quat_from_rotvec(rotvec))
        place = pos + frames.quat_rotate(quat, offset), frames.quat_multiply(quat, turn)
        poses[joint.find("child").get("link")] = place
    return poses


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.arccos(min(1.0, abs(float(np.dot(a, b)))))


def test_every_link_is_where_mujoco_has_it(urdf, posed):
    model, data = posed
    poses = link_poses(urdf, dict(zip(g1.MOTOR_NAMES, data.qpos[7:], strict=True)))
    bodies = [model.body(i).name for i in range(1, model.nbody)]
    assert set(poses) == {*bodies, LIDAR_FRAME}
    for name in bodies:
        np.testing.assert_allclose(poses[name][0], data.body(name).xpos, atol=1e-6)
        assert angle_between(poses[name][1], data.body(name).xquat) < 1e-5
    pos, quat = poses[g1.TORSO_BODY]
    np.testing.assert_allclose(poses[LIDAR_FRAME][0], pos + frames.quat_rotate(quat, g1.LIDAR_POS_IN_TORSO), atol=1e-6)


def test_every_mesh_is_where_mujoco_draws_it(urdf, posed):
    model, data = posed
    poses = link_poses(urdf, dict(zip(g1.MOTOR_NAMES, data.qpos[7:], strict=True)))
    visuals = [(link.get("name"), visual) for link in urdf.findall("link") for visual in link.findall("visual")]
    geoms = np.flatnonzero(model.geom_type == int(mujoco.mjtGeom.mjGEOM_MESH))
    assert len(visuals) == len(geoms) == 35
    for (link, visual), geom in zip(visuals, geoms, strict=True):
        address = visual.find("geometry/mesh").get("filename")
        assert address.startswith(MESH_URI)
        corners = trimesh.load(mesh_files()[address.rsplit("/", 1)[1]]).bounds.mean(axis=0)
        pos, quat = poses[link]
        offset, turn = origin(visual)
        drawn = pos + frames.quat_rotate(quat, offset + frames.quat_rotate(turn, corners))
        mesh = model.geom_dataid[geom]
        local = frames.quat_rotate(frames.quat_conjugate(model.mesh_quat[mesh]), corners - model.mesh_pos[mesh])
        expected = data.geom_xpos[geom] + data.geom_xmat[geom].reshape(3, 3) @ local
        np.testing.assert_allclose(drawn, expected, atol=1e-5)


def test_masses_and_limits(urdf, posed):
    model, _ = posed
    masses = [float(mass.get("value")) for mass in urdf.findall("link/inertial/mass")]
    assert sum(masses) == pytest.approx(model.body_subtreemass[1], rel=1e-6)
    limits = {joint.get("name"): joint.find("limit") for joint in urdf.findall("joint") if joint.get("type") != "fixed"}
    assert list(limits) == [model.joint(i).name for i in range(1, model.njnt)]
    for name, limit in limits.items():
        motor = g1.motor_index(name)
        assert float(limit.get("lower")) == pytest.approx(g1.JOINT_LOWER[motor])
        assert float(limit.get("effort")) == pytest.approx(g1.TORQUE_LIMIT[motor])


def test_the_published_frames_are_those_of_the_description(posed):
    model, data = posed
    poses = {g1.PELVIS_BODY: (np.zeros(3), np.array([1.0, 0, 0, 0]))}
    turns = link_quats(data.qpos[7:])
    for parent, link, offset, turn in zip(PARENT_NAMES, LINK_NAMES, JOINT_OFFSET, turns, strict=True):
        pos, quat = poses[parent]
        poses[link] = pos + frames.quat_rotate(quat, offset), frames.quat_multiply(quat, turn)
        np.testing.assert_allclose(poses[link][0], data.body(link).xpos, atol=1e-4)
        assert angle_between(poses[link][1], data.body(link).xquat) < 5e-4
