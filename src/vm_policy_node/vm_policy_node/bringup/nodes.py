"""The one list of nodes, as plain data: `vm-bringup` and `launch/g1.launch.py` both start what stands here."""

from __future__ import annotations

from dataclasses import dataclass, field

Parameter = str | int | float | bool


@dataclass(frozen=True)
class NodeSpec:
    """One process.

    Attributes:
        name: ROS node name and log prefix.
        package: ROS package that installs the executable.
        executable: console script.
        parameters: ROS parameters.
        ends_all: whether its end with code 0 ends the whole system successfully.
    """

    name: str
    package: str
    executable: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    ends_all: bool = False


@dataclass(frozen=True)
class System:
    """What to start. Empty paths mean: not given.

    Attributes:
        policy: ONNX file.
        sim: start the simulator in place of the robot's drivers.
        scene: scene folder, for the simulator.
        start: clip whose first frame the simulated robot starts in.
        record: mp4 that the simulator writes.
        report: JSON that the policy node writes when it ends.
        sim_report: JSON that the simulator writes when it ends.
        duration_s: simulated time after which all ends; 0: never.
        seed: of the simulator's sensor noise and start.
        auto: stand and run without an operator; only in simulation.
        odometry_topic: pelvis odometry for the height map and the policy.
        echo_tick: the policy echoes the state's tick, for latency measurements.
    """

    policy: str
    sim: bool = True
    scene: str = ""
    start: str = ""
    record: str = ""
    report: str = ""
    sim_report: str = ""
    duration_s: float = 0.0
    seed: int = 0
    auto: bool = True
    odometry_topic: str = "/ground_truth/odometry"
    echo_tick: bool = False


def node_list(system: System) -> list[NodeSpec]:
    """The nodes of a system in the order of their start."""
    auto = system.auto and system.sim  # on a robot only an operator lets it move
    simulator = NodeSpec(
        "vm_sim",
        "vm_sim",
        "vm-sim",
        _given(
            scene=system.scene,
            start_clip=system.start,
            record=system.record,
            report=system.sim_report,
            duration_s=float(system.duration_s),
            seed=system.seed,
        ),
        ends_all=True,
    )
    height_map = NodeSpec("vm_heightmap", "vm_heightmap", "vm-heightmap", {"odometry_topic": system.odometry_topic})
    policy = NodeSpec(
        "vm_policy_node",
        "vm_policy_node",
        "vm-policy-node",
        {
            **_given(policy=system.policy, report=system.report),
            "odometry_topic": system.odometry_topic,
            "auto_stand": auto,
            "auto_run": auto,
            "echo_tick": system.echo_tick,
        },
    )
    return [*([simulator] if system.sim else []), height_map, policy]


def _given(**parameters: Parameter) -> dict[str, Parameter]:
    return {name: value for name, value in parameters.items() if value != ""}
