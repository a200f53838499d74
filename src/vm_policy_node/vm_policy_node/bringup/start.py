"""`vm-bringup sim|robot`: the whole system with one command, without a full ROS 2."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vm_core import command_line
from vm_core.errors import VmError
from vm_core.motion_clip import MotionClip
from vm_core.scene_asset import SceneAsset
from vm_policy_node.bringup.nodes import System, node_list
from vm_policy_node.bringup.processes import run_nodes
from vm_policy_node.onnx_policy import OnnxPolicy


@dataclass(frozen=True)
class Sim:
    """Simulated robot, height map and policy.

    Attributes:
        scene: scene folder; flat ground without it.
        policy: policy file (.onnx with its contract).
        start: clip (.npz) whose first frame the robot starts in; by default the policy's own reference, if it has one.
        record: mp4 to write.
        report: JSON that the policy node writes when the run ends.
        sim_report: JSON that the simulator writes when the run ends.
        duration_s: simulated seconds; 0: until Ctrl-C.
        seed: of start and sensor noise.
        manual: wait for /policy/stand and /policy/run instead of standing up and running at once.
        echo_tick: echo the state's tick, for latency measurements.
    """

    policy: Path
    scene: Path | None = None
    start: Path | None = None
    record: Path | None = None
    report: Path | None = None
    sim_report: Path | None = None
    duration_s: Annotated[float, tyro.conf.arg(aliases=["--duration"])] = 0.0
    seed: int = 0
    manual: bool = False
    echo_tick: bool = False


@dataclass(frozen=True)
class Robot:
    """Height map and policy for a robot whose drivers run already. Nothing moves before /policy/stand is called.

    Attributes:
        policy: policy file (.onnx with its contract).
        odometry_topic: nav_msgs/Odometry of the pelvis.
        report: JSON to write when the run ends.
    """

    policy: Path
    odometry_topic: str = "/odometry"
    report: Path | None = None


def start_sim(options: Sim) -> int:
    """Checks the inputs, then runs until the end; returns an exit code.

    Raises:
        VmError: a policy, scene or clip that cannot be used.
    """
    policy = OnnxPolicy.load(options.policy)
    if options.scene is not None:
        SceneAsset.load(options.scene)
    if options.start is not None:
        MotionClip.load(options.start)
    if options.duration_s < 0.0:
        raise VmError(f"duration {options.duration_s} s; expected 0 (no end) or more")
    with tempfile.TemporaryDirectory(prefix="vm-bringup-") as folder:
        start = options.start
        if start is None and policy.clip is not None:
            start = Path(folder) / "start.npz"
            policy.clip.save(start)
        system = System(
            policy=str(options.policy.resolve()),
            scene=_text(options.scene or _flat_scene(Path(folder) / "flat")),
            start=_text(start),
            record=_text(options.record),
            report=_text(options.report),
            sim_report=_text(options.sim_report),
            duration_s=options.duration_s,
            seed=options.seed,
            auto=not options.manual,
            echo_tick=options.echo_tick,
        )
        return run_nodes(node_list(system))


def _flat_scene(folder: Path) -> Path:
    SceneAsset(boxes=(), source="flat ground").save(folder)
    return folder


def start_robot(options: Robot) -> int:
    """Runs until Ctrl-C; returns an exit code."""
    OnnxPolicy.load(options.policy)
    system = System(
        policy=str(options.policy.resolve()),
        sim=False,
        report=_text(options.report),
        odometry_topic=options.odometry_topic,
    )
    return run_nodes(node_list(system))


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
