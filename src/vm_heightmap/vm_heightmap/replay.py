"""`vm-heightmap replay BAG --out DIR`: plays a recorded bag through the mapper, without ROS, and says what came out.

Reads rosbag2 folders, mcap and sqlite3. Topics are those of the node, under their default names unless told.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_heightmap.mapper import HeightMapper
from vm_heightmap.mapper_config import MapperConfig
from vm_heightmap.mount_check import MountLimits
from vm_heightmap.saved_map import save_map
from vm_heightmap.scan_input import scan_from_cloud

GRID_PERIOD_S = 0.02


@dataclass(frozen=True)
class Replay:
    """Plays a bag through the height map.

    Attributes:
        bag: folder of a rosbag2 recording (mcap or sqlite3), or a file in it.
        out: folder for grids.npz, map.npz, summary.json and pictures.
        odometry_source: topic or own, as the node's parameter.
        odometry_topic: nav_msgs/Odometry of the pelvis.
        lidar_topic: CustomMsg or PointCloud2.
        imu_topic: sensor_msgs/Imu of the LiDAR.
        lowstate_topic: unitree_hg/LowState.
        mount_check_deg: as the node's parameter.
    """

    bag: tyro.conf.Positional[Path]
    out: Path
    odometry_source: str = "topic"
    odometry_topic: str = "/ground_truth/odometry"
    lidar_topic: str = "/livox/lidar"
    imu_topic: str = "/livox/imu"
    lowstate_topic: str = "/lowstate"
    mount_check_deg: float = MountLimits.tilt_deg

    def __post_init__(self) -> None:
        if self.odometry_source not in ("topic", "own"):
            raise VmError(f"--odometry-source {self.odometry_source!r}: expected topic or own")


def replay(options: Replay) -> dict:
    """Plays the bag, writes the results, and returns the summary.

    Raises:
        VmError: no bag, none of the topics, or nothing to show.
    """
    own = options.odometry_source == "own"
    mapper = HeightMapper(MapperConfig(own_odometry=own, mount=MountLimits(options.mount_check_deg)))
    topics = [options.lowstate_topic, options.lidar_topic, options.imu_topic if own else options.odometry_topic]
    rows: dict[str, list] = {name: [] for name in ("time_s", "torso", "height", "variance", "source", "age_s")}
    counts, problems, next_grid_s = Counter(), Counter(), -np.inf
    for topic, kind, message in read_messages(options.bag, topics):
        counts[topic] += 1
        _feed(mapper, kind, message)
        pose = mapper.newest_pose
        if pose is None or (next_grid_s > pose.time_s > next_grid_s - 1.0):
            continue
        next_grid_s = pose.time_s + GRID_PERIOD_S
        problems.update(mapper.health.problems.values())
        found = mapper.grid(0.0)
        assert found is not None
        sample = found[0]
        rows["time_s"].append(pose.time_s)
        rows["torso"].append(np.concatenate([pose.pos, pose.quat_wxyz]))
        for name in ("height", "variance", "source", "age_s"):
            rows[name].append(getattr(sample, name))
    if not rows["time_s"]:
        seen = ", ".join(f"{topic} {count}" for topic, count in counts.items()) or "none"
        raise VmError(f"{options.bag}: no pose came out; messages of {', '.join(topics)} were: {seen}")
    return _write(options.out, mapper, {name: np.array(values) for name, values in rows.items()}, counts, problems)


def read_messages(bag: Path, topics: list[str]) -> Iterator[tuple[str, str, Any]]:
    """Topic, type and message in the order of the recording; LowState and CustomMsg stay bytes.

    Raises:
        VmError: not a bag, or none of the topics in it.
    """
    from rosbags.rosbag2 import Reader, ReaderError  # takes half a second to load
    from rosbags.typesys import Stores, get_typestore

    if not bag.exists():
        raise VmError(f"{bag}: no such bag")
    store = get_typestore(Stores.ROS2_JAZZY)
    try:
        reader = Reader(bag if bag.is_dir() else bag.parent)
        reader.open()
    except (ReaderError, OSError, ValueError, KeyError) as error:
        raise VmError(f"{bag}: not a readable rosbag2 recording ({error})") from None
    with contextlib.closing(reader):
        wanted = [connection for connection in reader.connections if connection.topic in topics]
        if not wanted:
            there = ", ".join(sorted({connection.topic for connection in reader.connections})) or "nothing"
            raise VmError(f"{bag}: has none of {', '.join(topics)}; it holds {there}")
        for connection, _, data in reader.messages(connections=wanted):
            kind = connection.msgtype.rsplit("/", 1)[-1]
            raw = kind in ("LowState", "CustomMsg")
            yield connection.topic, kind, bytes(data) if raw else store.deserialize_cdr(data, connection.msgtype)


def _feed(mapper: HeightMapper, kind: str, message: Any) -> None:
    if kind == "LowState":
        mapper.on_low_state(message)
    elif kind == "CustomMsg":
        mapper.on_scan(message, 0.0)
    elif kind == "PointCloud2":
        fields = {field.name: (field.offset, field.datatype) for field in message.fields}
        count = message.width * message.height
        try:
            scan = scan_from_cloud(fields, message.point_step, count, bytes(message.data), _seconds(message))
        except VmError as error:
            mapper.refuse_scan(str(error))
            return
        mapper.on_points(scan, 0.0)
    elif kind == "Imu":
        w, a = message.angular_velocity, message.linear_acceleration
        mapper.on_imu(_seconds(message), np.array([w.x, w.y, w.z]), np.array([a.x, a.y, a.z]), 0.0)
    elif kind == "Odometry":
        p, q = message.pose.pose.position, message.pose.pose.orientation
        mapper.on_odometry(_seconds(message), np.array([p.x, p.y, p.z]), np.array([q.w, q.x, q.y, q.z]), 0.0)


def _seconds(message: Any) -> float:
    return message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec


def _write(out: Path, mapper: HeightMapper, rows: dict[str, np.ndarray], counts: Counter, problems: Counter) -> dict:
    known = rows["source"] != 0
    summary = {
        "seconds": round(float(rows["time_s"][-1] - rows["time_s"][0]), 3),
        "grids": len(rows["time_s"]),
        "messages": dict(counts),
        "scans": mapper.scans,
        "scans_dropped": mapper.dropped_scans,
        "scans_refused": mapper.bad_scans,
        "map_epochs": mapper.epoch,
        "known_share": round(float(known.mean()), 4),
        "age_p95_s": round(float(np.nanpercentile(rows["age_s"], 95)), 3) if known.any() else None,
        "map_shifted_m": round(mapper.drift.taken_out_m, 4),
        "points_above_feet_m": round(mapper.drift.ground_offset_m, 4),
        "mount": mapper.fusion.mount.problem or "OK",
        "problems": dict(problems.most_common(10)),
    }
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(out / "grids.npz") as path, open(path, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **rows)
    save_map(mapper.elevation, out / "map.npz")
    with atomic_path(out / "summary.json") as path:
        path.write_text(json.dumps(summary, indent=1) + "\n")
    _draw(out, mapper, rows)
    return summary


def _draw(out: Path, mapper: HeightMapper, rows: dict[str, np.ndarray]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    elevation, time_s = mapper.elevation, rows["time_s"] - rows["time_s"][0]
    figure, (left, upper, lower) = pyplot.subplots(1, 3, figsize=(16, 5))
    rolled = np.roll(elevation.height, -elevation.corner[2:], axis=(0, 1))
    low, size = elevation.corner[:2] * elevation.config.resolution_m, elevation.config.size_m
    extent = (low[1], low[1] + size, low[0], low[0] + size)
    shown = left.imshow(rolled, origin="lower", extent=extent, interpolation="nearest")
    figure.colorbar(shown, ax=left, label="height [m]")
    left.plot(rows["torso"][:, 1], rows["torso"][:, 0], "w-", linewidth=1)
    left.set(xlabel="y [m]", ylabel="x [m]", title="last map from above and the torso's path")
    left.set(xlim=extent[1::-1], ylim=extent[2:])  # x is up, so y points to the left
    middle = rows["height"][:, rows["height"].shape[1] // 2]
    upper.plot(time_s, rows["torso"][:, 2] - 0.8, label="torso - 0.8 m")
    upper.plot(time_s, middle, label="terrain under the torso")
    upper.set(xlabel="time [s]", ylabel="height [m]")
    upper.legend()
    for source, name in enumerate(("unknown", "seen", "filled", "seeded")):
        lower.plot(time_s, np.mean(rows["source"] == source, axis=1), label=name)
    lower.set(xlabel="time [s]", ylabel="share of cells", ylim=(-0.02, 1.02))
    lower.legend()
    figure.tight_layout()
    with atomic_path(out / "overview.png") as path:
        figure.savefig(path, dpi=80)
    pyplot.close(figure)


def main(arguments: list[str]) -> int:
    """Runs the command with its arguments."""
    options = tyro.cli(Replay, prog="vm-heightmap replay", args=arguments)
    summary = replay(options)
    print(json.dumps(summary, indent=1))
    print(f"written to {options.out}")
    return 0
