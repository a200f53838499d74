"""Where a training keeps what it has done, so that a second start goes on instead of starting over."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError

CONFIG_FILE, EARLIER = "config.json", "earlier_"
"""What results came from; folders, numbered, of results that came from other settings."""
_MOST_SHOWN = 4


class WorkFolder:
    """A folder of stage results that belong to one resolved configuration.

    Attributes:
        path: of the folder.
        commit: git commit of the sources, or "unknown".
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commit = git_commit()

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def begin(self, resolved: dict[str, Any]) -> None:
        """Keeps earlier results if they came from the same configuration, else sets them aside.

        Raises:
            VmError: the folder holds something that no training wrote.
        """
        if self.path.exists() and not self.path.is_dir():
            raise VmError(f"{self.path}: a file; expected a folder for what a resumed run needs")
        self.path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(resolved, indent=1, default=str)
        config = self / CONFIG_FILE
        # names with a dot are what a killed write leaves behind
        foreign = [p.name for p in self.path.iterdir() if not p.name.startswith(".")]
        if foreign and not config.is_file():
            raise VmError(
                f"{self.path}: holds {', '.join(sorted(foreign)[:3])}; expected an empty or an earlier folder"
            )
        if config.is_file() and config.read_text() != text:
            aside = self._set_aside(config)
            changed = ", ".join(_changed(json.loads((aside / CONFIG_FILE).read_text()), json.loads(text)))
            print(f"{self.path}: other settings ({changed}); starting over; what was there is in {aside.name}/")
        with atomic_path(config) as temporary:
            temporary.write_text(text)

    def _set_aside(self, config: Path) -> Path:
        """Moves all results, which may be hours of work, to a folder; one without settings is where a kill was."""
        number = 1
        while (aside := self / f"{EARLIER}{number}").is_dir() and (aside / CONFIG_FILE).is_file():
            number += 1
        aside.mkdir(exist_ok=True)
        for old in [*self.path.glob("*.npz"), *self.path.glob("*.json")]:
            if old != config:  # replaced by the caller, last: without it the folder would be a stranger's
                old.replace(aside / old.name)
        with atomic_path(aside / CONFIG_FILE) as temporary:
            temporary.write_text(config.read_text())
        return aside

    def write_json(self, name: str, value: Any) -> None:
        with atomic_path(self / name) as temporary:
            temporary.write_text(json.dumps(value, indent=1))

    def read_json(self, name: str) -> Any:
        return json.loads((self / name).read_text())

    def write_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        with atomic_path(self / name) as temporary:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        with np.load(self / name, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}


def _changed(was: Any, now: Any, name: str = "") -> list[str]:
    """Settings that differ, as name: then → now; of many, the first."""
    if isinstance(was, dict) and isinstance(now, dict):
        found = [
            line
            for key in {**was, **now}
            for line in _changed(was.get(key), now.get(key), f"{name}.{key}" if name else key)
        ]
        return [*found[:_MOST_SHOWN], f"{len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else found
    if was == now:
        return []
    short = all(len(str(value)) < 40 for value in (was, now))
    return [f"{name}: {was} → {now}" if short else name]


def git_commit() -> str:
    """Git commit of the sources, or "unknown"."""
    try:
        found = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"
