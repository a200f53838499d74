"""The folder of a run: resolved configuration, versions, git state, checkpoints, curve, TensorBoard."""

from __future__ import annotations

import io
import json
import math
import platform
import re
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_training.tasks.work_folder import git_commit

BEST_FILE = "best.pt"
CONFIG_FILE, CURVE_FILE, PICTURE_FILE = "config.json", "curve.json", "curve.png"
FORMAT_VERSION = 1
_CHECKPOINT = re.compile(r"checkpoint_(\d+)\.pt")
_PACKAGES = ("torch", "mujoco", "rsl-rl-lib", "numpy", "onnx")
_KEPT = 3
_PANELS = (
    ("reward", "reward a step"),
    ("success", "success"),
    ("episode_s", "episode [s]"),
    ("falls", "falls a minute"),
    ("valid", "validation: share that walks"),
)
"""Figures of the curve: the name or the beginning of the names, and the title of their panel."""


class RunFolder:
    """Where a run keeps what it has done.

    Attributes:
        path: of the folder.  task: name of the stage.
    """

    def __init__(self, path: Path, task: str) -> None:
        self.path, self.task = path, task

    def begin(self, config: Any, resume: bool) -> None:
        """Creates the folder, or checks that it holds a run of the same task and configuration.

        Raises:
            VmError: a run is there and `resume` was not asked for, or the other way round, or it is another one.
        """
        resolved = json.loads(json.dumps(asdict(config), default=str))
        file = self.path / CONFIG_FILE
        if resume:
            self._check_same(resolved)
            return
        if self.checkpoints():
            raise VmError(f"{self.path}: holds a run; --resume goes on with it, or choose another --out")
        about = {
            "task": self.task,
            "config": resolved,
            "commit": git_commit(),
            "python": platform.python_version(),
            "versions": {name: _version(name) for name in _PACKAGES},
            "cores": torch.get_num_threads(),
        }
        with atomic_path(file) as temporary:
            temporary.write_text(json.dumps(about, indent=1) + "\n")

    def _check_same(self, resolved: dict[str, Any]) -> None:
        about = self.about()
        if about["task"] != self.task:
            raise VmError(f"{self.path}: a run of {about['task']!r}; this is {self.task!r}")
        was = about["config"]
        changed = [key for key in resolved if key != "iterations" and was.get(key) != resolved[key]]
        if changed:
            raise VmError(f"{self.path}: was begun with another {', '.join(changed)}; a resumed run keeps its settings")

    def about(self) -> dict[str, Any]:
        """What `begin` wrote.

        Raises:
            VmError: the folder holds no run.
        """
        file = self.path / CONFIG_FILE
        if not file.is_file():
            raise VmError(f"{self.path}: no run there; expected a folder with {CONFIG_FILE}")
        return json.loads(file.read_text())

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def checkpoints(self) -> list[int]:
        """Iterations of all checkpoints, rising."""
        names = (_CHECKPOINT.fullmatch(path.name) for path in self.path.glob("checkpoint_*.pt"))
        return sorted(int(name[1]) for name in names if name)

    def save(self, iteration: int, state: dict[str, Any]) -> None:
        """Writes a checkpoint; only then do the oldest go.

        Raises:
            VmError: the disk is full, say; what was there is as it was.
        """
        self._write(self.checkpoint(iteration), iteration, state)
        for old in self.checkpoints()[:-_KEPT]:
            self.checkpoint(old).unlink()

    def save_best(self, iteration: int, state: dict[str, Any]) -> None:
        """Writes the checkpoint that did best in validation, beside the newest ones.

        Raises:
            VmError: as `save`.
        """
        self._write(self.path / BEST_FILE, iteration, state)

    def _write(self, path: Path, iteration: int, state: dict[str, Any]) -> None:
        buffer = io.BytesIO()
        torch.save({"format_version": FORMAT_VERSION, "task": self.task, "iteration": iteration, **state}, buffer)
        try:
            with atomic_path(path) as temporary:
                temporary.write_bytes(buffer.getbuffer())
        except OSError as error:
            kept = self.checkpoints()
            last = f"the last one is of iteration {kept[-1]}" if kept else "there is none yet"
            raise VmError(f"{self.path}: checkpoint not written ({error.strerror}); {last}") from None

    @property
    def has_best(self) -> bool:
        """Whether a validation was ever better than the start."""
        return (self.path / BEST_FILE).is_file()

    def load_best(self) -> dict[str, Any]:
        """The checkpoint that did best in validation.

        Raises:
            VmError: the run has none.
        """
        return read_checkpoint(self.path / BEST_FILE, self.task)

    def load(self, iteration: int | None = None) -> dict[str, Any]:
        """A checkpoint, by default the newest.

        Raises:
            VmError: there is none, or it is of another task or version, or damaged.
        """
        there = self.checkpoints()
        if not there:
            raise VmError(f"{self.path}: no checkpoint yet")
        return read_checkpoint(self.checkpoint(there[-1] if iteration is None else iteration), self.task)

    def checkpoint(self, iteration: int) -> Path:
        """Path of a checkpoint."""
        return self.path / f"checkpoint_{iteration:06d}.pt"

    # -- curve ---------------------------------------------------------------------------------------------------------

    def write_curve(self, records: list[dict[str, float]]) -> None:
        """All iterations' figures, as JSON and as a picture."""
        with atomic_path(self.path / CURVE_FILE) as temporary:
            temporary.write_text(json.dumps([_without_nan(r) for r in records]) + "\n")
        draw_curve(self.path / PICTURE_FILE, records)


def read_checkpoint(path: Path, task: str | None = None) -> dict[str, Any]:
    """A checkpoint's content; tensors and plain values only, nothing that could run.

    Raises:
        VmError: missing, damaged, of another task (if one is named) or version.
    """
    if not path.is_file():
        raise VmError(f"{path}: no such checkpoint")
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        version, own = state["format_version"], state["task"]
    except Exception:  # torch raises many kinds for damaged files
        raise VmError(f"{path.name}: not a checkpoint of vm-train") from None
    if version != FORMAT_VERSION:
        raise VmError(f"{path.name}: checkpoint of version {version}; this reads {FORMAT_VERSION}")
    if task is not None and own != task:
        raise VmError(f"{path.name}: checkpoint of {own!r}; expected one of {task!r}")
    return state


def draw_curve(path: Path, records: list[dict[str, float]]) -> None:
    """Every figure of _PANELS that there is against control steps; a family (`falls_…`) shares a panel."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    known = [key for record in records[:1] + records[-1:] for key in record]
    panels = {title: sorted({k for k in known if k == key or k.startswith(f"{key}_")}) for key, title in _PANELS}
    panels = {title: keys for title, keys in panels.items() if keys}
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4.2 * len(panels), 3.2), squeeze=False)
    for axis, (title, keys) in zip(axes[0], panels.items(), strict=True):
        for key in keys:
            there = [(record["steps"] / 1e6, record[key]) for record in records if key in record]
            style = {"marker": "."} if len(there) < len(records) else {}
            axis.plot(*zip(*there, strict=True), linewidth=1, label=key.partition("_")[2] or "mean", **style)
        axis.set(xlabel="control steps [M]", title=title)
        axis.grid(alpha=0.3)
        if len(keys) > 1:
            axis.legend(fontsize=6)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=90)
    pyplot.close(figure)


def _without_nan(record: dict[str, float]) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in record.items()}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
