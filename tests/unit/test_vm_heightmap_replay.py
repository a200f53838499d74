"""Recorded bags through the mapper without ROS: both storages, what comes out, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from vm_core import g1, livox_cdr, unitree_cdr
from vm_core.errors import VmError
from vm_heightmap.replay import Replay, main, replay

rosbag2 = pytest.importorskip("rosbags.rosbag2")
typesys = pytest.importorskip("rosbags.typesys")


def write_bag(folder: Path, storage: str) -> Path:
    """Two seconds of a robot that walks on a floor: odometry 100 Hz, joints, ten scans a second."""
    store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    types, rng = store.types, np.random.default_rng(0)
    header, time = types["std_msgs/msg/Header"], types["builtin_interfaces/msg/Time"]
    record = unitree_cdr.new_low_state()
    unitree_cdr.set_motors(record, "q", g1.DEFAULT_STAND_POSE)
    plugin = getattr(rosbag2.StoragePlugin, storage)
    with rosbag2.Writer(folder, version=9, storage_plugin=plugin) as writer:
        odometry = writer.add_connection("/ground_truth/odometry", "nav_msgs/msg/Odometry", typestore=store)
        raw = {"msgdef": "uint8 raw\n", "rihs01": "RIHS01_" + 64 * "0"}
        lidar = writer.add_connection("/livox/lidar", "livox_ros_driver2/msg/CustomMsg", **raw)
        joints = writer.add_connection("/lowstate", "unitree_hg/msg/LowState", **raw)
        for k in range(201):
            stamp = k * 10**7
            point = types["geometry_msgs/msg/Point"](x=0.004 * k, y=0.0, z=g1.STAND_PELVIS_HEIGHT_M)
            turn = types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0)
            zero = types["geometry_msgs/msg/Vector3"](x=0.0, y=0.0, z=0.0)
            message = types["nav_msgs/msg/Odometry"](
                header=header(stamp=time(sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id="map"),
                child_frame_id="pelvis",
                pose=types["geometry_msgs/msg/PoseWithCovariance"](
                    pose=types["geometry_msgs/msg/Pose"](position=point, orientation=turn), covariance=np.zeros(36)
                ),
                twist=types["geometry_msgs/msg/TwistWithCovariance"](
                    twist=types["geometry_msgs/msg/Twist"](linear=zero, angular=zero), covariance=np.zeros(36)
                ),
            )
            writer.write(joints, stamp, record.tobytes())
            writer.write(odometry, stamp, store.serialize_cdr(message, "nav_msgs/msg/Odometry"))
            if k % 10 == 0 and k:
                writer.write(lidar, stamp, scan(stamp - 10**8, rng))
    return folder


def scan(stamp_ns: int, rng: np.random.Generator) -> bytes:
    points = np.zeros(3000, dtype=livox_cdr.POINT)
    angle, radius = rng.uniform(0, 2 * np.pi, 3000), rng.uniform(0.4, 2.0, 3000)
    # in the sensor's frame, which hangs upside down and tilts by 2.3 degrees
    floor = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(3000, 1.22)], axis=-1)
    tilt = np.array([[np.cos(t := g1.LIDAR_TILT_RAD), 0, -np.sin(t)], [0, 1, 0], [np.sin(t), 0, np.cos(t)]])
    for axis, values in zip("xyz", (floor @ tilt.T).T, strict=True):
        points[axis] = values
    points["offset_time"] = np.arange(3000) * 33_000
    return livox_cdr.encode_custom_msg(livox_cdr.LivoxScan(stamp_ns, "livox_frame", stamp_ns, points))


@pytest.mark.parametrize("storage", ["MCAP", "SQLITE3"])
def test_a_bag_becomes_grids_a_map_and_a_picture(tmp_path: Path, storage: str) -> None:
    bag = write_bag(tmp_path / "bag", storage)
    assert main([str(bag), "--out", str(tmp_path / "out"), "--mount-check-deg", "0"]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["scans"] >= 19
    assert summary["messages"]["/livox/lidar"] == 20
    assert summary["seconds"] == pytest.approx(2.0, abs=0.03)
    grids = np.load(tmp_path / "out" / "grids.npz")
    assert grids["height"].shape == (summary["grids"], 121)
    assert 95 <= summary["grids"] <= 101
    assert np.nanmax(np.abs(grids["height"][-1])) < 0.06
    assert np.load(tmp_path / "out" / "map.npz")["height"].shape == (200, 200)
    assert (tmp_path / "out" / "overview.png").stat().st_size > 5000


def test_what_is_no_bag_is_named(tmp_path: Path) -> None:
    with pytest.raises(VmError, match="no such bag"):
        replay(Replay(tmp_path / "nothing", tmp_path / "out"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(VmError, match="not a readable rosbag2"):
        replay(Replay(tmp_path / "empty", tmp_path / "out"))
    bag = write_bag(tmp_path / "bag", "SQLITE3")
    with pytest.raises(VmError, match="it holds /ground_truth/odometry, /livox/lidar, /lowstate"):
        replay(Replay(bag, tmp_path / "out", odometry_topic="/a", lidar_topic="/b", lowstate_topic="/c"))
    with pytest.raises(VmError, match="expected topic or own"):
        Replay(bag, tmp_path / "out", odometry_source="gps")
