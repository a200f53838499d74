"""Damaged policy files of every foreign format into the importers. `VM_BENCH_FUZZ_FILES` sets how many.

A quarter of an hour for 100,000; with `VM_BENCH_FUZZ_PROGRESS=FILE.json` a run that was ended goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from fuzz_importers import fuzz

PROGRESS = os.environ.get("VM_BENCH_FUZZ_PROGRESS", "")
FILES = int(os.environ.get("VM_BENCH_FUZZ_FILES", "100000"))


def figures(seed: int) -> Iterator[dict]:
    """Crashes, and how many of the files were still read."""
    result = fuzz(FILES, seed, Path(PROGRESS) if PROGRESS else None)
    many = f"{FILES:,} damaged policy files of five formats"
    yield _figure(f"crashes by {many}", result["crashes"], 0.0, "lower")
    yield _figure(f"written and loaded, of {many}", result["written"], 1.0, "higher")


def _figure(figure: str, value: float, goal: float, better: str) -> dict:
    return {"figure": figure, "value": value, "unit": "1", "goal": goal, "better": better}
