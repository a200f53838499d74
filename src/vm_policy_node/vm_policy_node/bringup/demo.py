"""`vm-demo`: from a video to the G1 in simulation, and where the results are."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from vm_core import command_line
from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_policy_node.bringup.demo_result import result_line
from vm_policy_node.bringup.start import Sim, start_sim
from vm_policy_node.controller_config import OPERATOR
from vm_policy_node.onnx_policy import OnnxPolicy

_SOURCES = Path(__file__).parents[3]
DEMO_VIDEO = _SOURCES / "vm_reconstruction/vm_reconstruction/demo/climb_steps.mp4"
DEMO_TRUTH = DEMO_VIDEO.with_name("climb_steps_truth.npz")
DEMO_POLICY = Path(__file__).parents[1] / "policies/demo_steps.onnx"
DEMO_HEIGHT_M = 1.75
_BEFORE_CLIP_S, _AFTER_CLIP_S = 7.0, 2.0
RECORD = "robot_run.npz"


@dataclass(frozen=True)
class Demo:
    """Reconstructs a video, trains the G1 for what the person does there, and lets it act in the reconstructed scene.

    Attributes:
        video: any video; by default the project's own of a person who climbs three steps, whose policy is there.
        height: of the person [m].
        out: folder for all results; a second start goes on where the first one was.
        policy: policy for the reconstructed scene, in place of training one.
        train: train a policy for a video of your own (minutes); otherwise it ends with the robot's motion.
        seed: of the simulation.
    """

    video: Path | None = None
    height: float = DEMO_HEIGHT_M
    out: Path = Path("out/demo")
    policy: Annotated[Path | None, tyro.conf.arg(aliases=["-p"])] = None
    train: bool = True
    seed: int = 0


def _main() -> int:
    options = tyro.cli(Demo, prog="vm-demo")
    own = options.video is None
    video = DEMO_VIDEO if options.video is None else options.video
    policy = options.policy or (DEMO_POLICY if own and DEMO_POLICY.is_file() else None)
    if policy is not None:
        OnnxPolicy.load(policy)  # before minutes of work
    folder = options.out / "reconstruction"
    _run("vm-reconstruct", str(video), "--height", str(options.height), "--out", str(folder))
    lines = [f"report:  {folder / 'report.html'}", f"overlay: {folder / 'overlay.mp4'}"]
    if own:
        lines.append(_error_line(folder))
    if policy is None and options.train:
        policy = _trained(folder, options.out / "policy.onnx")
    if policy is None:
        lines.append(f"robot:   {folder / 'robot.mp4'} (the clip; to act it out, train a policy and give --policy)")
        print("\n".join(lines))
        return 1 if options.train else 0
    pelvis, cause = _simulate(policy, folder / "scene", options.out, options.seed)
    text, reached = result_line(policy, SceneAsset.load(folder / "scene"), options.out / RECORD, pelvis)
    if cause and not reached:
        text += f"; it stopped: {cause} (on a busy machine the loop is late: start again)"
    print("\n".join([*lines, f"robot:   {options.out / 'robot_run.mp4'}", text]))
    return 0 if reached else 1


def _trained(folder: Path, out: Path) -> Path | None:
    """A policy for a reconstruction, or None where what the person does there cannot be trained; it says why."""
    try:
        _run("vm-train", "from_video", "--folder", str(folder), "--out", str(out))
    except VmError:
        return None
    return out


def run_in_scene(
    policy: Path, scene: Path, out: Path, seed: int = 0, *, echo_tick: bool = False, params_file: Path | None = None
) -> dict:
    """One start under the running nodes, from the hanging robot to the end of the clip.

    Args:
        policy: what it follows.
        scene: where.
        out: folder for reports and recording.
        seed: of the simulation.
        echo_tick: echo the state's tick, for latency measurements.
        params_file: YAML with other parameters of the nodes.

    Returns:
        The simulator's and the policy node's reports in one.

    Raises:
        VmError: a node failed.
    """
    clip = OnnxPolicy.load(policy).clip
    duration_s = _BEFORE_CLIP_S + _AFTER_CLIP_S + (10.0 if clip is None else clip.duration_s)
    out.mkdir(parents=True, exist_ok=True)
    report, sim_report = out / "run.json", out / "sim.json"
    for path in (report, sim_report):
        path.unlink(missing_ok=True)
    code = start_sim(
        Sim(
            policy=policy,
            scene=scene,
            record=str(out / RECORD),
            report=report,
            sim_report=sim_report,
            duration_s=duration_s,
            seed=seed,
            echo_tick=echo_tick,
            params_file=params_file,
            supervise=False,  # two busy cores: nothing beside the nodes that are measured
        )
    )
    if code or not report.is_file() or not sim_report.is_file():
        raise VmError(f"the simulation ended with exit code {code}; its log is above")
    return json.loads(sim_report.read_text()) | json.loads(report.read_text())


def _simulate(policy: Path, scene: Path, out: Path, seed: int) -> tuple[np.ndarray | None, str]:
    """Where the pelvis ended, and what stopped the robot other than the end."""
    report = run_in_scene(policy, scene, out, seed)
    _run("vm-render", str(out / RECORD), "--scene", str(scene), "--out", str(out / "robot_run.mp4"))
    position = report["pelvis_pos_world"]
    cause = "" if report["cause"] == OPERATOR else report["cause"]
    return (None if position is None else np.array(position)), cause


def _error_line(folder: Path) -> str:
    """The reconstruction's errors against the truth of the project's own video."""
    _run("vm-evaluate-reconstruction", str(folder), "--truth", str(DEMO_TRUTH), quiet=True)
    errors = json.loads((folder / "evaluation.json").read_text())
    return (
        f"errors:  pelvis {100 * errors['pelvis_error_m']:.1f} cm, joints {100 * errors['joint_error_m']:.1f} cm, "
        f"scale {100 * errors['scale_error']:.1f} %"
    )


def _run(script: str, *arguments: str, quiet: bool = False) -> None:
    path = Path(sys.executable).parent / script
    if not path.is_file():
        raise VmError(f"{script} is not installed; run `make setup`")
    output = subprocess.DEVNULL if quiet else None
    code = subprocess.run([str(path), *arguments], stdout=output, check=False).returncode
    if code:
        raise VmError(f"{script} ended with exit code {code}; its message is above")


def main() -> None:
    """Console entry point."""
    command_line.run(_main)
