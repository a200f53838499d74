"""`vm-export RUN`: the policy of a reinforcement-learning run as ONNX with contract, golden pair and a model card."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from vm_core import command_line
from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.policy_contract import PolicyContract
from vm_training.export import export_policy
from vm_training.rl.clip_library import ClipLibrary, SceneClip, load_clips
from vm_training.rl.command_env import CommandConfig, CommandEnv
from vm_training.rl.env_config import EnvConfig
from vm_training.rl.model import student_of
from vm_training.rl.run_folder import CURVE_FILE, RunFolder
from vm_training.rl.tracking_env import TrackingConfig, TrackingEnv

_FIGURES = ("reward", "success", "episode_s", "valid")


@dataclass(frozen=True)
class Export:
    """Writes a run's policy.

    Attributes:
        run: run folder of vm-train.
        out: policy file; by default RUN/policy.onnx. The model card lies beside it (.md).
        checkpoint: iteration; by default what did best in the run's own validation, or the newest if it had none.
        clip: name of the clip that a tracker will follow; its first by default.
        name: of the policy; by default the folder's.
        skills: what the policy can do beyond walking, for the benchmark: sit.
    """

    run: Annotated[Path, tyro.conf.Positional]
    out: Path | None = None
    checkpoint: int | None = None
    clip: str = ""
    name: str = ""
    skills: tuple[str, ...] = ()


def export_run(options: Export) -> Path:
    """Writes policy and model card; returns the policy's path.

    Raises:
        VmError: no run, no checkpoint, or a clip that the run does not have.
    """
    folder = RunFolder(options.run, "")
    about = folder.about()
    folder.task = about["task"]
    best = options.checkpoint is None and folder.has_best
    state = folder.load_best() if best else folder.load(options.checkpoint)
    out = options.out or options.run / "policy.onnx"
    if out.suffix != ".onnx":
        raise VmError(f"--out {out}: expected a file name that ends with .onnx")
    contract = PolicyContract.from_json(state["contract"])
    student = student_of(state["ppo"]["actor_state_dict"])
    chosen = _clip(about, options.clip, contract) if contract.uses_reference else None
    figures = state["records"][-1] if state["records"] else {}
    training = {
        "task": about["task"],
        "commit": about["commit"],
        "seed": about["config"]["ppo"]["seed"],
        "iterations": state["iteration"],
        "steps": int(figures.get("steps", 0)),
        "figures": {key: round(float(figures[key]), 5) for key in _FIGURES if _known(figures, key)},
    }
    if options.skills:
        training["skills"] = list(options.skills)
    contract = replace(contract, name=options.name or options.run.resolve().name, training=training)
    export_policy(student, contract, _observation(contract, chosen), out, None if chosen is None else chosen.clip)
    card = out.with_suffix(".md")
    with atomic_path(card) as temporary:
        temporary.write_text(model_card(contract, about, chosen, options.run))
    return out


def model_card(contract: PolicyContract, about: dict[str, Any], clip: SceneClip | None, run: Path) -> str:
    """What the policy is, what it was trained on, how far it came, and what it cannot do."""
    training, config = contract.training, about["config"]
    figures = ", ".join(f"{key} {value:.3g}" for key, value in training["figures"].items()) or "none yet"
    terms = ", ".join(f"{t.name} ({t.size} x {t.history_length})" for t in contract.observation)
    steps, period_ms = training["steps"] / 1e6, 1e3 * contract.control_period_s
    follows = f"the clip {clip.name}" if clip else "a root command"
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        f"# {contract.name}",
        f"Stage `{training['task']}`, {training['iterations']} iterations, {steps:.2f} M control steps, "
        f"seed {training['seed']}, commit {training['commit']}.",
        "",
        f"- **Follows:** {follows}; sees {terms}.",
        f"- **Acts:** 23 joints every {period_ms:.0f} ms around {contract.action_base}; wrists held.",
        f"- **Data:** {json.dumps(config.get('clips') or config.get('student') or '')}.",
        f"- **At the end of training** (noisy actions, varied robots, pushes): {figures}; curve: `{CURVE_FILE}`.",
        f"- **Versions:** {versions}.",
        "- **Limits:** simulation only; sphere feet on planes and boxes, no torque-speed curve, no friction loss.",
        "",
        f"Figures of the fixed benchmark: `vm-evaluate FILE`. Exported by `vm-export {run.name}`.",
    ]
    return "\n".join(lines) + "\n"


def _known(figures: dict[str, Any], key: str) -> bool:
    return key in figures and bool(np.isfinite(figures[key]))


def _clip(about: dict[str, Any], name: str, contract: PolicyContract) -> SceneClip:
    paths = tuple(Path(path) for path in about["config"]["clips"])
    clips = load_clips(paths, 1.0 / contract.control_period_s, flat=False)
    if not name:
        return clips[0]
    fitting = [clip for clip in clips if clip.name == name]
    if not fitting:
        raise VmError(f"the run has no clip {name!r}; it has {', '.join(clip.name for clip in clips[:20])}")
    return fitting[0]


def _observation(contract: PolicyContract, clip: SceneClip | None) -> np.ndarray:
    """(n,) something that the policy sees in simulation."""
    config = EnvConfig(num_envs=2, threads=1, mirror=False)
    if clip is None:
        env = CommandEnv(contract, None, config, CommandConfig(scenes=1), 0)
    else:
        grid = contract.height_grid is not None
        env = TrackingEnv([clip], ClipLibrary([clip]), config, TrackingConfig(), grid, 0)
    seen = env.reset_all()["actor"][0].numpy()
    env.close()
    return seen


def _main() -> int:
    out = export_run(tyro.cli(Export, prog="vm-export", args=sys.argv[1:]))
    print(f"policy: {out}\nmodel card: {out.with_suffix('.md')}")
    return 0


def main() -> None:
    """Console entry point of `vm-export`."""
    command_line.run(_main)
