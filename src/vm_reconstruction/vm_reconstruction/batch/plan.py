"""Which videos, how tall the people in them are, where their results go."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from vm_core.errors import VmError

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")
HEIGHTS_FILE = "heights.json"


@dataclass(frozen=True)
class Job:
    """One video: its name among the results, its file, the heights [m] of its people."""

    name: str
    video: Path
    heights_m: tuple[float, ...]


def find_jobs(folder: Path, height_m: float | None) -> list[Job]:
    """Every video in a folder and below it, in the order of their paths.

    Heights come from FOLDER/heights.json, {"relative/path.mp4": 1.8 or [1.8, 1.6]}, else from `height_m`.

    Raises:
        VmError: no folder, no videos in it, or a video without a height.
    """
    if not folder.is_dir():
        raise VmError(f"{folder} is no folder; expected one with videos ({', '.join(VIDEO_SUFFIXES)})")
    videos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and not p.name.startswith("."))
    if not videos:
        raise VmError(f"{folder} holds no videos; expected files ending in {', '.join(VIDEO_SUFFIXES)}")
    told = _told(folder / HEIGHTS_FILE)
    unknown = sorted(set(told) - {str(v.relative_to(folder)) for v in videos})
    if unknown:
        raise VmError(f"{folder / HEIGHTS_FILE} names {unknown[0]!r}, which is no video in {folder}")
    return [_job(video.relative_to(folder), folder, told, height_m) for video in videos]


def _job(path: Path, folder: Path, told: dict[str, tuple[float, ...]], height_m: float | None) -> Job:
    heights = told.get(str(path)) or (() if height_m is None else (height_m,))
    if not heights:
        raise VmError(f"no height for {path}; give --height, or name it in {folder / HEIGHTS_FILE}")
    return Job("__".join(path.with_suffix("").parts), folder / path, heights)


def _told(path: Path) -> dict[str, tuple[float, ...]]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
        return {k: tuple(float(h) for h in (v if isinstance(v, list) else [v])) for k, v in content.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise VmError(f'{path} cannot be used ({error}); expected {{"video.mp4": 1.8}}') from None
