"""What the simulator counts: time, lateness, messages; and the results that it leaves behind."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.scene_asset import SceneAsset
from vm_sim.robot import SimulatedG1
from vm_sim.robot_log import LogRecorder

_KEPT = 50_000


@dataclass
class SimFigures:
    """Counted since the start.

    Attributes:
        wall_s: wall time of the simulation so far.
        counts: messages by kind.
    """

    wall_s: float = 0.0
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("lowcmd", "lowcmd_refused", "lowstate", "scans", "pictures"), 0)
    )
    _late_ms: np.ndarray = field(default_factory=lambda: np.zeros(_KEPT, dtype=np.float32))
    _steps: int = 0

    def on_step(self, behind_s: float) -> None:
        """A step began so much later than it should have."""
        self._late_ms[self._steps % _KEPT] = 1000.0 * max(behind_s, 0.0)
        self._steps += 1

    def summary(self, robot: SimulatedG1, dropped_sub_scans: int) -> dict:
        """Times [s], real-time factor, lateness of steps [ms], messages, state of the robot and of the object."""
        late = self._late_ms[: max(min(self._steps, _KEPT), 1)]
        return {
            "simulated_s": round(robot.time_s, 3),
            "wall_s": round(self.wall_s, 3),
            "real_time_factor": round(robot.time_s / self.wall_s, 3) if self.wall_s else 1.0,
            "step_late_ms_p50": round(float(np.percentile(late, 50)), 3),
            "step_late_ms_p99": round(float(np.percentile(late, 99)), 3),
            **self.counts,
            "sub_scans_dropped": dropped_sub_scans,
            "command_state": robot.state_of_command,
            "gantry_share": round(robot.gantry_share, 3),
            "pelvis_pos_world": [round(float(v), 4) for v in robot.data.qpos[:3]],
            **(
                {}
                if (pose := robot.object_pose) is None
                else {"object_pos_world": [round(float(v), 4) for v in pose[:3]]}
            ),
        }


def check_record(record: str) -> None:
    """Raises VmError for a name that tells no format."""
    if record and Path(record).suffix not in (".npz", ".mp4"):
        raise VmError(f"record {record!r}: expected a name that ends in .npz (robot log) or .mp4 (video)")


def write_report(path: str, summary: dict) -> None:
    """The summary as JSON, if a path is given."""
    if path:
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(summary, indent=1) + "\n")


def write_record(path: str, recorder: LogRecorder, scene: SceneAsset) -> None:
    """The robot's log, and a video of it if the name asks for one; nothing without a name."""
    if not path:
        return
    record, log = Path(path), recorder.log()
    log.save(record.with_suffix(".npz"))
    if record.suffix == ".mp4":
        from vm_sim.render import RenderConfig, render_video  # loads OpenGL, which no robot topic needs

        render_video(log.time_s, log.qpos, scene, record, RenderConfig(), log.thing)
