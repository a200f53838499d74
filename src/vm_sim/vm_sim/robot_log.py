"""What the simulated robot did: its configuration at 50 Hz, in one `.npz`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vm_core import g1
from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.motion_clip import read_npz
from vm_sim.objects import ObjectSpec

FORMAT, FORMAT_VERSION = "videomimic_robot_log", 1
LOG_RATE_HZ = 50.0
NUM_QPOS = 7 + g1.NUM_MOTORS
_POSE = 7  # of the object: position, wxyz


@dataclass(frozen=True)
class RobotLog:
    """A recording of T frames.

    Attributes:
        time_s: (T,) simulated time.
        qpos: (T, 36) pelvis position [m], wxyz, 29 joints in motor order [rad], in the scene's frame; (T, 43) with the
            object's position and wxyz.
        thing: the object, or None.
    """

    time_s: np.ndarray
    qpos: np.ndarray
    thing: ObjectSpec | None = None

    def __post_init__(self) -> None:
        frames, columns = np.size(self.time_s), NUM_QPOS + (_POSE if self.thing is not None else 0)
        if not frames or np.shape(self.time_s) != (frames,) or np.shape(self.qpos) != (frames, columns):
            shapes = np.shape(self.time_s), np.shape(self.qpos)
            raise VmError(f"robot log with arrays of shape {shapes}; expected (T,) and (T, {columns}), T > 0")
        if not np.all(np.isfinite(self.qpos)) or not np.all(np.diff(self.time_s) > 0):
            raise VmError("robot log with numbers that are not finite, or with times that do not rise")

    def save(self, path: Path | str) -> None:
        """Writes the log; it appears whole or not at all."""
        header = {"format": FORMAT, "format_version": FORMAT_VERSION, "joint_names": g1.MOTOR_NAMES}
        header |= {} if self.thing is None else {"object": asdict(self.thing)}
        encoded = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, header=encoded, time_s=self.time_s, qpos=self.qpos)

    @staticmethod
    def load(path: Path | str) -> RobotLog:
        """Reads and checks a log.

        Raises:
            VmError: missing, damaged, or something else than a robot log.
        """
        arrays = read_npz(Path(path), str(path))
        try:
            header = json.loads(arrays["header"].tobytes())
            kind, version = header["format"], header["format_version"]
            time_s, qpos = (arrays[name].astype(np.float64, casting="same_kind") for name in ("time_s", "qpos"))
            thing = _object(header.get("object"))
        except VmError as error:
            raise VmError(f"{path}: {error}") from None
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
            raise VmError(f"{path}: no robot log; it holds {', '.join(arrays) or 'nothing'}") from None
        if (kind, version) != (FORMAT, FORMAT_VERSION):
            raise VmError(f"{path}: format {kind!r} version {version!r}; this reads {FORMAT!r} {FORMAT_VERSION}")
        try:
            return RobotLog(time_s, qpos, thing)
        except VmError as error:
            raise VmError(f"{path}: {error}") from None


def _object(raw: dict[str, Any] | None) -> ObjectSpec | None:
    if raw is None:
        return None
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
    return ObjectSpec(**values)


class LogRecorder:
    """Collects configurations; keeps one every 20 ms of simulated time."""

    def __init__(self, thing: ObjectSpec | None = None) -> None:
        """Args: the object, whose pose then ends each configuration."""
        self._thing = thing
        self._times: list[float] = []
        self._qpos: list[np.ndarray] = []

    def record(self, time_s: float, qpos: np.ndarray) -> None:
        """Keeps this configuration, (36,) or (43,) with an object, if it is due."""
        if time_s + 1e-9 >= len(self._times) / LOG_RATE_HZ:
            self._times.append(time_s)
            self._qpos.append(qpos.copy())

    def log(self) -> RobotLog:
        """All that was kept."""
        columns = NUM_QPOS + (_POSE if self._thing is not None else 0)
        return RobotLog(np.array(self._times), np.array(self._qpos).reshape(-1, columns), self._thing)
