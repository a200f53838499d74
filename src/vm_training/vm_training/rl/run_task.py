"""What the command lines of all runs have in common: their folder, going on, and what is said at the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vm_training.rl.run_folder import PICTURE_FILE
from vm_training.rl.trainer import Trainer

FILM_FILE = "policy.mp4"


@dataclass(frozen=True, kw_only=True)
class RunTask:
    """Options of a task with a run folder.

    Attributes:
        out: run folder.
        resume: go on with the run that is there.
    """

    out: Path
    resume: bool = False


@dataclass(frozen=True, kw_only=True)
class FilmedRunTask(RunTask):
    """The same of policies that vm-export can write.

    Attributes:
        video: at the end export the policy, and film it.
    """

    video: bool = False


def told(trainer: Trainer, video: bool = False) -> int:
    """Says what a run has come to, and films it if asked to; exit code 0."""
    last = trainer.records[-1]
    print(f"{trainer.folder.path}: {len(trainer.records)} iterations, {last['steps'] / 1e6:.2f} M control steps")
    print(f"curve: {trainer.folder.path / PICTURE_FILE}")
    if video:
        print(f"film: {film(trainer.folder.path)}")
    return 0


def film(run: Path) -> Path:
    """Exports a run's best policy and films one robot that obeys it; returns the film's path."""
    from vm_training.export_run import Export, export_run  # a training needs neither
    from vm_training.play import Play, play

    out = run / FILM_FILE
    play(Play(export_run(Export(run)), out=out))
    return out
