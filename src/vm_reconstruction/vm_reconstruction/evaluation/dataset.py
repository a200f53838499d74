"""All methods on all videos of a set: observations once a video, figures, table, JSON, plots; a killed run goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tqdm import tqdm

from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_reconstruction.datasets.synthetic.recipe import video_seed
from vm_reconstruction.datasets.synthetic.video_truth import FOLDER, TRUTH_FILE, VideoTruth
from vm_reconstruction.evaluation.figures import VideoFigures, measure
from vm_reconstruction.evaluation.methods import METHODS, estimate
from vm_reconstruction.frontends.noisy_oracle import observe, units_a_metre
from vm_reconstruction.frontends.oracle_noise import OracleNoise
from vm_reconstruction.observations import Observations

RESULT_FILE, PLOT_FILE = "evaluation.json", "evaluation.png"
ROWS = (
    ("w_mpjpe_mm", "W-MPJPE, 100 frames [mm]", 1), ("wa_mpjpe_mm", "WA-MPJPE, 100 frames [mm]", 1),
    ("pa_mpjpe_mm", "PA-MPJPE [mm]", 1), ("mpjpe_mm", "MPJPE [mm]", 1), ("rte_percent", "root path [% of the way]", 2),
    ("acceleration_m_s2", "acceleration [m/s²]", 2), ("skate_cm_s", "foot skate [cm/s]", 2),
    ("penetration_cm", "soles in the scene [cm]", 2), ("camera_mm", "camera, rigid [mm]", 1),
    ("camera_scaled_mm", "camera, scaled [mm]", 1), ("vertical_deg", "vertical [°]", 2),
    ("chamfer_m", "Chamfer [m]", 3), ("plane_cm", "planes [cm]", 2), ("non_penetration", "joints not in the scene", 4),
    ("contact_agreement", "contact agreement", 3), ("tread_cm_median", "tread height, median [cm]", 2),
    ("edge_cm_median", "step edge, median [cm]", 2), ("pieces_most", "pieces of a terrain, most", 0),
    ("drop_mm_most", "drop test, worst [mm]", 1), ("seconds", "time a video [s]", 2),
)  # fmt: skip


def videos_of(dataset: Path) -> list[Path]:
    """The folders of a set, in order."""
    found = sorted(path.parent.parent for path in dataset.glob(f"*/{FOLDER}/{TRUTH_FILE}"))
    if not found:
        raise VmError(f"{dataset} has no videos with truth; make them with: vm-make-dataset --out {dataset}")
    return found


def evaluate_dataset(dataset: Path, out: Path, methods: list[str], seed: int, strength: float) -> dict:
    """Figures by method and video, and their summary; writes OUT/evaluation.json and OUT/evaluation.png.

    Each estimate is made from OUT/observations/VIDEO.npz alone; truth is read only to make those and to measure.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise VmError(f"no method {unknown[0]!r}; there are: {', '.join(METHODS)}")
    noise = OracleNoise(strength=strength)
    figures: dict[str, dict[str, dict]] = {name: {} for name in methods}
    for index, video in enumerate(tqdm(videos_of(dataset), desc="videos", unit="video")):
        truth, video_noise_seed = VideoTruth.load(video), video_seed(seed + 1, index)
        observed = _observations(out / "observations" / f"{video.name}.npz", truth, noise, video_noise_seed)
        units = units_a_metre(noise, np.random.default_rng(video_noise_seed))
        for name in methods:
            figures[name][video.name] = asdict(measure(estimate(name, observed), truth, units))
    result = {"dataset": dataset.name, "seed": seed, "strength": strength, "videos": figures, "summary": {}}
    result["summary"] = {name: summary(list(videos.values())) for name, videos in figures.items()}
    with atomic_path(out / RESULT_FILE) as temporary:
        temporary.write_text(json.dumps(result, indent=1))
    _plot(figures, out / PLOT_FILE)
    return result


def _observations(path: Path, truth: VideoTruth, noise: OracleNoise, seed: int) -> Observations:
    """Written and read back, so that estimates see what a file holds; made anew every time, for noise may differ."""
    observe(truth, noise, seed).save(path)
    return Observations.load(path)


def summary(videos: list[dict]) -> dict[str, float | None]:
    """Means over videos; the scale also as the median of its absolute error; treads and edges: medians over all."""
    result: dict[str, float | None] = {}
    for field in fields(VideoFigures):
        values = [video[field.name] for video in videos]
        if not isinstance(values[0], list):
            result[field.name] = float(np.mean(values))
    for name in ("pieces", "drop_mm"):
        result[f"{name}_most"] = float(max(video[name] for video in videos))
    result["scale_percent_abs_median"] = float(np.median([abs(video["scale_percent"]) for video in videos]))
    for name, true in (("tread", "steps_true"), ("edge", "edges_true")):
        errors = [error for video in videos for error in video[f"{name}_errors_cm"]]
        result[true] = float(sum(video[true] for video in videos))
        result[f"{name}s_found"] = float(len(errors))
        result[f"{name}_cm_median"] = float(np.median(errors)) if errors else None
        result[f"{name}_cm_mean"] = float(np.mean(errors)) if errors else None
    return result


def print_table(result: dict) -> None:
    """The summary for people, on stderr."""
    methods = result["summary"]
    count = len(next(iter(result["videos"].values())))
    table = Table(title=f"{count} videos, noise strength {result['strength']}, means")
    table.add_column("figure")
    for name in methods:
        table.add_column(name, justify="right")
    for key, label, digits in ROWS:
        values = [method[key] for method in methods.values()]
        table.add_row(escape(label), *("-" if v is None else f"{v:.{digits}f}" for v in values))
    table.add_row(
        escape("scale error, median [%]"), *(f"{v['scale_percent_abs_median']:.2f}" for v in methods.values())
    )
    table.add_row("treads found", *(f"{v['treads_found']:.0f} of {v['steps_true']:.0f}" for v in methods.values()))
    table.add_row("edges found", *(f"{v['edges_found']:.0f} of {v['edges_true']:.0f}" for v in methods.values()))
    Console(stderr=True).print(table)


def _plot(figures: dict[str, dict[str, dict]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [("w_mpjpe_mm", "W-MPJPE [mm]"), ("skate_cm_s", "foot skate [cm/s]"), ("scale_percent", "scale error [%]"),
             ("chamfer_m", "Chamfer [m]")]  # fmt: skip
    names = list(next(iter(figures.values())))
    drawing, axes = plt.subplots(len(shown), 1, figsize=(12, 11), sharex=True, layout="constrained")
    width = 0.8 / len(figures)
    for axis, (key, label) in zip(axes, shown, strict=True):
        for k, (method, videos) in enumerate(figures.items()):
            values = [videos[name][key] for name in names]
            axis.bar(np.arange(len(names)) + (k - 0.5 * (len(figures) - 1)) * width, values, width, label=method)
        axis.set_ylabel(label)
        axis.grid(axis="y", alpha=0.3)
    axes[0].legend(ncols=len(figures))
    axes[-1].set_xticks(np.arange(len(names)), names, rotation=60, ha="right", fontsize=8)
    with atomic_path(path) as temporary:
        drawing.savefig(temporary, dpi=110)
    plt.close(drawing)
