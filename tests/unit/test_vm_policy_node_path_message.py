"""nav_msgs/Path from its bytes: what ROS wrote, and bytes that are none."""

import contextlib

import numpy as np
import pytest

from vm_core.errors import VmError
from vm_policy_node.root_command import MAX_POINTS, read_path


def message(poses: np.ndarray, frame: str = "map", own: str = "map") -> bytes:
    """The bytes of a path of poses (N, 7), position and orientation xyzw, as ROS writes them."""
    geometry = pytest.importorskip("geometry_msgs.msg", reason="ROS's messages are not installed")
    nav = pytest.importorskip("nav_msgs.msg")
    serialization = pytest.importorskip("rclpy.serialization")
    path = nav.Path()
    path.header.frame_id, path.header.stamp.sec = frame, 7
    for x, y, z, *turn in poses.tolist():
        pose = geometry.PoseStamped()
        pose.header.frame_id = own
        pose.pose.position = geometry.Point(x=x, y=y, z=z)
        pose.pose.orientation = geometry.Quaternion(**dict(zip("xyzw", turn, strict=True)))
        path.poses.append(pose)
    return serialization.serialize_message(path)


def poses(count: int) -> np.ndarray:
    found = np.random.default_rng(count).normal(size=(count, 7))
    found[:, 3:] = [0.0, 0.0, np.sin(0.3), np.cos(0.3)]
    return found


@pytest.mark.parametrize("frame", ["", "o", "map", "odom", "world", "a_long_name_of_a_frame"])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_what_ros_wrote_is_read(frame, count):
    for own in {frame, ""}:  # planners name the frame in each pose, or nowhere
        path = read_path(message(poses(count), frame, own))
        assert path.frame == frame
        np.testing.assert_array_equal(path.points, poses(count)[:, :2])
        assert path.final_yaw == (pytest.approx(0.6) if count else None)


def test_poses_without_a_heading_leave_it_open():
    still = poses(3)
    still[:, 3:] = [0.0, 0.0, 0.0, 1.0]
    assert read_path(message(still)).final_yaw is None


def test_poses_in_other_frames_are_refused():
    with pytest.raises(VmError, match="other frames"):
        read_path(message(poses(3), "map", "odom"))
    mixed = bytearray(message(poses(3), "map", "map"))
    at = mixed.rindex(b"map\0")
    mixed[at : at + 3] = b"odo"
    with pytest.raises(VmError, match="other frames"):
        read_path(bytes(mixed))


def test_too_many_poses_are_not_even_read():
    header = b"\0\1\0\0" + bytes(8) + b"\4\0\0\0map\0"
    with pytest.raises(VmError, match=f"expected at most {MAX_POINTS}"):
        read_path(header + (MAX_POINTS + 1).to_bytes(4, "little"))


def test_broken_bytes_are_refused():
    whole = message(poses(4))
    for length in range(len(whole)):
        with pytest.raises(VmError):
            read_path(whole[:length])
    rng = np.random.default_rng(0)
    for _ in range(2000):
        broken = np.frombuffer(whole, np.uint8).copy()
        broken[rng.integers(len(whole), size=3)] = rng.integers(256, size=3)
        with contextlib.suppress(VmError):
            read_path(broken.tobytes())
