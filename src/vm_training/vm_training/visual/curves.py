"""Learning curves of students as pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vm_core.atomic_files import atomic_path


def write_curve(file: Path, records: list[dict[str, float]], title: str) -> None:
    """Loss and seconds a fall of the rounds, by control steps (PNG)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps = np.cumsum([row["steps"] for row in records]) / 1e6
    figure, axes = pyplot.subplots(figsize=(6.0, 3.2), dpi=110)
    axes.plot(steps[1:], [row["seconds_a_fall"] for row in records][1:], "o-", color="tab:blue")
    axes.set_xlabel("control steps [M]")
    axes.set_ylabel("seconds a fall", color="tab:blue")
    axes.set_ylim(bottom=0.0)
    other = axes.twinx()
    other.plot(steps, [row["loss"] for row in records], "--", color="tab:orange")
    other.set_ylabel("loss", color="tab:orange")
    axes.set_title(title)
    figure.tight_layout()
    with atomic_path(file) as temporary:
        figure.savefig(str(temporary), format="png")
    pyplot.close(figure)
