"""`vm-make-motions --out DIR`: procedural references over random courses, as many as one likes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from tqdm import tqdm

from vm_core import command_line
from vm_core.atomic_files import atomic_folder
from vm_core.errors import VmError
from vm_training.motions.courses import WALKING_GAIT
from vm_training.motions.footsteps import Gait
from vm_training.motions.planned import KINDS, plan_motion
from vm_training.motions.seats import SEAT_HEIGHTS_M, TOO_HIGH_M, TOO_LOW_M
from vm_training.tasks.motion_folder import CLIP_FILE, MOTION_FILE, SCENE_FOLDER


@dataclass(frozen=True)
class MakeMotions:
    """Plans motions that physics can follow, each with its scene; a second start makes what is missing.

    Attributes:
        out: folder to write; one folder a motion inside.
        count: motions of each kind.
        kinds: kinds of motions.
        seed: of everything random; motion `kind_0003` is the same whatever else is made.
        gait: of all, but for the stride, which is the course's.
        sit_spread: how far ways to sit down differ, 0 to 1; a walker has nothing to tell it which it is to take.
        seat_heights_m: lowest and highest seat to sit on or to leave; those that nobody can sit on stay what they are.
    """

    out: Path
    count: int = 8
    kinds: tuple[str, ...] = KINDS
    seed: int = 0
    gait: Gait = WALKING_GAIT
    sit_spread: float = 0.0
    seat_heights_m: tuple[float, float] = SEAT_HEIGHTS_M

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or self.count < 1 or self.seed < 0 or not 0.0 <= self.sit_spread <= 1.0:
            raise VmError(
                f"kinds {', '.join(self.kinds)}, {self.count} of each, seed {self.seed}, spread {self.sit_spread}; "
                f"expected kinds among {', '.join(KINDS)}, at least 1, a seed from 0, a spread of 0 to 1"
            )
        lowest, highest = self.seat_heights_m
        if not TOO_LOW_M[1] < lowest <= highest < TOO_HIGH_M[0]:
            raise VmError(
                f"seats of {lowest} to {highest} m; expected the lowest first, above {TOO_LOW_M[1]} "
                f"and below {TOO_HIGH_M[0]} m: those beyond are none to sit on"
            )


def make_motions(options: MakeMotions) -> dict[str, str]:
    """Makes what is missing; returns what was refused, by name, with the reason."""
    names = [(kind, index) for kind in options.kinds for index in range(options.count)]
    refused: dict[str, str] = {}
    for kind, index in tqdm(names, desc="motions", unit="motion", dynamic_ncols=True):
        name = f"{kind}_{index:04d}"
        folder = options.out / name
        if not (folder / MOTION_FILE).is_file():
            make_motion(kind, [options.seed, KINDS.index(kind), index], options, folder)
        problems = json.loads((folder / MOTION_FILE).read_text())["problems"]
        if problems:
            refused[name] = problems
    return refused


def make_motion(kind: str, seed: list[int], options: MakeMotions, folder: Path) -> None:
    """Plans one motion and writes its folder: always the record, clip and scene only if the plan is feasible."""
    record: dict[str, Any] = {"kind": kind, "seed": seed}
    try:
        planned = plan_motion(
            kind, np.random.default_rng(seed), options.gait, options.sit_spread, options.seat_heights_m
        )
    except VmError as problem:
        planned, record["problems"] = None, str(problem)
    else:
        record |= {"text": planned.text, "problems": planned.feasibility.problems, "gait": asdict(planned.gait)}
        record["feasibility"] = asdict(planned.feasibility)
        record["route"] = asdict(planned.route) if planned.route else None
        record["timeline"] = asdict(planned.timeline) if planned.timeline else None
    with atomic_folder(folder) as temporary:
        if planned is not None and planned.clip is not None:
            planned.clip.save(temporary / CLIP_FILE)
            planned.scene.save(temporary / SCENE_FOLDER)
        (temporary / MOTION_FILE).write_text(json.dumps(record, indent=1))


def _main() -> int:
    options = tyro.cli(MakeMotions, prog="vm-make-motions")
    refused = make_motions(options)
    for name, problems in refused.items():
        print(f"{name}: refused, {problems}")
    made = len(options.kinds) * options.count - len(refused)
    print(f"{made} motions in {options.out}, {len(refused)} refused")
    return 0 if made else 1


def main() -> None:
    """Console entry point."""
    command_line.run(_main)


if __name__ == "__main__":
    main()
