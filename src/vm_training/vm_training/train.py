"""`vm-train TASK --scene DIR --out FILE`: trains a policy; `vm-train --list` says what can be trained."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from vm_core import command_line
from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_training.tasks.climb import ClimbConfig, train_climb
from vm_training.tasks.work_folder import WorkFolder

TASKS = {"demo_steps": "climb the steps of a scene and stand on top (planned reference, sampled LQR, DAgger)"}


@dataclass(frozen=True)
class Train:
    """Trains a policy for a scene and writes one file that the policy node runs.

    Attributes:
        task: what to train; `--list` shows all.
        scene: scene folder as vm-reconstruct writes it.
        out: policy file to write.
        work: folder for what a resumed run needs; by default beside `out`.
        config: everything that decides the result.
    """

    task: tyro.conf.Positional[str]
    scene: Path
    out: Path
    work: Path | None = None
    config: ClimbConfig = field(default_factory=ClimbConfig)


def _main() -> int:
    if "--list" in sys.argv[1:]:
        print("\n".join(f"{name:<12} {text}" for name, text in TASKS.items()))
        return 0
    options = tyro.cli(Train, prog="vm-train")
    if options.task not in TASKS:
        raise VmError(f"unknown task {options.task!r}; there are {', '.join(TASKS)}")
    if options.out.suffix != ".onnx":
        raise VmError(f"--out {options.out}: expected a file name that ends with .onnx")
    scene = SceneAsset.load(options.scene)
    work = options.work or options.out.with_suffix(".training")
    checks = train_climb(scene, options.config, WorkFolder(work), options.out, options.task)
    print(f"policy: {options.out}\nreaches the top and stands for 3 s (collision shapes of the whole body, 2 ms):")
    for check in checks:
        print(f"  {check.condition:<20} {check.success:4.0%} of {check.starts}, {check.upright_s:.1f} s")
    return 0


def main() -> None:
    """Console entry point."""
    command_line.run(_main)
