"""The benchmark's rows for people: table, plot, videos of the worst episodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from vm_core.atomic_files import atomic_path
from vm_core.scene_asset import SceneAsset
from vm_sim.render import RenderConfig, render_video
from vm_training.benchmark.figures import EpisodeResult

_FILM_S = 6.0  # before the end, which is what one wants to see
_COLUMNS = (
    ("course", "name", "{}", 20),
    ("grid", "grid", "{}", 9),
    ("physics", "physics", "{}", 9),
    ("success", "success", "{:.0%}", 7),
    ("falls", "falls", "{}", 5),
    ("fall [s]", "time_to_fall_s", "{:.1f}", 8),
    ("progress", "progress", "{:.0%}", 8),
    ("drift [m]", "drift_m", "{:.2f}", 9),
    ("lift [cm]", "foot_clearance_m", "{:.3f}", 9),
    ("power [W]", "power_w", "{:.0f}", 9),
    ("torque", "torque_use", "{:.0%}", 6),
    ("peak", "torque_peak", "{:.0%}", 5),
    ("limits", "joint_limit_share", "{:.1%}", 6),
    ("rough [rad/s]", "target_speed_rad_s", "{:.2f}", 13),
)


def table_head() -> str:
    """The table's first line."""
    return " ".join(f"{title:<{width}}" for title, _, _, width in _COLUMNS)


def table_line(row: dict[str, Any]) -> str:
    """A row of the table."""
    cells = []
    for _, key, form, width in _COLUMNS:
        value = row[key]
        if key == "foot_clearance_m" and value is not None:
            value, form = 100.0 * value, "{:.1f}"
        cells.append(f"{'-' if value is None else form.format(value):<{width}}")
    return " ".join(cells)


def write_json(path: Path, rows: list[dict[str, Any]]) -> None:
    """All rows so far; the file appears whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n")


def draw_plot(path: Path, rows: list[dict[str, Any]], title: str) -> None:
    """Success with its 95 % interval, a bar a row, a colour for each grid and physics."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(row["name"] for row in rows))
    kinds = list(dict.fromkeys((row["grid"], row["physics"]) for row in rows))
    figure, axes = pyplot.subplots(figsize=(max(6.0, 0.5 * len(names) + 2.0), 4.5))
    width = 0.8 / len(kinds)
    for k, kind in enumerate(kinds):
        mine = [row for row in rows if (row["grid"], row["physics"]) == kind]
        at = np.array([names.index(row["name"]) for row in mine]) + (k - 0.5 * (len(kinds) - 1)) * width
        success = np.array([row["success"] for row in mine])
        reach = np.array([[s - row["success_low"], row["success_high"] - s] for s, row in zip(success, mine)]).T  # noqa: B905
        axes.bar(at, success, width, yerr=np.abs(reach), label=f"{kind[0]} grid, {kind[1]}", error_kw={"linewidth": 1})
    axes.set(ylabel="success", ylim=(0.0, 1.05), title=title)
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
    pyplot.close(figure)


def film_worst(
    folder: Path, name: str, results: list[EpisodeResult], scenes: list[SceneAsset], period_s: float, count: int
) -> list[Path]:
    """Videos of the episodes that failed soonest; of the last one if none failed."""
    order = sorted(results, key=lambda result: (result.success, result.progress, result.up_s))
    worst = [result for result in order[:count] if not result.success] or order[:1]
    films = []
    for result in worst:
        path = folder / f"{name.replace(' ', '_').replace('/', '_')}_{result.index:03d}.mp4"
        qpos = result.qpos[-round(_FILM_S / period_s) :]
        times = np.arange(len(qpos)) * period_s
        render_video(times, qpos, scenes[result.index], path, RenderConfig(width=480, height=360, fps=25.0))
        films.append(path)
    return films
