"""`vm-reconstruct batch FOLDER --out OUT`: all videos of a folder."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class BatchArguments:
    """Reconstructs every video of a folder; run it again to go on after a kill.

    Attributes:
        folder: videos in it and below it; heights.json in it may name heights, {"a/b.mp4": 1.8}.
        out: OUT/NAME holds each video's results and log.txt; summary.json and summary.csv all of them.
        height: of the people [m], where heights.json says nothing.
        workers: videos at a time.
        retries: tries after a crash; what the video itself is to blame for is not tried again.
        ray_address: of a running Ray cluster, whose machines see the same folders; by default Ray runs in here.
        scale: as in vm-reconstruct.
        solver: as in vm-reconstruct.
        frontend: as in vm-reconstruct.
        until: as in vm-reconstruct.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    out: Path
    height: float | None = None
    workers: int = max(1, (os.cpu_count() or 2) // 2)
    retries: int = 1
    ray_address: str | None = None
    scale: Literal["robot", "human"] = "robot"
    solver: Literal["single", "joint"] = "single"
    frontend: str = ""
    until: str = "report"


def main(arguments: list[str]) -> int:
    """Returns 0 when all went well, 1 when some videos failed."""
    given = tyro.cli(BatchArguments, prog="vm-reconstruct batch", args=arguments)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing of a user's work is reported anywhere
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    from tqdm import tqdm

    from vm_core.errors import VmError
    from vm_reconstruction.batch import summary
    from vm_reconstruction.batch.plan import find_jobs
    from vm_reconstruction.batch.run import run_jobs
    from vm_reconstruction.batch.worker import Settings

    if given.workers < 1 or given.retries < 0:
        raise VmError(f"--workers {given.workers}, --retries {given.retries}: expected at least 1 and 0")
    jobs = find_jobs(given.folder.resolve(), given.height)
    out = given.out.resolve()
    settings = Settings(out, given.scale, given.solver, given.frontend, given.until)
    rows = []
    with tqdm(total=len(jobs), desc="videos", unit="video", file=sys.stderr, dynamic_ncols=True) as bar:
        for outcome in run_jobs(jobs, settings, given.workers, given.retries, given.ray_address):
            rows.append(summary.summarize(outcome, out))
            summary.save(rows, out)  # after each, so that a kill leaves the table so far
            bar.set_postfix_str(f"{outcome.name}: {rows[-1].state}")
            bar.update()
    summary.print_table(rows)
    failed = sum(row.state == "failed" for row in rows)
    print(f"summary: {out / summary.SUMMARY_CSV}; logs: {out}/NAME/log.txt")
    return 1 if failed else 0
