"""Runs of several seeds: what was measured is kept, so that a killed benchmark goes on; means and the worst one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from vm_core.atomic_files import atomic_path


def once(folder: Path, name: str, measure: Callable[[], dict]) -> dict:
    """What was measured under a name before, or now."""
    file = folder / f"{name.replace(' ', '_')}.json"
    if not file.is_file():
        found = measure()
        with atomic_path(file) as temporary:
            temporary.write_text(json.dumps(found, indent=1))
    return json.loads(file.read_text())


def over_seeds(name: str, rows: list[dict], kinds: dict[str, tuple[str, str]]) -> Iterator[dict]:
    """Figures of one run each, as mean and worst.

    Args:
        name: what ran.
        rows: each seed's.
        kinds: unit, and which is better (lower or higher), of those that count.
    """
    for key, (unit, better) in kinds.items():
        values = [row[key] for row in rows]
        worst = max(values) if better == "lower" else min(values)
        for how, value in ((f"mean of {len(rows)} seeds", float(np.mean(values))), ("worst", worst)):
            text = f"{name}: {key.replace('_m', '').replace('_', ' ')}, {how}"
            yield {"figure": text, "value": round(value, 3), "unit": unit, "goal": None, "better": better}
