"""How well the node keeps its time, and the report that it leaves behind."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_policy_node.controller import Controller


class NodeFigures:
    """Periods and durations of the last 500 control cycles.

    Attributes:
        period_ms: since the cycle before; 0 at the first.
        inference_ms: the last cycle's own work.
    """

    def __init__(self) -> None:
        self.period_ms = self.inference_ms = 0.0
        self._periods_ms: deque[float] = deque(maxlen=500)
        self._inference_ms: deque[float] = deque(maxlen=500)
        self._stepped_s: float | None = None

    def on_step(self, now_s: float, inference_ms: float) -> None:
        """A control cycle began at `now_s` and took so long."""
        if self._stepped_s is not None:
            self.period_ms = 1000.0 * (now_s - self._stepped_s)
            self._periods_ms.append(self.period_ms)
        self._stepped_s = now_s
        self.inference_ms = inference_ms
        self._inference_ms.append(inference_ms)

    def summary(self) -> dict[str, float]:
        """99th percentiles; empty before the second cycle."""
        if not self._periods_ms:
            return {}
        return {
            "period_p99_ms": float(np.percentile(self._periods_ms, 99)),
            "inference_p99_ms": float(np.percentile(self._inference_ms, 99)),
        }


def write_report(path: Path, controller: Controller, figures: NodeFigures) -> None:
    """State, cause, progress and timing at the end, as JSON."""
    machine, pelvis = controller.machine, controller.pelvis_pos
    report = {
        "policy": controller.policy.name,
        "state": machine.state.name,
        "cause": machine.cause,
        "clip_phase": controller.clip_phase,
        "pelvis_pos_world": None if pelvis is None else pelvis.tolist(),
        "period_p99_ms": None,
        "inference_p99_ms": None,
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(report | figures.summary(), indent=2) + "\n")
