"""What a person asks to be started, as plain data: options of `vm-bringup`, arguments of `launch/g1.launch.py`."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from vm_core.errors import VmError

TELEOPS = ("none", "joystick")
SIM_ODOMETRY, OWN_ODOMETRY = "/ground_truth/odometry", "/odometry"
VIDEO_SUFFIXES = (".mp4", ".npz")
_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*")


@dataclass(frozen=True)
class System:
    """What to start. Empty texts mean: not given.

    Attributes:
        policy: policy file (.onnx with its contract).
        sim: simulate the robot in place of its drivers.
        scene: scene folder, for the simulator.
        start: clip whose first frame the simulated robot starts in.
        clip: that a tracking policy follows in place of its own, from where it begins.
        record: true or a folder: a recording (mcap) of all topics; NAME.mp4 or NAME.npz: the simulator's video or log.
        report: JSON that the policy node writes when it ends.
        sim_report: JSON that the simulator writes when it ends.
        duration_s: simulated time after which all ends [s]; 0: never.
        seed: of the simulator's sensor noise and start.
        gantry_stays: the simulated robot stays on its gantry until the service /gantry/release.
        auto: stand and run without an operator; only in simulation.
        task: of a visual policy, such as push_box; its object is simulated, its installed policy the default.
        odometry_topic: nav_msgs/Odometry of the pelvis; empty: the simulator's truth, on a robot the height map's own.
        echo_tick: the policy echoes the state's tick, for latency measurements.
        network_interface: interface of the robot's network, such as eth0; empty: all.
        namespace: put all nodes and topics under it; a real robot's own topics keep their names.
        params_file: YAML with parameters of the nodes, such as share/vm_policy_node/launch/config/g1.yaml.
        teleop: none or joystick (joy and teleop_twist_joy of a full ROS 2, on cmd_vel).
        rviz: start RViz with launch/rviz/g1.rviz (full ROS 2).
        view: show the robot live in the browser, at http://localhost:8080.
        foxglove: start the bridge that Foxglove connects to, at ws://localhost:8765.
        dry_run: compute everything, send no LowCmd.
        supervise: say when each node is up and name what is missing.
        own_core: keep simulator and height map off a processor core that only the policy node then uses.
    """

    policy: str
    sim: bool = True
    scene: str = ""
    start: str = ""
    clip: str = ""
    record: str = ""
    report: str = ""
    sim_report: str = ""
    duration_s: float = 0.0
    seed: int = 0
    gantry_stays: bool = False
    auto: bool = True
    task: str = ""
    odometry_topic: str = ""
    echo_tick: bool = False
    network_interface: str = ""
    namespace: str = ""
    params_file: str = ""
    teleop: str = "none"
    rviz: bool = False
    view: bool = False
    foxglove: bool = False
    dry_run: bool = False
    supervise: bool = True
    own_core: bool = True

    def __post_init__(self) -> None:
        if self.teleop not in TELEOPS:
            raise VmError(f"teleop {self.teleop!r}; there are {', '.join(TELEOPS)}")
        if self.namespace and not _NAMESPACE.fullmatch(self.namespace):
            raise VmError(f"namespace {self.namespace!r}; expected letters, digits and _, such as robot1")
        if self.duration_s < 0.0:
            raise VmError(f"duration {self.duration_s} s; expected 0 (no end) or more")

    @property
    def own_odometry(self) -> bool:
        """Whether the height map estimates the odometry from LiDAR, inertial unit and legs."""
        return not self.odometry_topic and not self.sim

    @property
    def maps(self) -> bool:
        """Whether there is a height map: a visual policy reads none, and the simulator knows where the robot is."""
        return not (self.sim and self.task)

    @property
    def odometry(self) -> str:
        """The topic that the odometry comes by."""
        return self.odometry_topic or (SIM_ODOMETRY if self.sim else OWN_ODOMETRY)


def option_help() -> dict[str, str]:
    """What each field of `System` means, in one line, from its docstring."""
    text = System.__doc__ or ""
    found = dict(re.findall(r"^ {8}(\w+): (.+)$", text, flags=re.MULTILINE))
    return {item.name: found[item.name] for item in fields(System)}


def system_from_text(given: dict[str, str]) -> System:
    """A system from launch arguments, which are texts.

    Raises:
        VmError: a text that does not fit its field's type.
    """
    readers = {"str": str, "int": int, "float": float, "bool": _flag}
    values = {}
    for item in fields(System):
        if item.name in given:
            try:
                values[item.name] = readers[str(item.type)](given[item.name])
            except ValueError:
                raise VmError(f"{item.name}:={given[item.name]}: expected a value of type {item.type}") from None
    return System(**values)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"
