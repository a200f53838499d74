"""The ways in which real systems fail, one function each: `python cases.py NAME…` prints what a running node did.

Each plays a fault and returns figures that the test judges. Run by test_vm_heightmap_faults_ros.py.
"""

from __future__ import annotations

import json
import sys

import pose_faults
import scan_faults
import surroundings
from world import World


def _case(name: str):
    for group in (scan_faults, pose_faults, surroundings):
        if hasattr(group, name):
            return getattr(group, name)
    raise SystemExit(f"no case {name}")


if __name__ == "__main__":
    names = sys.argv[1:]
    world = World(own="acceleration_units" in names)
    world.send_joints = names[0] != "viewers"
    world.begin()
    for name in names:
        print(json.dumps({name: _case(name)(world)}), flush=True)
