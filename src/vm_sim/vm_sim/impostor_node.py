"""Somebody else on the robot's topics: for faults that do not come from the robot itself."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Twist
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Bool
from unitree_hg.msg import LowCmd

from vm_core.height_grid import HeightGridSpec
from vm_msgs.msg import HeightGrid
from vm_sim import robot_ros_conversions as ros_conversions
from vm_sim.faults import FaultPlayer, GridSample
from vm_sim.faults.player import bad_grid
from vm_sim.sim_config import SimConfig

_PERIOD_S = 0.02
_WISH = (0.3, 0.0, 0.0)
_SPEC = HeightGridSpec()
_FLAT = GridSample(0.8, np.zeros(_SPEC.num_cells), _SPEC.size_x, _SPEC.size_y, 0.0)


class ImpostorNode(Node):
    """Publishes only while a fault asks for it; its publishers exist only then, too."""

    def __init__(self, config: SimConfig, player: FaultPlayer) -> None:
        super().__init__("vm_sim_impostor")
        self._config, self._player = config, player
        self._publisher: Publisher | None = None
        self._playing = ""
        self._sent = 0
        self.create_timer(_PERIOD_S, self._on_timer)

    def _on_timer(self) -> None:
        if self._player.name != self._playing:
            self._change(self._player.name)
        if self._publisher is not None:
            self._publish(self._playing)
            self._sent += 1

    def _change(self, name: str) -> None:
        if self._playing == "estop" and self._publisher is not None:
            self._publisher.publish(Bool(data=False))
        if self._publisher is not None:
            self.destroy_publisher(self._publisher)
        config, self._publisher = self._config, None
        if name == "second_publisher":
            self._publisher = self.create_publisher(LowCmd, config.lowcmd_topic, 1)
        elif name == "estop":
            self._publisher = self.create_publisher(Bool, config.estop_topic, 10)
        elif name.startswith("command_"):
            self._publisher = self.create_publisher(Twist, config.cmd_vel_topic, 1)
        elif name.startswith("grid_") and name != "grid_silent":
            self._publisher = self.create_publisher(HeightGrid, config.grid_topic, 5)
        self._playing, self._sent = name, 0

    def _publish(self, name: str) -> None:
        assert self._publisher is not None
        if name == "estop":
            self._publisher.publish(Bool(data=True))
        elif name == "command_stale":  # teleoperation that falls silent after half a second
            if self._sent * _PERIOD_S < 0.5:
                self._publisher.publish(ros_conversions.twist_msg(_WISH))
        elif name.startswith("command_"):
            velocity = self._player.command(_WISH)
            assert velocity is not None
            self._publisher.publish(ros_conversions.twist_msg(velocity))
        elif name.startswith("grid_"):
            stamp_ns = self.get_clock().now().nanoseconds
            grid = bad_grid(name, _FLAT)
            frame = self._config.world_frame
            self._publisher.publish(ros_conversions.grid_msg(grid, _SPEC.resolution, frame, stamp_ns))
