"""`vm-heightmap`: the node, or `vm-heightmap replay BAG --out DIR` without any ROS."""

from __future__ import annotations

import sys

from vm_core import command_line
from vm_core.ros_environment import run_in_ros


def main() -> None:
    """Console entry point."""
    if sys.argv[1:2] == ["replay"]:
        from vm_heightmap import replay

        command_line.run(lambda: replay.main(sys.argv[2:]))
        return
    run_in_ros("vm_heightmap.heightmap_node")


if __name__ == "__main__":
    main()
