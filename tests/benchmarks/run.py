"""`make bench [ONLY=loop]`: prints one JSON object a line for every figure of the benchmarks `bench_NAME.py`.

A benchmark is a module with `figures(seed) -> iterable of Figure`; it may raise VmError, and gives no figure that it
did not measure.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import tyro

from vm_core import command_line
from vm_core.errors import VmError

FOLDER = Path(__file__).parent
# What one name measures beside the benchmark of that name, in this order; the whole loop comes last, it takes longest.
GROUPS = {
    "loop": ("scan", "retarget", "phone_video", "loop"),
    "reconstruction": ("reconstruction", "retarget", "phone_video"),
    "heightmap": ("scan", "heightmap"),
    "visualmimic": ("visualmimic", "visual_node"),
}
KEYS = ("figure", "value", "unit", "goal", "better")


@dataclass(frozen=True)
class Bench:
    """Runs benchmarks.

    Attributes:
        only: name of one benchmark, with those that GROUPS puts beside it; empty: all.
        seed: of everything random.
    """

    only: str = ""
    seed: int = 0


def machine() -> str:
    """Processor, cores and Python, for the figures' readers."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


def find_benchmarks(only: str) -> dict[str, Path]:
    """The benchmark files by name, in the order in which they run.

    Raises:
        VmError: no benchmark of that name.
    """
    found = {path.stem.removeprefix("bench_"): path for path in sorted(FOLDER.glob("bench_*.py"))}
    if only and only not in found:
        raise VmError(f"no benchmark {only!r}; there are {', '.join(found)}")
    return {name: found[name] for name in GROUPS.get(only, (only,))} if only else found


def load(name: str, path: Path) -> ModuleType:
    """Imports a benchmark by its path."""
    for shared in (FOLDER, FOLDER.parent / "unit"):  # what benchmarks share, and small policy files
        if str(shared) not in sys.path:
            sys.path.insert(0, str(shared))
    spec = importlib.util.spec_from_file_location(f"bench_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def rows(name: str, path: Path, seed: int) -> Iterator[dict]:
    """Each figure with the benchmark's name, the seed and the machine."""
    for figure in load(name, path).figures(seed):
        values = {key: figure[key] for key in KEYS}
        assert values["better"] in ("lower", "higher"), values
        yield {"bench": name, **values, "seed": figure.get("seed", seed), "machine": machine()}


def _main() -> int:
    options = tyro.cli(Bench, prog="make bench")
    failed = 0
    for name, path in find_benchmarks(options.only).items():
        try:
            for row in rows(name, path, options.seed):
                print(json.dumps(row), flush=True)
        except VmError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = 2
    return failed


if __name__ == "__main__":
    command_line.run(_main)
