"""`vm-bringup sim|robot`: the whole system with one command, without a full ROS 2."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from vm_core import command_line
from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.ros_environment import find_package
from vm_core.scene_asset import BESIDE_CLIP, BESIDE_POLICY, SceneAsset
from vm_core.visual_bundle import GENERATOR_FILE
from vm_policy_node.bringup.network import dds_environment
from vm_policy_node.bringup.nodes import node_list
from vm_policy_node.bringup.processes import pick_domain_id, run_nodes
from vm_policy_node.bringup.system import VIDEO_SUFFIXES, System
from vm_policy_node.onnx_policy import OnnxPolicy
from vm_policy_node.visual.visual_policy import VisualPolicy, load_policy

ROBOT_DOMAIN = "0"
"""The DDS domain of a G1 as it is delivered."""
_SOURCES = Path(__file__).parents[3]


@dataclass(frozen=True)
class _Shared:
    """What a simulated and a real robot have in common.

    Attributes:
        policy: policy file (.onnx with its contract), or folder of a visual policy; with a task, the installed one.
        task: what a visual policy does, such as push_box; in simulation its object stands before the robot.
        clip: that a tracking policy follows in place of its own (.npz), on the scene beside it.
        record: true or a folder: a recording (mcap) of all topics; NAME.mp4 or NAME.npz: the simulator's own.
        report: JSON that the policy node writes when the run ends.
        namespace: put all nodes and topics under it; a real robot's own topics keep their names.
        params_file: YAML with parameters of the nodes; launch/config/g1.yaml has all that a deployer changes.
        network_interface: interface of the robot's network, such as eth0; all without it.
        teleop: joystick: joy and teleop_twist_joy of a full ROS 2.
        rviz: start RViz (full ROS 2).
        view: show the robot live in the browser, at http://localhost:8080.
        foxglove: start the bridge that Foxglove connects to, at ws://localhost:8765.
        dry_run: compute everything, send no LowCmd.
        own_core: keep simulator and height map off a processor core that only the policy node then uses.
    """

    policy: Path | None = None
    task: str = ""
    clip: Path | None = None
    record: str = ""
    report: Path | None = None
    namespace: str = ""
    params_file: Path | None = None
    network_interface: str = ""
    teleop: Literal["none", "joystick"] = "none"
    rviz: bool = False
    view: bool = False
    foxglove: bool = False
    dry_run: bool = False
    own_core: bool = True

    def shared(self) -> dict[str, Any]:
        """The fields of `System` that these are."""
        if self.params_file is not None and not self.params_file.is_file():
            raise VmError(f"{self.params_file}: no such parameter file")
        names = ("task", "namespace", "network_interface", "teleop", "rviz", "view", "foxglove", "dry_run", "own_core")
        video = self.record.endswith(VIDEO_SUFFIXES)
        return {name: getattr(self, name) for name in names} | {
            "policy": _text(self.policy),
            "clip": _text(self.clip),
            "record": _text(Path(self.record)) if video else self.record,
            "report": _text(self.report),
            "params_file": _text(self.params_file),
        }


@dataclass(frozen=True)
class Sim(_Shared):
    """Simulated robot, height map and policy.

    Attributes:
        scene: scene folder; by default the one beside the policy (NAME.scene), if there is one, else flat ground.
        start: clip (.npz) whose first frame the robot starts in; by default the policy's own reference, if it has one.
        sim_report: JSON that the simulator writes when the run ends.
        duration_s: simulated seconds; 0: until Ctrl-C.
        seed: of start and sensor noise.
        gantry_stays: hold the robot by its gantry until the service /gantry/release.
        manual: wait for /policy/stand and /policy/run instead of standing up and running at once.
        echo_tick: echo the state's tick, for latency measurements.
        supervise: say when each node is up and name what is missing.
    """

    scene: Path | None = None
    start: Path | None = None
    sim_report: Path | None = None
    duration_s: Annotated[float, tyro.conf.arg(aliases=["--duration"])] = 0.0
    seed: int = 0
    gantry_stays: bool = False
    manual: bool = False
    echo_tick: bool = False
    supervise: bool = True


@dataclass(frozen=True)
class Robot(_Shared):
    """Height map and policy for a robot whose drivers run already. Nothing moves before /policy/stand is called.

    Attributes:
        odometry_topic: nav_msgs/Odometry of the pelvis; without it the height map estimates its own.
    """

    odometry_topic: str = ""


def start_sim(options: Sim) -> int:
    """Checks the inputs, then runs until the end; returns an exit code.

    Raises:
        VmError: a policy, scene or clip that cannot be used.
    """
    system = System(
        **options.shared(),
        scene=_text(options.scene),
        start=_text(options.start),
        sim_report=_text(options.sim_report),
        duration_s=options.duration_s,
        seed=options.seed,
        gantry_stays=options.gantry_stays,
        auto=not options.manual,
        echo_tick=options.echo_tick,
        supervise=options.supervise,
    )
    with tempfile.TemporaryDirectory(prefix="vm-bringup-") as folder:
        return run_system(completed(system, Path(folder)), Path(folder))


def start_robot(options: Robot) -> int:
    """Runs until Ctrl-C; returns an exit code."""
    with tempfile.TemporaryDirectory(prefix="vm-bringup-") as folder:
        system = System(**options.shared(), sim=False, odometry_topic=options.odometry_topic)
        return run_system(completed(system, Path(folder)), Path(folder))


def completed(system: System, folder: Path) -> System:
    """A system whose files have been read once, with flat ground and the policy's own start where none is given.

    Args:
        system: as the user described it.
        folder: for what has to be written.

    Raises:
        VmError: a policy, scene, clip or recording that cannot be used.
    """
    system = replace(system, policy=system.policy or installed_policy(system.task))
    policy = load_policy(system.policy)
    if system.task and (not isinstance(policy, VisualPolicy) or policy.generator.contract.task != system.task):
        does = policy.generator.contract.task if isinstance(policy, VisualPolicy) else "no task"
        raise VmError(f"{system.policy} does {does}; expected a visual policy for {system.task}")
    if system.clip:
        if not isinstance(policy, OnnxPolicy):
            raise VmError(f"{system.policy} follows no clip; leave the clip away")
        policy = policy.following(MotionClip.load(system.clip))
    if not system.sim:
        if system.record.endswith(VIDEO_SUFFIXES):
            raise VmError(f"record {system.record!r}: only the simulator makes videos; give true or a folder")
        return system
    scene, start = system.scene or _own_scene(system), system.start
    if scene:
        SceneAsset.load(scene)
    else:
        scene = str(folder / "flat")
        SceneAsset(boxes=(), source="flat ground").save(scene)
    if start:
        MotionClip.load(start)
    elif policy.clip is not None:
        start = str(folder / "start.npz")
        policy.clip.save(start)
    return replace(system, scene=scene, start=start)


def _own_scene(system: System) -> str:
    """The scene folder beside the clip that is followed, or beside a policy that was trained for one place; or ""."""
    clip, policy = Path(system.clip), Path(system.policy)
    folder = clip.with_name(BESIDE_CLIP) if system.clip else policy.with_suffix(BESIDE_POLICY)
    return str(folder) if folder.is_dir() else ""


def installed_policy(task: str) -> str:
    """The folder of a task's visual policy that came with this package.

    Raises:
        VmError: no task, or none came for it.
    """
    if not task:
        raise VmError("no policy: give --policy FILE (policy:=FILE), or a task that has one, such as push_box")
    folder = Path(__file__).parents[1] / "policies" / task
    if not folder.is_dir():
        there = sorted(path.parent.name for path in folder.parent.glob(f"*/{GENERATOR_FILE}"))
        raise VmError(f"no policy for the task {task!r} is installed; there are {', '.join(there) or 'none'}; "
                      "give --policy FOLDER (policy:=FOLDER)")  # fmt: skip
    return str(folder)


def run_system(system: System, folder: Path) -> int:
    """Starts a completed system's nodes and waits for their end; returns an exit code."""
    launch = launch_folder()
    variables = dds_environment(system.network_interface, folder, launch)
    # a robot is where it is; simulations on one machine must not hear each other
    domain = pick_domain_id() if system.sim else os.environ.get("ROS_DOMAIN_ID") or ROBOT_DOMAIN
    print(f"nodes talk in ROS_DOMAIN_ID={domain}", flush=True)
    variables["ROS_DOMAIN_ID"] = domain
    return run_nodes(node_list(system, str(launch)), variables=variables)


def launch_folder() -> Path:
    """Where rviz/, foxglove/, config/ and their like lie: in the checkout, or installed beside the launch files."""
    checkout = _SOURCES.parent / "launch"
    if checkout.is_dir():
        return checkout
    share = Path("share", "vm_policy_node", "launch")
    prefixes = [Path(part) for part in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part]
    found = find_package("vm_policy_node", prefixes)
    if found is None:
        raise VmError("launch files are not installed; source the workspace's install/setup.bash")
    return found / share


def _text(path: Path | None) -> str:
    return "" if path is None else str(path.resolve())


def _main() -> int:
    choice = tyro.cli(
        Annotated[Sim, tyro.conf.subcommand("sim")] | Annotated[Robot, tyro.conf.subcommand("robot")],  # type: ignore[arg-type]
        prog="vm-bringup",
    )
    return start_sim(choice) if isinstance(choice, Sim) else start_robot(choice)


def main() -> None:
    """Console entry point."""
    command_line.run(_main)
