"""Writes report.html: everything of a run on one page, videos and drawings inside."""

from __future__ import annotations

import base64
import json
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template

from vm_core.atomic_files import atomic_path
from vm_reconstruction.manifest import content_hash
from vm_reconstruction.render.overlay import write_overlay
from vm_reconstruction.report import figures, plots
from vm_reconstruction.report.figures import Row, RunFiles

TEMPLATE_FILE = Path(__file__).with_name("template.html")
OVERLAY_KEY = (
    "Orange: left, blue: right, grey: trunk. Green rings: contact. Yellow: boxes that contacts prove. "
    "Violet: the person's outline. Pale green: ground, 0.5 m grid."
)


def run_stage(out: Path, video: Path) -> Path:
    """Writes OUT/overlay.mp4 and OUT/report.html.

    Args:
        out: folder of a run; reads human.npz, stages/, scene/, clip.npz and robot.mp4 where there are any.
        video: the run's input, named and hashed on the page.

    Raises:
        VmError: a stage's file is missing or broken.
    """
    RunFiles.load(out)  # names what is missing before the slow part
    write_overlay(out)
    return write_page(out, video)


def write_page(out: Path, video: Path) -> Path:
    """Writes OUT/report.html alone, around the overlay that is there."""
    run = RunFiles.load(out)
    with atomic_path(out / "report.html") as temporary:
        temporary.write_text(page(run, video), encoding="utf-8")
    return out / "report.html"


def page(run: RunFiles, video: Path) -> str:
    """The page's HTML."""
    motion, scene = run.motion, run.scene
    sections = [
        _section("What was found, on the video", _video(run.out / "overlay.mp4") + f'<p class="key">{OVERLAY_KEY}</p>'),
        _section("The G1 with the same motion", _video(run.out / "robot.mp4")),
        _section("Seen from the side", plots.side_view(motion, scene)),
        _section("Seen from above", plots.top_view(motion, scene)),
        _section("Contacts over time", plots.contacts_over_time(motion)),
        _section("Heights over time", plots.heights_over_time(motion, scene)),
        _section("Against the truth", _table(figures.truth_rows(run.out))),
        _section("Video, camera, person", _table(figures.video_rows(run))),
        _section("Scene", _table(figures.scene_rows(run))),
        _section("Robot clip", _table(figures.robot_rows(run))),
        _section("Where this comes from", _table(provenance_rows(run.out, video))),
    ]
    name = escape(video.name)
    return Template(TEMPLATE_FILE.read_text(encoding="utf-8")).substitute(
        title=f"Reconstruction of {name}",
        subtitle=f"{motion.num_frames} frames, a person of {motion.height_m:.2f} m; all lengths follow from it.",
        warnings=_warnings(figures.warnings(run)),
        sections="\n".join(sections),
    )


def provenance_rows(out: Path, video: Path) -> list[Row]:
    """Input, settings, stages with their times, versions."""
    rows = [("input", f"{video.name}, SHA-256 {content_hash(video)[:16]}…")]
    for path, label in ((out / "config.json", "settings"), (out / "manifest.json", "seconds per stage")):
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if label == "settings":
            shown = {k: v for k, v in content.items() if k not in ("video", "out") and v is not None}
        else:
            # Without the report's own time, which is not known yet: the same run gives the same page.
            shown = {name: stage["seconds"] for name, stage in content.get("stages", {}).items() if name != "report"}
        rows.append((label, ", ".join(f"{k} {v}" for k, v in shown.items())))
    return [*rows, ("versions", ", ".join(f"{name} {_version(name)}" for name in _PACKAGES))]


_PACKAGES = ("vm_reconstruction", "numpy", "scipy", "opencv-python-headless", "mujoco")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _section(title: str, body: str) -> str:
    """A box on the page; empty when there is nothing to show."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def _table(rows: list[Row]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def _video(path: Path) -> str:
    if not path.is_file():
        return ""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<video controls muted loop autoplay playsinline src="data:video/mp4;base64,{data}"></video>'


def _warnings(sentences: list[str]) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<section class="warnings"><h2>Not to be trusted blindly</h2><ul>{items}</ul></section>'
