"""The table over all videos: how each ended, its figures, and flags that say where to look."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_reconstruction.batch.worker import Outcome
from vm_reconstruction.manifest import Manifest
from vm_reconstruction.report.figures import POOR_REPROJECTION_SHARE, RunFiles, outside_share
from vm_reconstruction.stages.mirrors import SIDES

SUMMARY_JSON, SUMMARY_CSV = "summary.json", "summary.csv"
# A flag and when it is raised; names are what people filter by.
MOST_SKATE_M_S, MOST_DEPTH_M, MOST_SELF_SHARE = 0.03, 0.02, 0.02
LEAST_SEEN_SHARE, MOST_OUTSIDE_SHARE, MOST_SCALE_STD, SHORTEST_S = 0.9, 0.2, 0.05, 1.0


@dataclass(frozen=True)
class VideoSummary:
    """One row; figures are None where the video has none. Flags are words like `skates`, `person cut off`."""

    name: str
    state: str
    seconds: float
    error: str = ""
    frames: int | None = None
    reprojection_px: float | None = None
    seen_share: float | None = None
    skate_cm_s: float | None = None
    depth_cm: float | None = None
    boxes: int | None = None
    flags: tuple[str, ...] = ()


def summarize(outcome: Outcome, out: Path) -> VideoSummary:
    """Reads what a video left in OUT/NAME."""
    if outcome.error:
        return VideoSummary(outcome.name, "failed", round(outcome.seconds, 1), outcome.error, flags=("failed",))
    try:
        run = RunFiles.load(out / outcome.name)
    except VmError:  # it was asked to stop before the person was found
        return VideoSummary(outcome.name, "done", round(outcome.seconds, 1))
    metrics, joint = (_json(out / outcome.name / "stages" / f"{name}.json") for name in ("retarget", "joint"))
    pixels, seen = float(np.mean(run.track.reprojection_px)), float(np.mean(run.motion.confidence > 0.3))
    limit = POOR_REPROJECTION_SHARE * max(run.source.width, run.source.height)
    raised = {
        "short": run.motion.duration_s < SHORTEST_S,
        "pose beside picture": pixels > limit,
        "person often unseen": seen < LEAST_SEEN_SHARE,
        "person cut off": outside_share(run) > MOST_OUTSIDE_SHARE,
        "camera assumed": "assumed" in run.source.focal_source and not joint,
        "scale unsure": (joint.get("scale_std") or 0.0) > MOST_SCALE_STD,
        "skates": metrics.get("stance_skate_mean_m_s", 0.0) > MOST_SKATE_M_S,
        "penetrates": metrics.get("penetration_max_m", 0.0) > MOST_DEPTH_M,
        "mirror image": bool(joint.get("reflections")),
        "sides exchanged": any(text.startswith(SIDES) for text in Manifest.load(run.out / "manifest.json").warnings),
        "collides with itself": metrics.get("self_collision_share", 0.0) > MOST_SELF_SHARE,
    }
    return VideoSummary(
        outcome.name, "done", round(outcome.seconds, 1), "", run.motion.num_frames, round(pixels, 2), round(seen, 3),
        _scaled(metrics, "stance_skate_mean_m_s"), _scaled(metrics, "penetration_max_m"),
        len(run.scene.boxes) if run.scene else None, tuple(flag for flag, is_so in raised.items() if is_so),
    )  # fmt: skip


def save(rows: list[VideoSummary], out: Path) -> None:
    """Writes OUT/summary.json and OUT/summary.csv."""
    ordered = sorted((asdict(row) for row in rows), key=lambda row: row["name"])
    with atomic_path(out / SUMMARY_JSON) as temporary:
        temporary.write_text(json.dumps(ordered, indent=1))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(VideoSummary.__dataclass_fields__))
    writer.writeheader()
    writer.writerows({**row, "flags": "; ".join(row["flags"])} for row in ordered)
    with atomic_path(out / SUMMARY_CSV) as temporary:
        temporary.write_text(text.getvalue())


def print_table(rows: list[VideoSummary]) -> None:
    """For people, the flagged ones first."""
    table = Table(title=f"{len(rows)} videos, {sum(r.state == 'failed' for r in rows)} failed")
    for column in ("video", "state", "s", "frames", "px", "skate cm/s", "depth cm", "boxes"):
        table.add_column(column, no_wrap=column in ("video", "state"))
    table.add_column("flags", ratio=1)
    for row in sorted(rows, key=lambda r: (not r.flags, r.name)):
        figures = (row.seconds, row.frames, row.reprojection_px, row.skate_cm_s, row.depth_cm, row.boxes)
        shown = row.error if row.state == "failed" else ", ".join(row.flags)
        cells = [row.name, row.state, *("-" if v is None else f"{v:g}" for v in figures), shown]
        table.add_row(*map(escape, cells))
    Console().print(table)


def _scaled(metrics: dict, key: str) -> float | None:
    return round(100.0 * metrics[key], 2) if key in metrics else None


def _json(path: Path) -> dict:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return {}
