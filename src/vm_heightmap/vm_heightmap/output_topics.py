"""What goes out: the grid, the own odometry, diagnostics, and pictures for those who look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import OccupancyGrid, Odometry
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from vm_heightmap import ros_conversions
from vm_heightmap.mapper import HeightMapper
from vm_heightmap.rates import Rates
from vm_msgs.msg import HeightGrid

Get = Callable[[str], Any]


class OutputTopics:
    """Publishes what a mapper says.

    Attributes:
        entities: publishers, for whoever destroys them.
    """

    def __init__(self, node: LifecycleNode, get: Get, mapper: HeightMapper) -> None:
        """Args: the node; its parameters by name; the mapper."""
        self._mapper, self._rates, self._samples = mapper, Rates(), 0
        self._frames = (get("odom_frame"), get("base_frame"))
        self.entities: list[Any] = []

        def publisher(kind: type, topic: str, depth: int) -> Any:
            self.entities.append(node.create_lifecycle_publisher(kind, topic, depth))
            return self.entities[-1]

        topic = get("grid_topic")
        self._grid = publisher(HeightGrid, topic, 5)
        self._points = publisher(PointCloud2, f"{topic}/points", 1)
        self._markers = publisher(MarkerArray, f"{topic}/markers", 1)
        self._layers = {name: publisher(OccupancyGrid, f"{topic}/{name}", 1) for name in ros_conversions.LAYERS}
        self._diagnostics = publisher(DiagnosticArray, "/diagnostics", 10)
        self._own_odometry = publisher(Odometry, get("own_odometry_topic"), 10)
        self._transforms = publisher(TFMessage, "/tf", 20)

    def publish_grid(self, now_s: float, frame_id: str) -> None:
        """The grid at the newest pose; nothing before the first."""
        found = self._mapper.grid(now_s)
        if found is None:
            return
        msg = ros_conversions.grid_msg(*found, self._mapper.config.grid, frame_id)
        self._grid.publish(msg)
        self._rates.note("grid", now_s)
        if self._points.get_subscription_count():
            self._points.publish(ros_conversions.points_msg(found[0], msg))

    def publish_odometry(self, frame_id: str) -> None:
        """The own odometry and its transforms, after every other inertial sample."""
        self._samples += 1
        found = self._mapper.pelvis_motion() if self._samples % 2 == 0 else None
        if found is None or self._mapper.own is None:
            return
        self._own_odometry.publish(ros_conversions.odometry_msg(*found, self._mapper.own.covariance, *self._frames))
        self._transforms.publish(ros_conversions.transforms_msg(found[0], frame_id, *self._frames))

    def publish_diagnostics(self, now_s: float, stamp: Time, missed: int) -> None:
        """Rates, counts, ages, and what is wrong."""
        found = self._mapper.grid(now_s)
        more: dict[str, object] = {f"{kind}_hz": round(rate, 1) for kind, rate in self._rates.hz(now_s).items()}
        more["grids_missed"] = missed
        self._diagnostics.publish(ros_conversions.diagnostics_msg(self._mapper, found, more, stamp, now_s))

    def publish_pictures(self, now_s: float, frame_id: str) -> None:
        """Markers and layers, as far as somebody looks at them."""
        layers = [name for name, publisher in self._layers.items() if publisher.get_subscription_count()]
        markers = self._markers.get_subscription_count()
        found = self._mapper.grid(now_s) if layers or markers else None
        if found is None:
            return
        header, shown = ros_conversions.grid_msg(*found, self._mapper.config.grid, frame_id), found[1]
        if markers:
            self._markers.publish(ros_conversions.markers_msg(found[0], header))
        for name in layers:
            torso_z = float(shown.pose.pos[2])
            self._layers[name].publish(ros_conversions.layer_msg(name, shown.view, torso_z, shown.pose.time_s, header))
