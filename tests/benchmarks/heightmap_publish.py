"""`python tests/benchmarks/heightmap_publish.py`: what `make bench ONLY=heightmap` found last, where others read it.

The table in vm_heightmap's README, between its two marks, and the errors that noise models draw from.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from run import machine

from vm_core import command_line
from vm_core.atomic_files import atomic_path
from vm_core.errors import VmError
from vm_core.height_grid import MEASURED_ERRORS_FILE

README = Path(__file__).parents[2] / "src/vm_heightmap/README.md"
RESULTS = Path("out/bench")
BEGIN, END = "<!-- figures: heightmap_publish.py -->", "<!-- end -->"
ROWS = (
    ("grid error away from edges, MAE", "away_mae_cm", 1.0, " cm", 2),
    ("grid error within 5 cm of a riser, MAE", "edge_mae_cm", 1.0, " cm", 2),
    ("cells known from 4 s after the start", "known", 100.0, " %", 2),
    ("known cells within 3 cm or 3 σ", "honest", 100.0, " %", 2),
    ("z drift over any 2 s, p95", "z_2s_p95_cm", 1.0, " cm", 2),
)
GOALS = {
    "away_mae_cm": "0.4 / 0.8 cm",
    "edge_mae_cm": "2.5 cm (true pose)",
    "known": "95 %",
    "honest": "99 %",
    "z_2s_p95_cm": "0.4 cm",
}
HIGHER = ("known", "honest")


def table(found: dict) -> list[str]:
    """Lines of the table, and what was measured."""
    lines = [f"On {found['played']} of {found['wanted']} walks ({machine()}); in brackets the worst walk:", ""]
    lines += [
        "| figure | goal | true pose | own odometry | ANYbotics' rule, true pose, seed 0 |",
        "|---|---|---|---|---|",
    ]
    kinds = ("true pose", "own odometry", "plain")
    for words, key, factor, unit, digits in ROWS:
        cells = [_cell(found, kind, key, factor, unit, digits) for kind in kinds]
        lines.append(f"| {words} | {GOALS[key]} | {' | '.join(cells)} |")
    lines += [
        "",
        "| others' odometry between walls, seed 0 | z drift, 2 s, p95 | grid error under our map | a scan p50 |",
    ]
    return [*lines, "|---" * 4 + "|", *_anchors(found["anchors"])]


def _anchors(rows: list[dict]) -> list[str]:
    """One line an anchor with the three figures of its best settings."""
    found: dict[str, list[str]] = {}
    for row in rows:
        name, _, figure = row["anchor"].rpartition("), ")
        if name:
            found.setdefault(f"{name})", []).append(f"{row['value']:.3g} {row['unit']}")
    return [f"| {name} | {' | '.join(values)} |" for name, values in found.items()]


def _cell(found: dict, kind: str, key: str, factor: float, unit: str, digits: int) -> str:
    if key not in found["all"][kind]:
        return ""
    walks = [row[key] for row in found["walks"] if row["pose"] == kind and row.get(key) == row.get(key)]
    worst = (min if key in HIGHER else max)(walks)
    return f"{factor * found['all'][kind][key]:.{digits}f} ({factor * worst:.{digits}f}){unit}"


def _main() -> int:
    path = RESULTS / "heightmap_summary.json"
    if not path.is_file():
        raise VmError(f"{path} is not there; `make bench ONLY=heightmap` writes it")
    text = README.read_text()
    if BEGIN not in text or END not in text:
        raise VmError(f"{README} lacks the marks {BEGIN} and {END}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    lines = table(json.loads(path.read_text()))
    with atomic_path(README) as temporary:
        temporary.write_text("\n".join([before + BEGIN, *lines, END]) + after)
    with atomic_path(MEASURED_ERRORS_FILE) as temporary:
        shutil.copyfile(RESULTS / "height_grid_errors.json", temporary)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    command_line.run(_main)
