"""What the command lines of all runs have in common: their folder, going on, and what is said at the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vm_training.rl.run_folder import PICTURE_FILE
from vm_training.rl.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class RunTask:
    """Options of a task with a run folder.

    Attributes:
        out: run folder.
        resume: go on with the run that is there.
    """

    out: Path
    resume: bool = False


def told(trainer: Trainer) -> int:
    """Says what a run has come to; exit code 0."""
    last = trainer.records[-1]
    print(f"{trainer.folder.path}: {len(trainer.records)} iterations, {last['steps'] / 1e6:.2f} M control steps")
    print(f"curve: {trainer.folder.path / PICTURE_FILE}")
    return 0
