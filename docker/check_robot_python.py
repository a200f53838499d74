"""Whether `install_robot_python.sh` installed what the nodes need; run while the image is built, without ROS."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from vm_core import g1
from vm_heightmap.mapper import MapperConfig
from vm_heightmap.warm_up import compile_now
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.viewing.recording import Recording
from vm_sim.live_view import LiveView
from vm_sim.robot_description import robot_description


def main() -> None:
    """Loads a policy with its golden pair, compiles the height map, writes the URDF and a recording."""
    import foxglove  # noqa: F401
    import mcap  # noqa: F401

    import vm_policy_node

    assert np.__version__.startswith("1."), f"numpy {np.__version__}; ROS's message libraries need numpy 1"
    policies = Path(vm_policy_node.__file__).parent / "policies"
    policy = OnnxPolicy.load(next(policies.glob("*.onnx")))
    compile_now(MapperConfig())
    assert robot_description().count("<joint") > g1.NUM_MOTORS
    with tempfile.TemporaryDirectory() as folder:
        recording = Recording(Path(folder) / "bag")
        recording.add_topic("/text", "std_msgs/msg/String", "string data\n")
        recording.write("/text", 1, b"\x00\x01\x00\x00\x02\x00\x00\x00x\x00")
        assert recording.close() is not None
    LiveView("127.0.0.1", 8080, lambda _: "").stop()
    print(f"numpy {np.__version__}: policy {policy.name}, height map, URDF, recording and page work")


if __name__ == "__main__":
    main()
