"""The one list of nodes, as plain data: `vm-bringup` and `launch/g1.launch.py` both start what stands here."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from vm_core.errors import VmError
from vm_core.height_grid import HeightGridSpec
from vm_policy_node.bringup.system import SIM_ODOMETRY, VIDEO_SUFFIXES, System
from vm_policy_node.bringup.topics import remappings
from vm_policy_node.onnx_policy import read_contract

Parameter = str | int | float | bool
SIM_COMMAND_RATE_HZ = 100.0
"""A laptop's cores also run the simulator, which would read each repeated command, too."""
_GRID_UNITS = {"resolution": "_m", "center_x": "_m"}  # at the end of the height map's parameters


@dataclass(frozen=True)
class NodeSpec:
    """One process.

    Attributes:
        name: ROS node name and log prefix.
        package: ROS package that installs the executable.
        executable: console script, or program of a full ROS 2.
        parameters: ROS parameters.
        ends_all: whether its end with code 0 ends the whole system successfully.
        ends_first: whether it ends before the others do, so that its last words still reach them.
        may_end: whether its end with code 0 is part of the plan and ends nothing.
        optional: whether a failure of it is only said: who looks on must not stop a robot that walks.
        own_core: whether it has a processor core that other nodes leave alone (`cores.py`).
        gives_way: whether it waits for others where cores are short.
        arguments: command line before the ROS arguments.
        remappings: names, from and to.
        namespace: of the node, without leading slash.
        params_file: YAML file with parameters; `parameters` win over it.
        ready_topics: it is up when each of these has brought a message.
    """

    name: str
    package: str
    executable: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    ends_all: bool = False
    ends_first: bool = False
    may_end: bool = False
    optional: bool = False
    own_core: bool = False
    gives_way: bool = False
    arguments: tuple[str, ...] = ()
    remappings: dict[str, str] = field(default_factory=dict)
    namespace: str = ""
    params_file: str = ""
    ready_topics: tuple[str, ...] = ()


def node_list(system: System, launch_folder: str = "") -> list[NodeSpec]:
    """The nodes of a system in the order in which they come up.

    Args:
        system: what to start.
        launch_folder: where rviz/, teleop/ and their like lie.
    """
    nodes = [
        *([_simulator(system)] if system.sim else []),
        *([_height_map(system)] if system.maps else []),
        _policy(system),
        *_viewers(system, launch_folder),
    ]
    if system.supervise:
        nodes.append(_supervisor(nodes, system))
    names = remappings(system.namespace, system.sim)
    return [
        replace(
            node,
            namespace=system.namespace,
            remappings=names,
            params_file=node.params_file or system.params_file,
        )
        for node in nodes
    ]


def _simulator(system: System) -> NodeSpec:
    parameters = _given(
        scene=system.scene,
        start_clip=system.start,
        record=system.record if system.record.endswith(VIDEO_SUFFIXES) else "",
        report=system.sim_report,
        duration_s=float(system.duration_s),
        seed=system.seed,
        object=system.task,
        gantry_stays=system.gantry_stays,
    )
    ready = ("/lowstate", SIM_ODOMETRY, "/livox/lidar")
    return NodeSpec("vm_sim", "vm_sim", "vm-sim", parameters, ends_all=True, ready_topics=ready)


def _height_map(system: System) -> NodeSpec:
    source = "own" if system.own_odometry else "topic"
    # compiling takes seconds: the supervisor configures at once and activates when the states and scans are there
    parameters: dict[str, Parameter] = {
        "odometry_source": source,
        "odometry_topic": system.odometry,
        "autostart": not system.supervise,
        **_grid_geometry(system.policy),
    }
    name, ready = "vm_heightmap", ("/height_grid",)
    # its compiling and its scans must not keep the robot from its states; a visual policy reads no grid
    return NodeSpec(
        name, name, "vm-heightmap", parameters, ready_topics=ready, optional=bool(system.task), gives_way=True
    )


def _grid_geometry(policy: str) -> dict[str, Parameter]:
    """The height map's parameters for the grid that a policy reads, where they are not its own defaults.

    Of a file that cannot be read nothing is said here: the policy node says it.
    """
    try:
        grid = read_contract(Path(policy)).height_grid
    except VmError:
        return {}
    usual = HeightGridSpec()
    if grid is None or grid == usual:
        return {}
    wanted = asdict(grid)
    return {
        f"grid_{name}{_GRID_UNITS.get(name, '')}": value
        for name, value in wanted.items()
        if value != asdict(usual)[name]
    }


def _policy(system: System) -> NodeSpec:
    auto = system.auto and system.sim  # on a robot only an operator lets it move
    parameters = {
        **_given(policy=system.policy, reference=system.clip, report=system.report),
        "odometry_topic": system.odometry,
        "auto_stand": auto,
        "auto_run": auto,
        "auto_task": auto and bool(system.task),
        "echo_tick": system.echo_tick,
        "dry_run": system.dry_run,
    }
    if system.sim and not system.params_file:
        parameters["command_rate_hz"] = SIM_COMMAND_RATE_HZ
    name, ready, own = "vm_policy_node", ("/policy_status",), system.own_core
    return NodeSpec(name, name, "vm-policy-node", parameters, ends_first=True, ready_topics=ready, own_core=own)


def _viewers(system: System, launch_folder: str) -> list[NodeSpec]:
    bag = "" if system.record.endswith(VIDEO_SUFFIXES) else system.record
    nodes = []
    if system.rviz or system.foxglove or bag:
        # the height map publishes the pelvis's frame itself when it estimates the odometry
        base = {"odometry_topic": system.odometry, "publish_base": not system.own_odometry}
        nodes.append(NodeSpec("vm_robot_state", "vm_sim", "vm-robot-state", base, ready_topics=("/joint_states",)))
    if bag:
        folder = time.strftime("recordings/%Y%m%d_%H%M%S") if bag == "true" else bag
        nodes.append(NodeSpec("vm_record", "vm_policy_node", "vm-record", {"out": folder}))
    if system.view:
        nodes.append(NodeSpec("vm_view_robot", "vm_sim", "vm-view-robot", {"odometry_topic": system.odometry}))
    if system.foxglove:
        nodes.append(NodeSpec("vm_foxglove", "vm_policy_node", "vm-foxglove"))
    if system.rviz:
        nodes.append(NodeSpec("rviz", "rviz2", "rviz2", arguments=("-d", f"{launch_folder}/rviz/g1.rviz")))
    if system.teleop == "joystick":
        file = f"{launch_folder}/teleop/joystick.yaml"
        nodes.append(NodeSpec("joy", "joy", "joy_node", params_file=file))
        nodes.append(NodeSpec("teleop_twist_joy", "teleop_twist_joy", "teleop_node", params_file=file))
    return [replace(node, optional=True, gives_way=True) for node in nodes]


def _supervisor(nodes: list[NodeSpec], system: System) -> NodeSpec:
    drivers = [] if system.sim else [("the robot's drivers", ("/lowstate", "/livox/lidar"))]
    expected = drivers + [(node.name, node.ready_topics) for node in nodes]
    text = ";".join(f"{name}={','.join(topics)}" for name, topics in expected)
    return NodeSpec("vm_supervisor", "vm_policy_node", "vm-supervisor", {"expect": text}, may_end=True)


def _given(**parameters: Parameter) -> dict[str, Parameter]:
    return {name: value for name, value in parameters.items() if value != ""}
